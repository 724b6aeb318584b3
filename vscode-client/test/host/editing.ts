/** What the tests in the extension host share: documents, suggestions, waiting. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";

import * as vscode from "vscode";

export interface Silence {
  readonly reason: string;
  readonly message: string;
}

type Falsy = false | "" | 0 | null | undefined;

/** Wait until something is true, and return that; fail after a while, saying what was waited for. */
export async function until<T>(what: string, look: () => T | Promise<T>): Promise<Exclude<T, Falsy>> {
  for (const end = Date.now() + 80_000; Date.now() < end;) {
    const found = await look();
    if (found) {
      return found as Exclude<T, Falsy>;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`waited in vain until ${what}`);
}

/** Write a file into the open folder and show it; return once the model is loaded. */
export async function shown(name: string, text: string): Promise<vscode.TextEditor> {
  const [folder] = vscode.workspace.workspaceFolders ?? [];
  assert.ok(folder, "no folder is open");
  const file = path.join(folder.uri.fsPath, name);
  writeFileSync(file, text);
  const editor = await vscode.window.showTextDocument(vscode.Uri.file(file));
  await ready();
  return editor;
}

/** Put one cursor, or several, behind the places where `texts` end. */
export function putCursors(editor: vscode.TextEditor, ...texts: string[]): void {
  editor.selections = texts.map((text) => {
    const at = editor.document.getText().indexOf(text);
    assert.ok(at >= 0, text);
    const place = editor.document.positionAt(at + text.length);
    return new vscode.Selection(place, place);
  });
}

export async function why(): Promise<Silence> {
  return vscode.commands.executeCommand<Silence>("setfill.whyNoSuggestion", { isTold: false });
}

/** Wait until the last request has come to something; return what. */
export async function outcome(): Promise<Silence> {
  const unfinished = ["starting", "loading", "stopped", "notAsked", "running", "overtaken", "withdrawn"];
  return until("there is an outcome", async () => {
    const found = await why();
    return unfinished.includes(found.reason) ? undefined : found;
  });
}

/** Wait until the model is loaded. */
export async function ready(): Promise<void> {
  await until("the model is loaded", async () => !["starting", "loading", "stopped"].includes((await why()).reason));
}

/** Ask by hand until a suggestion shows, and take it by a command of VS Code's; return the text then. */
export async function take(editor: vscode.TextEditor, command = "commit"): Promise<string> {
  const before = editor.document.getText();
  await until("a suggestion was taken", async () => {
    await vscode.commands.executeCommand("setfill.suggest"); // in vain as long as VS Code knows of no provider
    await until("it has been computed", async () => (await why()).reason !== "running");
    await vscode.commands.executeCommand(`editor.action.inlineSuggest.${command}`);
    return editor.document.getText() !== before;
  });
  return editor.document.getText();
}

export async function undo(): Promise<void> {
  await vscode.commands.executeCommand("undo");
}

/** Close all editors without saving. */
export async function closeAll(): Promise<void> {
  while (vscode.window.activeTextEditor?.document.isDirty) {
    await vscode.commands.executeCommand("workbench.action.revertAndCloseActiveEditor");
  }
  await vscode.commands.executeCommand("workbench.action.closeAllEditors");
}

/** Change a setting of the user's for some work. */
export async function withSetting(name: string, value: unknown, work: () => Promise<void>): Promise<void> {
  const configuration = (): vscode.WorkspaceConfiguration => vscode.workspace.getConfiguration();
  const before: unknown = configuration().inspect(name)?.globalValue;
  await configuration().update(name, value, vscode.ConfigurationTarget.Global);
  try {
    await work();
  } finally {
    await configuration().update(name, before, vscode.ConfigurationTarget.Global);
  }
}
