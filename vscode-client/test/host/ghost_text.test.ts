/** Ghost text from the real server and model, taken in every way. */
import assert from "node:assert/strict";

import * as vscode from "vscode";

import { closeAll, putCursors, shown, take, undo, until, why } from "./editing";

const PYTHON = "import math\n\n\ndef circle_area(radius):\n    return \n";
const TYPESCRIPT = "export function add(first: number, second: number): number {\n  return \n}\n";

describe("ghost text", () => {
  afterEach(closeAll);

  for (const [name, text] of [
    ["area.py", PYTHON],
    ["add.ts", TYPESCRIPT],
  ] as const) {
    it(`is taken whole, and undone at once, in ${name}`, async () => {
      const editor = await shown(name, text);
      putCursors(editor, "return ");
      const taken = await take(editor);
      const [before = "", behind = ""] = text.split("return ");
      assert.ok(taken.startsWith(`${before}return `) && taken.endsWith(behind), taken);
      await undo();
      assert.equal(editor.document.getText(), text);
    });
  }

  it("is taken by a word and by a line", async () => {
    const editor = await shown("word.py", PYTHON);
    putCursors(editor, "return ");
    const whole = await take(editor);
    await undo();
    putCursors(editor, "return ");
    const word = await take(editor, "acceptNextWord");
    assert.ok(word.length < whole.length, word);
    const start = word.indexOf("return ") + "return ".length;
    assert.ok(whole.slice(start).startsWith(word.slice(start, word.lastIndexOf("\n"))), `${word} of ${whole}`);
    await vscode.commands.executeCommand("editor.action.inlineSuggest.acceptNextLine");
    await until("the line is taken", () => editor.document.getText().startsWith(whole.trimEnd()));
  });

  it("comes by itself while typing", async () => {
    const editor = await shown("type.py", PYTHON.replace("return ", "return")); // in which nothing was asked before
    putCursors(editor, "return");
    await vscode.commands.executeCommand("type", { text: " " });
    await until("it was suggested", async () => (await why()).reason === "shown");
    await until("it is taken", async () => {
      await vscode.commands.executeCommand("editor.action.inlineSuggest.commit");
      return editor.document.getText().length > PYTHON.length;
    });
  });

  it("comes at a cursor of a notebook's cell", async () => {
    const cell = new vscode.NotebookCellData(vscode.NotebookCellKind.Code, "def add(a, b):\n    return ", "python");
    const notebook = await vscode.workspace.openNotebookDocument("jupyter-notebook", new vscode.NotebookData([cell]));
    const document = notebook.cellAt(0).document;
    await until("the server knows the cell", async () => {
      const editor = await vscode.window.showTextDocument(document);
      putCursors(editor, "return ");
      return (await why()).reason !== "notOpen";
    });
  });
});
