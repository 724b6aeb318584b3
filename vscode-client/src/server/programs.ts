/**
 * Programs of this machine: where they lie, and running one to its end. Knows processes; knows nothing of Setfill, nor
 * of VS Code.
 */
import { spawn } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import path from "node:path";

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
}

export interface Outcome {
  /** The exit status; null if it was killed, or could not be started. */
  readonly status: number | null;
  /** What it said on both outputs, the last of it if that is much. */
  readonly output: string;
}

export interface RunOptions {
  /** The folder to run in: never one of the user's, where Python would find modules to import. */
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** Ends the program, with all that it started. */
  readonly signal?: AbortSignal;
  readonly onLine?: (line: string) => void;
}

/** Runs a program; tests put another in its place. */
export type Run = (command: Command, options: RunOptions) => Promise<Outcome>;

const KEPT_CHARS = 100_000;

/** Run a program to its end. Never rejects: what cannot be started is an outcome too. */
export const run: Run = (command, { cwd, env, signal, onLine }) =>
  new Promise((resolve) => {
    const isPosix = process.platform !== "win32";
    const child = spawn(command.program, command.args, {
      cwd,
      env,
      stdio: ["ignore", "pipe", "pipe"],
      detached: isPosix, // a process group of its own, so that it can be ended with all that it started
      windowsHide: true,
    });
    let output = "";
    const stop = (): void => {
      if (child.pid === undefined) return;
      if (isPosix) endGroup(child.pid);
      else spawn("taskkill", ["/pid", String(child.pid), "/T", "/F"], { windowsHide: true });
    };
    const end = (status: number | null): void => {
      signal?.removeEventListener("abort", stop);
      resolve({ status, output: output.slice(-KEPT_CHARS) });
    };
    for (const stream of [child.stdout, child.stderr]) {
      let rest = "";
      stream.setEncoding("utf8").on("data", (text: string) => {
        output = (output + text).slice(-2 * KEPT_CHARS);
        const lines = (rest + text).split(/\r?\n|\r/);
        rest = lines.pop() ?? "";
        for (const line of lines) onLine?.(line);
      });
    }
    child.on("error", (error) => {
      output += error.message;
      if (child.pid === undefined) end(null);
    });
    child.on("close", end);
    signal?.addEventListener("abort", stop);
    if (signal?.aborted) stop();
  });

function endGroup(group: number): void {
  try {
    process.kill(-group, "SIGKILL");
  } catch {
    // it has just ended
  }
}

/** A command as one would type it. */
export function displayed({ program, args }: Command): string {
  return [program, ...args].map((word) => (/^[\w@%+=:,./\\~-]+$/.test(word) ? word : JSON.stringify(word))).join(" ");
}

export function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/**
 * Find a program in the folders of PATH. Relative folders are left out: they would be some folder of the workspace.
 * `exists` says whether a file can be run.
 */
export function onPath(
  name: string,
  { PATH: folders = "", PATHEXT: endings = ".EXE;.CMD;.BAT" }: NodeJS.ProcessEnv,
  exists: (file: string) => boolean = isExecutable,
  platform: NodeJS.Platform = process.platform,
): string | undefined {
  const on = platform === "win32" ? path.win32 : path.posix;
  const names = platform === "win32" ? endings.split(";").map((ending) => name + ending.toLowerCase()) : [name];
  return folders
    .split(on.delimiter)
    .filter((folder) => on.isAbsolute(folder))
    .flatMap((folder) => names.map((each) => on.join(folder, each)))
    .find(exists);
}
