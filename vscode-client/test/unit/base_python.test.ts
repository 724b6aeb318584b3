/** Which Python the private environment is made with. */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";

import { findBasePython } from "../../src/server/base_python";
import { run, type Run } from "../../src/server/programs";

/** Pythons that answer like this, by their path. Others cannot be run. */
const answering =
  (answers: Record<string, { version: number[]; hasVenv?: boolean; is64Bit?: boolean }>): Run =>
  ({ program }) => {
    const answer = answers[program];
    const output = JSON.stringify({ hasVenv: true, is64Bit: true, ...answer });
    return Promise.resolve(answer ? { status: 0, output } : { status: null, output: "ENOENT" });
  };
const WISH = { configured: "", selected: undefined, environment: {}, cwd: "/" };

function programs(context: TestContext, ...names: string[]): string {
  const folder = mkdtempSync(path.join(tmpdir(), "setfill-unit-"));
  context.after(() => {
    rmSync(folder, { recursive: true });
  });
  for (const name of names) {
    writeFileSync(path.join(folder, name), "");
    chmodSync(path.join(folder, name), 0o755);
  }
  return folder;
}

test("the configured one, and no other in its place", async () => {
  const some = answering({ "/opt/python": { version: [3, 12] }, "/old/python": { version: [3, 8] } });
  assert.deepEqual(await findBasePython({ ...WISH, configured: "/opt/python", run: some }), { python: "/opt/python" });
  const refused = await findBasePython({ ...WISH, configured: "/old/python", selected: "/opt/python", run: some });
  assert.ok("problem" in refused && /setfill\.environment\.python.*is Python 3\.8/.test(refused.problem));
});

test("the selected one, else the first on PATH that will do", async (context) => {
  const folder = programs(context, "python3", "python3.12");
  const environment = { PATH: folder };
  const some = answering({
    "/venv/python": { version: [3, 13] },
    [path.join(folder, "python3")]: { version: [3, 9] },
    [path.join(folder, "python3.12")]: { version: [3, 12] },
  });
  const selected = "/venv/python";
  assert.deepEqual(await findBasePython({ ...WISH, selected, environment, run: some }), { python: selected });
  const found = await findBasePython({ ...WISH, environment, run: some });
  assert.deepEqual(found, { python: path.join(folder, "python3.12") });
});

test("where none will do, what is wrong with each is said", async (context) => {
  const folder = programs(context, "python3", "python");
  const some = answering({ [path.join(folder, "python3")]: { version: [3, 11], hasVenv: false } });
  const found = await findBasePython({ ...WISH, environment: { PATH: folder }, run: some });
  assert.ok("problem" in found);
  assert.match(found.problem, /python3 lacks the module venv; .*python cannot be run.*apt install python3-venv/);
  const nothing = await findBasePython({ ...WISH, run: some });
  assert.ok("problem" in nothing && nothing.problem.includes("found none. "));
});

test("the Python of this machine answers", async () => {
  const found = await findBasePython({ ...WISH, environment: process.env, cwd: tmpdir(), run });
  assert.ok("python" in found, JSON.stringify(found));
});
