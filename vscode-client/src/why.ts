/** "Why no suggestion?": what keeps the last place silent, by the extension, by VS Code, or by the server. */
import * as vscode from "vscode";

import { type Client, messageOf } from "./client";
import { isServed } from "./documents";
import type { GhostText } from "./ghost/ghost_text";
import { otherProviders } from "./ghost/others";
import type { Silence } from "./protocol";
import { remediesFor } from "./server/remedies";
import { SECTION } from "./settings";

/** Return why; also tell the user, unless the caller only wants to know. */
export async function whyNoSuggestion(
  client: Client,
  ghost: GhostText,
  ownId: string,
  { isTold = true } = {},
): Promise<Silence> {
  const silence = await reason(client, ghost, ownId);
  if (isTold) {
    void show(silence);
  }
  return silence;
}

async function reason(client: Client, ghost: GhostText, ownId: string): Promise<Silence> {
  const editor = vscode.window.activeTextEditor;
  if (!editor) {
    return { reason: "noEditor", message: "No editor is open." };
  }
  const { document } = editor;
  if (!isServed(document)) {
    const message = `Setfill serves files, not documents of the kind "${document.uri.scheme}".`;
    return { reason: "scheme", message };
  }
  if (!vscode.workspace.getConfiguration("editor", document).get<boolean>("inlineSuggest.enabled", true)) {
    const message = "VS Code shows no ghost text: its setting editor.inlineSuggest.enabled is off.";
    return { reason: "editor", message, setting: "editor.inlineSuggest.enabled" };
  }
  const uri = document.uri.toString();
  const here = ghost.silenceIn(uri);
  if (here) {
    return here;
  }
  try {
    const { line, character } = editor.selection.active;
    const textDocument = { uri: client.running.code2ProtocolConverter.asUri(document.uri) };
    const answer = await client.request<Silence>("setfill/whySilent", {
      textDocument,
      position: { line, character },
    });
    const [other] = answer.reason === "shown" ? otherProviders(ownId) : [];
    const setting = answer.setting ? `${SECTION}.${answer.setting}` : null;
    const hint = other ? ` Another extension, ${other.id}, may have shown its own instead.` : "";
    return { ...answer, setting, message: answer.message + hint };
  } catch (error) {
    return { reason: client.state.kind, message: messageOf(error) };
  }
}

async function show({ message, setting, reason, problemCode }: Silence): Promise<void> {
  const open = "Open Setting";
  const ask = "Suggest Now";
  const [remedy] = reason === "workerDown" || reason === "failed" ? remediesFor(problemCode) : [];
  const buttons = setting ? [open] : remedy ? [remedy.title] : [];
  const chosen = await vscode.window.showInformationMessage(`Setfill: ${message}`, ...buttons, ask);
  if (chosen === open) {
    await vscode.commands.executeCommand("workbench.action.openSettings", setting);
  } else if (chosen === ask) {
    await vscode.commands.executeCommand("setfill.suggest");
  } else if (remedy && chosen === remedy.title) {
    await vscode.commands.executeCommand(remedy.command, ...(remedy.arguments ?? []));
  }
}
