/**
 * Makes the private environment, or brings it up to date: one step after the other, told of, to be cancelled, undone if
 * it fails. Knows nothing of VS Code.
 */
import { mkdirSync } from "node:fs";
import path from "node:path";

import { environmentState, markChanging, markReady, type Places, removeEnvironment } from "./environment";
import { causeOf, progressIn, type Step } from "./environment_steps";
import { displayed, type Run } from "./programs";
import { withoutPythonSettings } from "./virtual_environment";

/** How steps are run, and who is told of them. */
export interface Watch {
  readonly run: Run;
  readonly environment: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  /** Told what is being done, and how much more of the whole is done than before, in percent. */
  readonly report: (message: string, increment: number) => void;
  /** Told every command, and all that it says. */
  readonly log: (line: string) => void;
}

export interface Making extends Watch {
  readonly places: Places;
  readonly steps: readonly Step[];
  /** Of the Setfill that will be installed. */
  readonly version: string;
}

/** A step that did not succeed. Its message is for the user. */
export class StepFailed extends Error {}

/** The user has cancelled. */
export class Cancelled extends Error {}

/**
 * Make the environment from nothing; return what is lacking all the same, in sentences. After StepFailed or Cancelled
 * there is none.
 */
export async function makeEnvironment(making: Making): Promise<string[]> {
  removeEnvironment(making.places);
  markChanging(making.places);
  try {
    const lacks = await takeSteps(making.steps, storageOf(making.places), making);
    markReady(making.places, making.version);
    return lacks;
  } catch (error) {
    removeEnvironment(making.places);
    throw error;
  }
}

/** Put another version into the environment. After StepFailed it holds the one before: pip puts back what it removed. */
export async function updateEnvironment(making: Making): Promise<string[]> {
  const before = environmentState(making.places);
  markChanging(making.places);
  try {
    const lacks = await takeSteps(making.steps, storageOf(making.places), making);
    markReady(making.places, making.version);
    return lacks;
  } catch (error) {
    if (error instanceof StepFailed && before.kind === "ready") markReady(making.places, before.version);
    throw error;
  }
}

function storageOf({ folder }: Places): string {
  return path.dirname(folder);
}

/** Take steps in the folder `cwd`; return what is lacking all the same, in sentences. StepFailed, Cancelled. */
export async function takeSteps(
  steps: readonly Step[],
  cwd: string,
  { run, environment, signal, report, log }: Watch,
): Promise<string[]> {
  mkdirSync(cwd, { recursive: true });
  const env = withoutPythonSettings(environment);
  const lacks: string[] = [];
  for (const { title, command, lackMeans } of steps) {
    report(title, 0);
    log(`${title}: ${displayed(command)}`);
    const onLine = (line: string): void => {
      log(line);
      const progress = progressIn(line);
      if (progress !== undefined) report(`${title}: ${progress}`, 0);
    };
    const outcome = await run(command, { cwd, env, signal, onLine });
    if (signal.aborted) throw new Cancelled(title);
    if (outcome.status !== 0) {
      const failure = `${title} failed: ${causeOf(outcome)}.`;
      log(failure);
      if (lackMeans === undefined) throw new StepFailed(`${failure} The command was: ${displayed(command)}`);
      lacks.push(lackMeans);
    }
    report(title, 100 / steps.length);
  }
  return lacks;
}
