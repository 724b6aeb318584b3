/** Making the private environment, with the programs played: how it ends well, fails, is cancelled, is brought up to date. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";

import { environmentState, markReady, type Places, placesBelow } from "../../src/server/environment";
import type { Step } from "../../src/server/environment_steps";
import {
  Cancelled,
  makeEnvironment,
  type Making,
  StepFailed,
  updateEnvironment,
} from "../../src/server/make_environment";
import type { Run } from "../../src/server/programs";

const step = (name: string, lackMeans?: string): Step => ({
  title: `doing ${name}`,
  command: { program: name, args: ["--now"] },
  ...(lackMeans === undefined ? {} : { lackMeans }),
});

/** A run of programs that leaves an environment behind; those in `failing` say something and fail. */
function playing(
  places: Places,
  failing: readonly string[] = [],
  onRun: (name: string) => void = () => undefined,
): Run {
  return ({ program }, { onLine }) => {
    onRun(program);
    const bin = path.join(places.folder, "bin");
    mkdirSync(bin, { recursive: true });
    if (!existsSync(path.join(bin, "python"))) symlinkSync(process.execPath, path.join(bin, "python"));
    writeFileSync(path.join(bin, "setfill"), "", { mode: 0o755 });
    onLine?.(`  Downloading ${program}-1.0-py3-none-any.whl (1 MB)`);
    const isFailing = failing.includes(program);
    return Promise.resolve({ status: isFailing ? 1 : 0, output: isFailing ? "ERROR: out of luck" : "" });
  };
}

function making(context: TestContext, changes: Partial<Making> = {}): Making & { said: string[]; done: () => number } {
  const folder = mkdtempSync(path.join(tmpdir(), "setfill-unit-"));
  context.after(() => {
    rmSync(folder, { recursive: true });
  });
  const places = placesBelow(folder);
  const said: string[] = [];
  let done = 0;
  return {
    places,
    steps: [step("one"), step("two", "Without two it limps."), step("three")],
    version: "2.0",
    run: playing(places),
    environment: { PYTHONPATH: "/elsewhere", PIP_TARGET: "/elsewhere", PIP_INDEX_URL: "https://index.example" },
    signal: new AbortController().signal,
    report: (message, increment) => {
      said.push(message);
      done += increment;
    },
    log: (line) => said.push(line),
    said,
    done: () => Math.round(done),
    ...changes,
  };
}

test("all goes well: progress to the end, each command told, an environment that is ready", async (context) => {
  const it = making(context);
  assert.deepEqual(await makeEnvironment(it), []);
  assert.equal(environmentState(it.places).kind, "ready");
  assert.equal(it.done(), 100);
  assert.ok(it.said.includes("doing two: two --now"));
  assert.ok(it.said.includes("doing three: three 1.0 (1 MB)"));
});

test("a step fails: the command is told, and nothing is left", async (context) => {
  const it = making(context);
  const failing = makeEnvironment({ ...it, run: playing(it.places, ["three"]) });
  await assert.rejects(failing, (error) => {
    assert.ok(error instanceof StepFailed);
    assert.equal(error.message, "doing three failed: ERROR: out of luck. The command was: three --now");
    return true;
  });
  assert.equal(environmentState(it.places).kind, "absent");
  assert.ok(!existsSync(it.places.folder));
});

test("what may be lacking is told at the end", async (context) => {
  const it = making(context);
  const lacks = await makeEnvironment({ ...it, run: playing(it.places, ["two"]) });
  assert.deepEqual(lacks, ["Without two it limps."]);
  assert.equal(environmentState(it.places).kind, "ready");
});

test("it is cancelled: no further step, nothing is left", async (context) => {
  const abort = new AbortController();
  const ran: string[] = [];
  const it = making(context, { signal: abort.signal });
  const run = playing(it.places, [], (name) => {
    ran.push(name);
    abort.abort();
  });
  await assert.rejects(makeEnvironment({ ...it, run }), Cancelled);
  assert.deepEqual(ran, ["one"]);
  assert.ok(!existsSync(it.places.folder) && environmentState(it.places).kind === "absent");
});

test("while it is made, nobody takes it for one that is ready", async (context) => {
  const it = making(context);
  const seen: string[] = [];
  const run = playing(it.places, [], () => seen.push(environmentState(it.places).kind));
  await makeEnvironment({ ...it, run });
  assert.deepEqual(seen, ["damaged", "damaged", "damaged"]);
});

test("pip keeps the user's index, and nothing that would lead it elsewhere", async (context) => {
  const it = making(context);
  const environments: NodeJS.ProcessEnv[] = [];
  const played = playing(it.places);
  const run: Run = (command, options) => {
    environments.push(options.env);
    assert.equal(options.cwd, path.dirname(it.places.folder));
    return played(command, options);
  };
  await makeEnvironment({ ...it, run });
  assert.deepEqual(environments[0], { PIP_INDEX_URL: "https://index.example" });
});

test("an update that fails leaves the version before", async (context) => {
  const it = making(context);
  await makeEnvironment(it);
  markReady(it.places, "1.0");
  await assert.rejects(updateEnvironment({ ...it, run: playing(it.places, ["three"]) }), StepFailed);
  const state = environmentState(it.places);
  assert.ok(state.kind === "ready" && state.version === "1.0", JSON.stringify(state));
  await updateEnvironment(it);
  const updated = environmentState(it.places);
  assert.ok(updated.kind === "ready" && updated.version === "2.0", JSON.stringify(updated));
});

test("an update that is cut off leaves nothing that is used", async (context) => {
  const abort = new AbortController();
  const it = making(context);
  await makeEnvironment(it);
  const run = playing(it.places, [], () => {
    abort.abort();
  });
  await assert.rejects(updateEnvironment({ ...it, run, signal: abort.signal }), Cancelled);
  assert.equal(environmentState(it.places).kind, "damaged");
});
