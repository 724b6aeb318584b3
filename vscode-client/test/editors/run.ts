/**
 * Runs the sessions of test/sessions, each in an editor of its own: `node out/editors/run.js [NAME...]`. Prints how
 * long each took, and what the editor logged where one failed.
 */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { SESSIONS } from "../sessions";

async function main(names: string[]): Promise<number> {
  const known = Object.keys(SESSIONS);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`no session ${unknown.join(", ")}; there are ${known.join(", ")}`);
  let failed = 0;
  for (const [name, session] of Object.entries(SESSIONS)) {
    if (names.length > 0 && !names.includes(name)) continue;
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
  return failed === 0 ? 0 : 1;
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
