/** What every session does: an editor and a window for some work, ended whatever happens, and explained if it fails. */
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";

import { CodeServer, type Options } from "./code_server";
import { pause } from "./waiting";
import { PICTURES, Window } from "./window";

const LIMIT_MS = 480_000; // of one session; only ends one that hangs

/** What a session is given. */
export interface Surroundings {
  /** The .vsix under test. */
  readonly extension: string;
  /** Make a new folder with these files, which are named by their path in it. It is removed when the session ends. */
  readonly folder: (files?: Readonly<Record<string, string>>) => string;
}

/** One acceptance test; it throws when it fails. */
export type Session = (surroundings: Surroundings) => Promise<void>;

/** Start an editor for `work`, and end it. Where `work` fails the logs are kept beside the pictures. */
export async function inEditor(options: Options, work: (server: CodeServer) => Promise<void>): Promise<void> {
  const server = await CodeServer.start(options);
  try {
    await Promise.race([work(server), tooLong()]);
  } catch (error) {
    mkdirSync(PICTURES, { recursive: true });
    const kept = path.join(PICTURES, `${failureOf(server)}.log`);
    writeFileSync(kept, server.logs());
    console.log(`the editor's logs: ${kept}`);
    throw error;
  } finally {
    await server.stop();
  }
}

/** What is kept of a failure is called after the run: others may fail at the same time. */
function failureOf({ folder }: CodeServer): string {
  return `failed-${path.basename(folder)}`;
}

async function tooLong(): Promise<never> {
  await pause(LIMIT_MS);
  throw new Error(`the session takes more than ${LIMIT_MS / 1000} s`);
}

/** Open a window for `work`, and close it. Where `work` fails a picture is taken. */
export async function inWindow(
  server: CodeServer,
  folder: string,
  options: Parameters<typeof Window.open>[2],
  work: (window: Window) => Promise<void>,
): Promise<void> {
  const window = await Window.open(server, folder, options);
  try {
    await work(window);
  } catch (error) {
    console.log(`what the window showed: ${await window.picture(failureOf(server))}`);
    throw error;
  } finally {
    await window.close();
  }
}

/** Run the mocha tests of test/host in the extension host of an editor, with `folder` open. Throws when one fails. */
export async function runHostTests(server: CodeServer, folder: string): Promise<void> {
  const code = await Window.runTests(server, folder, path.resolve("out/host"));
  if (code !== 0) throw new Error("tests in the extension host failed");
}
