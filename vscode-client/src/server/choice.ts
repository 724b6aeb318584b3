/**
 * Which program is Setfill's language server on this machine. Knows the order in which places are looked at; knows
 * nothing of the language client, and installs nothing.
 */
import path from "node:path";

import type { EnvironmentState } from "./environment";
import { onPath } from "./programs";
import { type Remedy, RESTART } from "./remedies";
import { besidePython } from "./virtual_environment";

/** How to start the server: it speaks LSP on its standard input and output. */
export interface ServerCommand {
  readonly command: string;
  readonly args: readonly string[];
  /** Environment variables put over those of the extension host; undefined takes one away. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where the command was found, for the log and the status: "configured", "PATH", ... */
  readonly origin: string;
}

/** Why no server can be started, in words for the user, and what would mend it. */
export interface Explanation {
  readonly problem: string;
  readonly remedies: readonly Remedy[];
  /** Whether it passes by itself. */
  readonly isPassing?: true;
}

/** All that decides which server is started. */
export interface Surroundings {
  /** The setting `server.command`: a program and its arguments, or nothing. */
  readonly configured: readonly string[];
  /** Whether the user trusts the folder that is open. */
  readonly isTrusted: boolean;
  /** The Python that the user has selected, if any. */
  readonly selectedPython: string | undefined;
  readonly environment: NodeJS.ProcessEnv;
  readonly privateEnvironment: EnvironmentState;
  readonly home: string;
  readonly platform: NodeJS.Platform;
  readonly isExecutable: (file: string) => boolean;
}

const SET_UP = { title: "Set Up...", command: "setfill.setUpEnvironment" };
const SETTINGS = { title: "Open Settings", command: "setfill.openServerSettings" };
const TRUST = { title: "Manage Trust", command: "workbench.trust.manage" };
// What is set for another Python must not reach this one.
const CLEAN = { PYTHONHOME: undefined, PYTHONPATH: undefined };

/**
 * Choose the server: the configured command; `setfill` beside the selected Python; `setfill` on PATH; the private
 * environment. In a folder that is not trusted only the last, which nothing in the folder can have changed.
 */
export function chooseServer(surroundings: Surroundings): ServerCommand | Explanation {
  if (surroundings.isTrusted) {
    return (
      configured(surroundings) ??
      besideSelectedPython(surroundings) ??
      fromPath(surroundings) ??
      fromPrivateEnvironment(surroundings)
    );
  }
  return fromPrivateEnvironment(surroundings);
}

function configured(surroundings: Surroundings): ServerCommand | Explanation | undefined {
  const [name, ...args] = surroundings.configured;
  if (name === undefined) return undefined;
  const program = programNamed(name, surroundings);
  if (program === undefined) {
    const problem = `The setting setfill.server.command names ${JSON.stringify(name)}, which is no program here.`;
    return { problem, remedies: [SETTINGS] };
  }
  return { command: program, args, env: {}, origin: "configured" };
}

function programNamed(name: string, { home, environment, platform, isExecutable }: Surroundings): string | undefined {
  const expanded = /^~[/\\]/.test(name) ? path.join(home, name.slice(2)) : name;
  const isPath = platform === "win32" ? path.win32.isAbsolute(expanded) : path.posix.isAbsolute(expanded);
  if (isPath) return isExecutable(expanded) ? expanded : undefined;
  // A relative path would depend on the folder that is open.
  return /[/\\]/.test(expanded) ? undefined : onPath(expanded, environment, isExecutable, platform);
}

function besideSelectedPython(surroundings: Surroundings): ServerCommand | undefined {
  const { selectedPython, platform, isExecutable } = surroundings;
  if (selectedPython === undefined) return undefined;
  const command = besidePython(selectedPython, "setfill", platform).find(isExecutable);
  return command === undefined ? undefined : { command, args: ["serve"], env: CLEAN, origin: "selected Python" };
}

function fromPath({ environment, isExecutable, platform }: Surroundings): ServerCommand | undefined {
  const command = onPath("setfill", environment, isExecutable, platform);
  return command === undefined ? undefined : { command, args: ["serve"], env: {}, origin: "PATH" };
}

function fromPrivateEnvironment({ privateEnvironment, isTrusted }: Surroundings): ServerCommand | Explanation {
  const trust = isTrusted ? [] : [TRUST];
  switch (privateEnvironment.kind) {
    case "ready":
      return { command: privateEnvironment.program, args: ["serve"], env: CLEAN, origin: "private environment" };
    case "changing":
      return {
        problem: "Setfill's private environment is being set up just now, maybe from another window.",
        remedies: [RESTART],
        isPassing: true,
      };
    case "damaged":
      return {
        problem: `Setfill's private environment cannot be used: ${privateEnvironment.problem}. Set it up anew.`,
        remedies: [SET_UP, ...trust],
      };
    case "absent":
      return isTrusted
        ? {
            problem:
              "Setfill's server is not installed on this machine. It can be set up in an environment of its own.",
            remedies: [SET_UP, SETTINGS],
          }
        : {
            problem:
              "In a folder that is not trusted, Setfill starts only from its private environment, which is not set up.",
            remedies: [SET_UP, TRUST],
          };
  }
}

export function isExplanation(found: ServerCommand | Explanation): found is Explanation {
  return "problem" in found;
}
