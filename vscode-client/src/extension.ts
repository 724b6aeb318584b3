/** Where the extension begins: puts the parts together, and knows nothing of what they do. */
import * as vscode from "vscode";

import { Client } from "./client";
import { createLog } from "./log";

let client: Client | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const log = createLog();
  const started = (client = new Client(context, log));
  context.subscriptions.push(
    log,
    started,
    vscode.commands.registerCommand("setfill.restart", () => started.restart()),
  );
  await started.start();
}

export async function deactivate(): Promise<void> {
  await client?.stop();
}
