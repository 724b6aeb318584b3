/**
 * Gets the default model where the server has none: by the server's own program, and on a click only. Knows nothing of
 * models.
 */
import * as vscode from "vscode";

import type { Log } from "../log";
import type { ServerCommand } from "./choice";
import { stepToFetch } from "./environment_steps";
import { takeSteps } from "./make_environment";
import { RESTART } from "./remedies";
import { watched } from "./watched";

/** Fetch the model for what `server` starts, and start it anew. */
export async function fetchModel(
  context: vscode.ExtensionContext,
  log: Log,
  server: ServerCommand | undefined,
): Promise<void> {
  const step = server && stepToFetch(server);
  if (!step) {
    void vscode.window.showErrorMessage("Setfill: run `setfill models fetch` where the server is installed.");
    return;
  }
  const storage = context.globalStorageUri.fsPath;
  const lacks = await watched(
    "fetching the model",
    log,
    (watch) => takeSteps([step], storage, { ...watch, environment: { ...watch.environment, ...server.env } }),
    () => void fetchModel(context, log, server),
  );
  if (lacks) await vscode.commands.executeCommand(RESTART.command);
}
