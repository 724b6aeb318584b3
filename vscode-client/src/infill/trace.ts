/** The decode trace of the last infill, in a webview. The page stands alone: its own policy lets nothing else run. */
import * as vscode from "vscode";

import { type Client, messageOf } from "../client";
import type { TracePage } from "../protocol";

export async function showTrace(client: Client): Promise<void> {
  const document = vscode.window.activeTextEditor?.document;
  if (!document) {
    void vscode.window.showInformationMessage("Open the file that was infilled first.");
    return;
  }
  try {
    const title = "Setfill: repeating the last infill";
    const location = vscode.ProgressLocation.Window;
    const page = await vscode.window.withProgress({ location, title }, () =>
      client.request<TracePage>("setfill/traceLastInfill", { textDocument: { uri: document.uri.toString() } }),
    );
    const panel = vscode.window.createWebviewPanel("setfill.trace", page.title, vscode.ViewColumn.Beside, {
      enableScripts: true,
      enableCommandUris: false,
      enableForms: false,
      localResourceRoots: [],
    });
    panel.webview.html = page.html;
  } catch (error) {
    void vscode.window.showWarningMessage(`Setfill: ${messageOf(error)}`);
  }
}
