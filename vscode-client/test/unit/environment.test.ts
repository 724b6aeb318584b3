/** What the private environment on disk is taken for. */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";

import {
  environmentState,
  markChanging,
  markReady,
  type Places,
  placesBelow,
  removeEnvironment,
  takeLock,
  wheelIn,
} from "../../src/server/environment";

function storage(context: TestContext): Places {
  const folder = mkdtempSync(path.join(tmpdir(), "setfill-unit-"));
  context.after(() => {
    rmSync(folder, { recursive: true });
  });
  return placesBelow(path.join(folder, "storage"));
}

function install({ folder }: Places): string {
  const bin = path.join(folder, "bin");
  mkdirSync(bin, { recursive: true });
  symlinkSync(process.execPath, path.join(bin, "python"));
  const program = path.join(bin, "setfill");
  writeFileSync(program, "");
  chmodSync(program, 0o755);
  return program;
}

test("it is there once it is marked as ready, and gone when it is removed", (context) => {
  const places = storage(context);
  assert.deepEqual(environmentState(places), { kind: "absent" });
  const program = install(places);
  assert.deepEqual(environmentState(places), { kind: "absent" }, "half an environment is none");
  markReady(places, "1.2");
  assert.deepEqual(environmentState(places), { kind: "ready", program, version: "1.2" });
  removeEnvironment(places);
  assert.deepEqual(environmentState(places), { kind: "absent" });
});

test("one whose change never ended is not used", (context) => {
  const places = storage(context);
  install(places);
  markReady(places, "1.2");
  markChanging(places);
  const state = environmentState(places);
  assert.ok(state.kind === "damaged" && state.problem.includes("when VS Code ended"), JSON.stringify(state));
  takeLock(places);
  assert.deepEqual(environmentState(places), { kind: "changing" });
});

test("one whose Python is gone, or whose setfill, says so", (context) => {
  const places = storage(context);
  markReady(places, "1.2");
  const state = environmentState(places);
  assert.ok(state.kind === "damaged" && state.problem.includes("Python"), JSON.stringify(state));
  rmSync(install(places));
  const without = environmentState(places);
  assert.ok(without.kind === "damaged" && without.problem.includes("no setfill"), JSON.stringify(without));
});

test("a record that cannot be read is none", (context) => {
  const places = storage(context);
  markReady(places, "1.2");
  writeFileSync(places.record, "{");
  assert.equal(environmentState(places).kind, "absent");
});

test("one process at a time changes it, and a dead one holds nothing", (context) => {
  const places = storage(context);
  const release = takeLock(places);
  assert.ok(release);
  assert.equal(takeLock(places), undefined);
  release();
  writeFileSync(places.lock, "999999999"); // no process has this number
  assert.ok(takeLock(places));
});

test("the wheel that the extension brings", (context) => {
  const { folder } = storage(context);
  assert.equal(wheelIn(folder), undefined);
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, "constraints.txt"), "");
  assert.equal(wheelIn(folder), undefined);
  writeFileSync(path.join(folder, "setfill-0.3.0-py3-none-any.whl"), "");
  assert.equal(wheelIn(folder)?.version, "0.3.0");
});
