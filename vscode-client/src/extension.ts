/** Where the extension begins: puts the parts together, and knows nothing of what they do. */
import * as vscode from "vscode";
import type { Middleware } from "vscode-languageclient/node";

import { Client } from "./client";
import { GhostText } from "./ghost/ghost_text";
import { warnOfOthers } from "./ghost/others";
import { InfillCommands } from "./infill/commands";
import { Preview } from "./infill/preview";
import { showTrace } from "./infill/trace";
import { createLog, type Log } from "./log";
import * as choices from "./presence/choices";
import { showMenu, SNOOZE_MINUTES } from "./presence/menu";
import { Snooze } from "./presence/snooze";
import { Status } from "./presence/status";
import { fetchModel } from "./server/fetch_model";
import { onDidSelectPython } from "./server/selected_python";
import { PrivateEnvironment } from "./server/set_up";
import { ServerSettings } from "./settings";
import { openWalkthrough, welcome } from "./welcome";
import { whyNoSuggestion } from "./why";

let client: Client | undefined;

export function activate(context: vscode.ExtensionContext): void {
  const log = createLog();
  const settings = new ServerSettings(context.extension.packageJSON);
  const snooze = new Snooze(() => {
    status.show();
  });
  const ghost = new GhostText({
    log,
    notify: (method, params) => {
      started.notify(method, params);
    },
    isSnoozed: () => snooze.until !== undefined,
    working: (begins) => {
      status.working(begins);
    },
    answered: (problem, isInvoked) => {
      status.answered(problem);
      if (problem !== undefined && isInvoked) {
        vscode.window.setStatusBarMessage(`Setfill: ${problem}`, 8000);
      }
    },
  });
  const middleware: Middleware = {
    provideInlineCompletionItems: ghost.provide,
    handleWorkDoneProgress: (token, params, next) => {
      status.handleProgress(token, params, next);
    },
    executeCommand: async (command, parameters, next) => {
      // The server's code actions: previewed as the extension's own commands are.
      if (command === "setfill.fill" || command === "setfill.fillHoles") {
        await infills.infillFor(parameters);
        return undefined;
      }
      return (await next(command, parameters)) as unknown;
    },
    workspace: {
      configuration: ({ items }) => items.map(({ section }) => (section === "setfill" ? settings.ofWorkspace() : null)),
    },
  };
  const started = (client = new Client(context, log, settings, middleware));
  const environment = new PrivateEnvironment(context, log, started);
  const status = new Status(started, () => snooze.until);
  const preview = new Preview();
  const infills = new InfillCommands(started, preview);
  const commands: Record<string, (...parameters: never[]) => unknown> = {
    suggest: () => vscode.commands.executeCommand("editor.action.inlineSuggest.trigger"),
    dismiss: () => {
      ghost.dismiss();
      return vscode.commands.executeCommand("editor.action.inlineSuggest.hide");
    },
    whyNoSuggestion: (options?: { isTold?: boolean }) => whyNoSuggestion(started, ghost, context.extension.id, options),
    infill: infills.infill,
    infillAll: infills.infillAll,
    infillHoles: infills.infillHoles,
    showTrace: () => showTrace(started),
    acceptInfills: () => preview.accept(),
    toggleInfill: () => {
      preview.toggle();
    },
    discardInfills: () => preview.discard(),
    toggle: choices.toggle,
    toggleLanguage: choices.toggleLanguage,
    toggleAutomatic: choices.toggleAutomatic,
    snooze: () => {
      snooze.start(SNOOZE_MINUTES * 60_000);
      return vscode.commands.executeCommand("editor.action.inlineSuggest.hide");
    },
    endSnooze: () => {
      snooze.stop();
    },
    showMenu: () => showMenu(status),
    restartServer: () => started.restart(),
    setUpEnvironment: environment.setUp,
    removeEnvironment: environment.remove,
    fetchModel: () => fetchModel(context, log, started.server),
    openServerSettings: () =>
      vscode.commands.executeCommand("workbench.action.openSettings", "@ext:setfill.setfill server environment"),
    showLog: () => {
      log.show();
    },
    openWalkthrough: () => openWalkthrough(context),
  };
  context.subscriptions.push(log, started, status, ghost, preview, snooze, ...registered(commands, log));
  context.subscriptions.push(
    vscode.workspace.onDidChangeConfiguration((change) => {
      const { kind } = started.state;
      if (settings.needsRestart(change) && kind !== "stopped" && kind !== "failed") {
        void started.restart();
      } else if (
        settings.needsRestart(change) ||
        change.affectsConfiguration("setfill.server") ||
        change.affectsConfiguration("python")
      ) {
        void started.reconsider();
      }
    }),
    vscode.workspace.onDidGrantWorkspaceTrust(() => void started.reconsider()),
    vscode.extensions.onDidChange(() => void warnOfOthers(context)),
  );
  let listening: vscode.Disposable | undefined;
  context.subscriptions.push(
    started.onDidChangeState(() => {
      listening ??= onDidSelectPython(() => void started.reconsider());
    }),
    {
      dispose: () => {
        listening?.dispose();
      },
    },
  );
  started.startWhenNeeded();
  void environment.offerUpdate();
  void welcome(context);
  void warnOfOthers(context);
}

export async function deactivate(): Promise<void> {
  await client?.stop();
}

function registered(commands: Record<string, (...parameters: never[]) => unknown>, log: Log): vscode.Disposable[] {
  return Object.entries(commands).map(([name, run]) =>
    vscode.commands.registerCommand(`setfill.${name}`, async (...parameters: never[]) => {
      try {
        return await run(...parameters);
      } catch (error) {
        log.error(`${name}: ${error instanceof Error ? error.message : String(error)}`);
        throw error;
      }
    }),
  );
}
