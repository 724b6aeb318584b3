/** The first start: the walkthrough is opened once, for who has not asked VS Code to open nothing by itself. */
import * as vscode from "vscode";

const WELCOMED = "setfill.welcomed";

export async function welcome(context: vscode.ExtensionContext): Promise<void> {
  if (context.globalState.get<boolean>(WELCOMED)) {
    return;
  }
  await context.globalState.update(WELCOMED, true);
  const startup = vscode.workspace.getConfiguration("workbench").get<string>("startupEditor");
  if (startup !== "none") {
    await openWalkthrough(context);
  }
}

export async function openWalkthrough(context: vscode.ExtensionContext): Promise<void> {
  const category = `${context.extension.id}#start`;
  await vscode.commands.executeCommand("workbench.action.openWalkthrough", category, false);
}
