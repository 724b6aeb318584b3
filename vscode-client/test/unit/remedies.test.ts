/** What is offered where the model cannot be had, told by the server's codes, which its source is asked for. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { remediesFor } from "../../src/server/remedies";

const ERRORS = readFileSync("../model/errors.py", "utf8");

function check(code: string, command: string): void {
  assert.ok(ERRORS.includes(`    code = "${code}"\n`), `the server has no code ${code}`);
  assert.equal(remediesFor(code)[0].command, command);
}

test("a default model that is not there is fetched", () => {
  check("model_not_fetched", "setfill.fetchModel");
});

test("a setting that names no model is opened", () => {
  check("model_not_found", "workbench.action.openSettings");
});

test("for all else there is a restart", () => {
  check("worker", "setfill.restartServer");
  assert.equal(remediesFor("a code of a later server")[0].command, "setfill.restartServer");
  assert.equal(remediesFor(null)[0].command, "setfill.restartServer");
  assert.equal(remediesFor(undefined)[0].command, "setfill.restartServer");
});
