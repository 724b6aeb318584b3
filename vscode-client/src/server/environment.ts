/**
 * The private environment on disk: a folder of the extension's own with a virtual environment, and beside that a record
 * which says that it is whole. Knows files; knows nothing of how the environment is made, nor of VS Code.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

import { isExecutable } from "./programs";
import { versionOfWheel } from "./versions";
import { besidePython, pythonIn } from "./virtual_environment";

export type EnvironmentState =
  | { readonly kind: "absent" | "changing" }
  | { readonly kind: "ready"; readonly program: string; readonly version: string }
  | { readonly kind: "damaged"; readonly problem: string };

/** Where the parts of the private environment lie below the extension's storage. */
export interface Places {
  readonly folder: string;
  readonly record: string;
  readonly lock: string;
}

interface Record {
  /** Of the Setfill that is installed. */
  readonly version: string;
  /** Whether something is being changed: nobody knows what is there then, if it never ends. */
  readonly isChanging: boolean;
}

export function placesBelow(storage: string): Places {
  return {
    folder: path.join(storage, "environment"),
    record: path.join(storage, "environment.json"),
    lock: path.join(storage, "environment.lock"),
  };
}

export function environmentState(places: Places): EnvironmentState {
  const record = readRecord(places);
  if (record === undefined) return { kind: "absent" };
  if (record.isChanging) {
    return isLocked(places)
      ? { kind: "changing" }
      : { kind: "damaged", problem: "it was being changed when VS Code ended" };
  }
  const python = pythonIn(places.folder);
  if (!existsSync(python)) return { kind: "damaged", problem: "the Python that it was made with is gone" };
  const program = besidePython(python, "setfill").find(isExecutable);
  if (program === undefined) return { kind: "damaged", problem: `there is no setfill beside ${python}` };
  return { kind: "ready", program, version: record.version };
}

/** Say that what is there is not to be used until `markReady`. */
export function markChanging(places: Places): void {
  write(places, { version: readRecord(places)?.version ?? "", isChanging: true });
}

export function markReady(places: Places, version: string): void {
  write(places, { version, isChanging: false });
}

/** Remove the environment. Its record goes first: without one, whatever is left is nothing. */
export function removeEnvironment(places: Places): void {
  rmSync(places.record, { force: true });
  rmSync(places.folder, { recursive: true, force: true, maxRetries: 3, retryDelay: 300 });
}

/** Take the right to change the environment; returns what gives it back, or undefined while another process has it. */
export function takeLock(places: Places): (() => void) | undefined {
  mkdirSync(path.dirname(places.lock), { recursive: true });
  if (!isLocked(places)) rmSync(places.lock, { force: true });
  try {
    writeFileSync(places.lock, String(process.pid), { flag: "wx" });
  } catch {
    return undefined;
  }
  return () => {
    rmSync(places.lock, { force: true });
  };
}

/** The wheel of Setfill in a folder, the constraints beside it, and its version; undefined where there is none. */
export function wheelIn(folder: string): { file: string; constraints: string; version: string } | undefined {
  for (const name of existsSync(folder) ? readdirSync(folder) : []) {
    const version = versionOfWheel(name);
    if (version !== undefined) {
      return { file: path.join(folder, name), constraints: path.join(folder, "constraints.txt"), version };
    }
  }
  return undefined;
}

function isLocked({ lock }: Places): boolean {
  const owner = existsSync(lock) ? Number(readFileSync(lock, "utf8")) : 0;
  if (!owner) return false;
  try {
    process.kill(owner, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function readRecord({ record }: Places): Record | undefined {
  try {
    const found = JSON.parse(readFileSync(record, "utf8")) as Partial<Record>;
    return { version: found.version ?? "", isChanging: found.isChanging !== false };
  } catch {
    return undefined;
  }
}

function write({ record }: Places, content: Record): void {
  mkdirSync(path.dirname(record), { recursive: true });
  writeFileSync(record, JSON.stringify(content));
}
