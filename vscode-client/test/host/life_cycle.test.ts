/** The server and the worker die, and come back; the user restarts from any state. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";

import * as vscode from "vscode";

import { closeAll, putCursors, ready, shown, take, undo, until, why } from "./editing";

const TEXT = "import math\n\n\ndef circle_area(radius):\n    return \n";

function ofProcess(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return ""; // it has just ended, or is another user's
  }
}

/** The processes of this run, which share a variable of the environment, whose command line has all of `words`. */
function processes(...words: string[]): number[] {
  const mark = `SETFILL_EDITOR_TEST=${process.env["SETFILL_EDITOR_TEST"] ?? "?"}`;
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && ofProcess(name, "environ").split("\0").includes(mark))
    .filter((pid) => {
      const line = ofProcess(pid, "cmdline").replaceAll("\0", " ");
      return words.every((word) => line.includes(word));
    })
    .map(Number);
}

const servers = (): number[] => processes("setfill", "serve", "--stdio");
const workers = (): number[] => processes("model/worker", "--model");

describe("the life of the server", () => {
  let editor: vscode.TextEditor;

  beforeEach(async () => {
    editor = await shown("life.py", TEXT);
    putCursors(editor, "return ");
  });
  afterEach(closeAll);

  it("goes on when the worker dies", async () => {
    await take(editor);
    await undo();
    const [worker] = workers();
    assert.ok(worker, "there is no worker");
    process.kill(worker, "SIGKILL");
    putCursors(editor, "return ");
    await take(editor);
    assert.ok(!workers().includes(worker));
  });

  it("goes on when the server dies", async () => {
    const [server] = servers();
    assert.ok(server, "there is no server");
    process.kill(server, "SIGKILL");
    await until("another server runs", () => servers().some((pid) => pid !== server));
    await ready();
    putCursors(editor, "return ");
    await take(editor);
  });

  it("is given up when it keeps dying, and started again by hand", async () => {
    await until("it is given up", async () => {
      for (const pid of servers()) {
        process.kill(pid, "SIGKILL");
      }
      await new Promise((resolve) => setTimeout(resolve, 300));
      return (await why()).message.includes("given up");
    });
    await vscode.commands.executeCommand("setfill.restartServer");
    await ready();
    putCursors(editor, "return ");
    await take(editor);
    assert.equal(servers().length, 1);
  });

  it("leaves one server after restarts that overlap", async () => {
    await Promise.all([1, 2, 3].map(() => vscode.commands.executeCommand("setfill.restartServer")));
    await ready();
    await until("one server is left", () => servers().length === 1);
  });
});
