/** What `setfill lint` finds in lines that are not committed, shown as VS Code shows problems. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";

import * as vscode from "vscode";

import { closeAll, putCursors, until } from "./editing";

const COMMITTED = "def half(number):\n    return number / 2\n";

function git(folder: string, words: readonly string[]): void {
  execFileSync("git", ["-c", "user.name=A", "-c", "user.email=a@example.org", ...words], { cwd: folder });
}

function problems(document: vscode.TextDocument): vscode.Diagnostic[] {
  return vscode.languages.getDiagnostics(document.uri).filter((each) => each.source === "setfill");
}

describe("lines that are not committed", () => {
  afterEach(closeAll);

  it("have problems, which go with them", async () => {
    const [folder] = vscode.workspace.workspaceFolders ?? [];
    assert.ok(folder, "no folder is open");
    const file = path.join(folder.uri.fsPath, "half.py");
    writeFileSync(file, COMMITTED);
    for (const words of [
      ["init", "-q"],
      ["add", "half.py"],
      ["commit", "-qm", "half"],
    ])
      git(folder.uri.fsPath, words);
    const editor = await vscode.window.showTextDocument(vscode.Uri.file(file)); // the model is not waited for
    const { document } = editor;
    putCursors(editor, "number / 2\n");
    await vscode.commands.executeCommand("type", { text: "# ... rest of the code unchanged ..." });
    const [found] = await until("a problem is shown", () => problems(document).length > 0 && problems(document));
    assert.ok(found);
    assert.equal(found.code, "placeholder-comment");
    assert.equal(found.severity, vscode.DiagnosticSeverity.Error);
    assert.equal(found.range.start.line, 2);
    await editor.edit((edit) => {
      edit.delete(document.lineAt(2).range);
    });
    assert.equal(document.getText(), COMMITTED);
    await until("no problem is shown", () => problems(document).length === 0);
  });
});
