/** Infilling on demand: a selection, cursors jointly, marked holes; previewed, taken, undone. */
import assert from "node:assert/strict";

import * as vscode from "vscode";

import { closeAll, putCursors, shown, undo, until, withSetting } from "./editing";

const THREE = `def summary(values):
    smallest = min(values)
    largest = ???
    mean = ???
    count = ???
    return smallest, largest, mean, count
`;

function diff(): vscode.TabInputTextDiff | undefined {
  const input = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
  return input instanceof vscode.TabInputTextDiff && input.modified.scheme === "setfill-preview" ? input : undefined;
}

async function previewed(): Promise<vscode.TextDocument> {
  const { modified } = await until("the preview shows", diff);
  return vscode.workspace.openTextDocument(modified);
}

describe("infilling", () => {
  afterEach(closeAll);

  it("replaces a selection, and one undo takes it back", async () => {
    const text = "def add(first, second):\n    return nothing at all\n";
    const editor = await shown("selection.py", text);
    const start = editor.document.positionAt(text.indexOf("nothing"));
    editor.selection = new vscode.Selection(start, editor.document.positionAt(text.length - 1));
    await vscode.commands.executeCommand("setfill.infill");
    const filled = await until("it is infilled", () => editor.document.getText() !== text && editor.document.getText());
    assert.ok(filled.startsWith("def add(first, second):\n    return "), filled);
    assert.ok(!filled.includes("nothing at all"), filled);
    await undo();
    assert.equal(editor.document.getText(), text);
  });

  it("fills marked holes jointly, each of which can be left out, by one edit", async () => {
    const editor = await shown("holes.py", THREE);
    await vscode.commands.executeCommand("setfill.infillHoles");
    const preview = await previewed();
    assert.ok(!preview.getText().includes("???"), preview.getText());
    assert.equal(editor.document.getText(), THREE, "nothing is edited yet");
    const all = preview.getText();
    await until("the infilled side has the cursor", async () => {
      await vscode.commands.executeCommand("workbench.action.compareEditor.focusSecondarySide");
      await vscode.commands.executeCommand("workbench.action.compareEditor.focusPrimarySide");
      return vscode.window.activeTextEditor?.document.uri.scheme === "setfill-preview";
    });
    await vscode.commands.executeCommand("setfill.toggleInfill");
    await until("one hole is left out", () => preview.getText().split("???").length === 2);
    await vscode.commands.executeCommand("setfill.toggleInfill");
    await until("it is taken after all", () => preview.getText() === all);
    await vscode.commands.executeCommand("setfill.acceptInfills");
    await until("the infills are in the file", () => editor.document.getText() === all);
    assert.equal(diff(), undefined, "the preview is closed");
    await until("the file has the focus", () => vscode.window.activeTextEditor?.document === editor.document);
    await undo();
    assert.equal(editor.document.getText(), THREE);
  });

  it("fills three cursors jointly; what is discarded leaves no trace", async () => {
    const text = THREE.replaceAll("???", "");
    const editor = await shown("cursors.py", text);
    putCursors(editor, "largest = ", "mean = ", "count = ");
    await vscode.commands.executeCommand("setfill.infillAll");
    const preview = await previewed();
    assert.notEqual(preview.getText(), text);
    await vscode.commands.executeCommand("setfill.discardInfills");
    await until("the preview is closed", () => diff() === undefined);
    assert.equal(editor.document.getText(), text);
  });

  it("refuses what was made for another text", async () => {
    const editor = await shown("moved.py", THREE);
    await vscode.commands.executeCommand("setfill.infillHoles");
    await previewed();
    const edit = new vscode.WorkspaceEdit();
    edit.insert(editor.document.uri, new vscode.Position(0, 0), "# edited\n");
    await vscode.workspace.applyEdit(edit);
    assert.equal(await vscode.commands.executeCommand("setfill.acceptInfills"), false);
    assert.ok(editor.document.getText().includes("???"));
    await vscode.commands.executeCommand("setfill.discardInfills");
  });

  it("goes into the file at once where the user wants no preview", async () => {
    await withSetting("setfill.editor.preview", "never", async () => {
      const editor = await shown("never.py", THREE);
      await vscode.commands.executeCommand("setfill.infillHoles");
      await until("the holes are filled", () => !editor.document.getText().includes("???"));
    });
  });

  it("can be looked at as it was decoded", async () => {
    await withSetting("setfill.editor.preview", "never", async () => {
      const editor = await shown("trace.py", THREE);
      await vscode.commands.executeCommand("setfill.infillHoles");
      await until("the holes are filled", () => !editor.document.getText().includes("???"));
      await vscode.commands.executeCommand("setfill.showTrace");
      await until("the page shows", () => {
        const tabs = vscode.window.tabGroups.all.flatMap((group) => group.tabs);
        return tabs.some(
          ({ input }) => input instanceof vscode.TabInputWebview && input.viewType.includes("setfill.trace"),
        );
      });
    });
  });

  it("through the server's code action is previewed too", async () => {
    const editor = await shown("action.py", THREE);
    const range = new vscode.Range(0, 0, 0, 0);
    const actions = await until("the server offers it", async () => {
      const found = await vscode.commands.executeCommand<vscode.CodeAction[]>(
        "vscode.executeCodeActionProvider",
        editor.document.uri,
        range,
      );
      return found.find(({ title }) => title.includes("3 holes"));
    });
    assert.ok(actions.command);
    await vscode.commands.executeCommand(actions.command.command, ...((actions.command.arguments ?? []) as unknown[]));
    await previewed();
    await vscode.commands.executeCommand("setfill.discardInfills");
  });
});
