/**
 * Finds Setfill's language server: asks VS Code and this machine for all that the choice depends on. Knows nothing of
 * the language client, and installs nothing.
 */
import { homedir } from "node:os";

import * as vscode from "vscode";

import { ownSetting } from "../settings";
import { chooseServer, type Explanation, type ServerCommand } from "./choice";
import { environmentState, placesBelow } from "./environment";
import { isExecutable } from "./programs";
import { selectedPython } from "./selected_python";

export { type Explanation, isExplanation, type ServerCommand } from "./choice";

/** Find the server. Looks only; it installs nothing. */
export async function findServer(context: vscode.ExtensionContext): Promise<ServerCommand | Explanation> {
  const { isTrusted } = vscode.workspace;
  const configured = ownSetting<string[]>("server.command").filter((word) => word.length > 0);
  const asksPython = isTrusted && configured.length === 0; // which may start the Python extension
  return chooseServer({
    configured,
    isTrusted,
    selectedPython: asksPython ? await selectedPython() : undefined,
    environment: process.env,
    privateEnvironment: environmentState(placesBelow(context.globalStorageUri.fsPath)),
    home: homedir(),
    platform: process.platform,
    isExecutable,
  });
}
