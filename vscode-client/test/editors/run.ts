/**
 * Runs the sessions of test/sessions, each in an editor of its own: `node out/editors/run.js [NAME...]`. Prints how
 * long each took, and what the editor logged where one failed.
 */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { SESSIONS } from "../sessions";
import type { Session } from "./session";

async function main(names: string[]): Promise<number> {
  const known = Object.keys(SESSIONS);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`no session ${unknown.join(", ")}; there are ${known.join(", ")}`);
  const wanted = Object.entries(SESSIONS).filter(([name]) => names.length === 0 || names.includes(name));
  // Two at a time, for much of a session is waiting; those that print as they go one after the other.
  const lanes = [
    wanted.filter(([name]) => name.startsWith("host-")),
    wanted.filter(([name]) => !name.startsWith("host-")),
  ];
  const failed = await Promise.all(lanes.map(oneAfterTheOther));
  return failed.every((number) => number === 0) ? 0 : 1;
}

/** Return how many of the sessions failed. */
async function oneAfterTheOther(sessions: readonly (readonly [string, Session])[]): Promise<number> {
  let failed = 0;
  for (const [name, session] of sessions) {
    const folders: string[] = [];
    const start = Date.now();
    try {
      await session({
        extension: path.resolve("setfill.vsix"),
        folder: (files = {}) => {
          const folder = realpathSync(mkdtempSync(path.join(tmpdir(), "setfill-session-")));
          folders.push(folder);
          for (const [name, text] of Object.entries(files)) {
            mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
            writeFileSync(path.join(folder, name), text);
          }
          return folder;
        },
      });
      console.log(`passed: ${name} (${seconds(start)})`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED: ${name} (${seconds(start)})`);
      console.log(error instanceof Error ? error.stack : error);
    } finally {
      for (const folder of folders) rmSync(folder, { recursive: true, force: true });
    }
  }
  return failed;
}

function seconds(start: number): string {
  return `${((Date.now() - start) / 1000).toFixed(0)} s`;
}

process.once("SIGTERM", () => process.exit(143)); // so that editors are ended
main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.log(error);
    process.exit(2);
  },
);
