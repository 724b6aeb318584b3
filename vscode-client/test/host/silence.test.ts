/** Why nothing is suggested: every reason that the extension, VS Code or the server can have here. */
import assert from "node:assert/strict";

import * as vscode from "vscode";

import { closeAll, outcome, putCursors, shown, undo, until, why, withSetting } from "./editing";

const TEXT = "import math\n\n\ndef circle_area(radius):\n    return\n";

/** Type a blank at a place, and take it back. */
async function typeAt(editor: vscode.TextEditor, place: string): Promise<void> {
  putCursors(editor, place);
  await vscode.commands.executeCommand("type", { text: " " });
}

describe("why no suggestion", () => {
  let editor: vscode.TextEditor;

  beforeEach(async () => {
    editor = await shown("why.py", TEXT);
  });
  afterEach(closeAll);

  it("the cursor stands inside a word", async () => {
    await typeAt(editor, "def circle_a");
    await until("the server says so", async () => (await why()).reason === "insideWord");
    await undo();
  });

  it("suggestions are off, for all or for a language", async () => {
    await withSetting("setfill.enabled", false, async () => {
      await until("off", async () => (await why()).reason === "off");
    });
    await vscode.commands.executeCommand("setfill.toggleLanguage");
    await until("off for Python", async () => (await why()).reason === "languageOff");
    await vscode.commands.executeCommand("setfill.toggleLanguage");
    await until("on again", async () => !["off", "languageOff"].includes((await why()).reason));
  });

  it("the model is not sure enough", async () => {
    await withSetting("setfill.confidenceFloor", 1, async () => {
      await until("below the floor", async () => {
        await typeAt(editor, "return");
        const silence = await outcome();
        await undo();
        return silence.reason === "belowFloor" && silence.message.includes("the floor is 1.00");
      });
    });
  });

  it("a snooze", async () => {
    await vscode.commands.executeCommand("setfill.snooze");
    await typeAt(editor, "return");
    await until("snoozed", async () => (await why()).reason === "snoozed");
    await vscode.commands.executeCommand("setfill.endSnooze");
    await undo();
    // More than once, for a busy machine may not answer in time.
    await until("suggested again", async () => {
      await typeAt(editor, "return");
      const { reason } = await outcome();
      await undo();
      return reason === "shown";
    });
  });

  it("an excluded file, and a document that is no file", async () => {
    await shown(".env", "TOKEN=\n");
    await until("excluded", async () => (await why()).reason === "excluded");
    await vscode.commands.executeCommand("setfill.showLog");
    await until("the log has the focus", () => vscode.window.activeTextEditor?.document.uri.scheme === "output");
    assert.equal((await why()).reason, "scheme");
    await vscode.commands.executeCommand("workbench.action.closePanel");
    await until("it is closed", () => vscode.window.activeTextEditor?.document.uri.scheme !== "output");
  });

  it("a setting of VS Code's", async () => {
    await withSetting("editor.inlineSuggest.enabled", false, async () => {
      assert.equal((await why()).reason, "editor");
    });
  });
});
