/** What is offered where the model cannot be had, told from the server's own words, which its source is asked for. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { remediesFor } from "../../src/server/remedies";

const SAID = readFileSync("../model/store.py", "utf8");

function check(words: string, problem: string, command: string): void {
  assert.ok(SAID.includes(words), `the server says something else than: ${words}`);
  assert.equal(remediesFor(problem)[0].command, command);
}

test("a default model that is not there is fetched", () => {
  check(
    "is not installed; run: setfill models fetch",
    "Setfill: the model setfill-135m is not installed; run: setfill models fetch (downloads 101 MB)",
    "setfill.fetchModel",
  );
});

test("a setting that names no model is opened", () => {
  check(
    "no model is called {name}",
    "no model is called tiny (installed: none); run: setfill models import PATH --name tiny, or setfill models fetch",
    "workbench.action.openSettings",
  );
  check(
    "does not exist; give a model's directory",
    "/gone does not exist; give a model's directory, a GGUF file or an installed name",
    "workbench.action.openSettings",
  );
});

test("for all else there is a restart", () => {
  assert.equal(remediesFor("the model worker keeps ending").at(0)?.command, "setfill.restartServer");
});
