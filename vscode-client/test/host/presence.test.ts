import assert from "node:assert/strict";

import * as vscode from "vscode";

describe("the installed extension", () => {
  it("is the .vsix, and starts", async () => {
    const extension = vscode.extensions.getExtension("setfill.setfill");
    assert.ok(extension, "not installed");
    assert.match(extension.extensionPath, /extensions.setfill\.setfill-/);
    await extension.activate();
    assert.ok((await vscode.commands.getCommands(true)).includes("setfill.restartServer"));
  });
});
