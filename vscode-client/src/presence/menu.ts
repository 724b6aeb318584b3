/** The menu of the status bar item. */
import * as vscode from "vscode";

import type { Status } from "./status";
import { figures, headline, modelOf, type Presence } from "./words";

export const SNOOZE_MINUTES = 5;

interface Entry extends vscode.QuickPickItem {
  readonly command?: string;
  readonly arguments?: readonly unknown[];
}

export async function showMenu(status: Status): Promise<void> {
  await status.refresh();
  const { presence } = status;
  const chosen = await vscode.window.showQuickPick(entries(presence), {
    title: [`Setfill: ${headline(presence)}`, modelOf(presence.server)].filter(Boolean).join(" · "),
    placeHolder: figures(presence.server),
  });
  if (chosen?.command) {
    await vscode.commands.executeCommand(chosen.command, ...(chosen.arguments ?? []));
  }
}

function entries({ isOn, isOnForLanguage, isAutomatic, snoozedUntil }: Presence): Entry[] {
  const language = vscode.window.activeTextEditor?.document.languageId;
  const ofLanguage: Entry[] =
    language === undefined
      ? []
      : [
          isOnForLanguage
            ? { label: `$(circle-slash) Turn Off for ${language}`, command: "setfill.toggleLanguage" }
            : { label: `$(sparkle) Turn On for ${language}`, command: "setfill.toggleLanguage" },
        ];
  return [
    isOn
      ? { label: "$(circle-slash) Turn Off", command: "setfill.toggle" }
      : { label: "$(sparkle) Turn On", command: "setfill.toggle" },
    ...ofLanguage,
    snoozedUntil === undefined
      ? { label: `$(bell-slash) Snooze for ${SNOOZE_MINUTES} Minutes`, command: "setfill.snooze" }
      : { label: "$(bell) End the Snooze", command: "setfill.endSnooze" },
    isAutomatic
      ? { label: "$(person) Suggest Only on Demand", command: "setfill.toggleAutomatic" }
      : { label: "$(zap) Suggest While I Type", command: "setfill.toggleAutomatic" },
    { label: "", kind: vscode.QuickPickItemKind.Separator },
    { label: "$(question) Why No Suggestion?", command: "setfill.whyNoSuggestion" },
    { label: "$(debug-restart) Restart the Server", command: "setfill.restartServer" },
    { label: "$(output) Show Log", command: "setfill.showLog" },
    { label: "$(gear) Settings", command: "workbench.action.openSettings", arguments: ["setfill."] },
  ];
}
