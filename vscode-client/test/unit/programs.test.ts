/** Real programs, run to their end, cancelled, missing. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { displayed, onPath, run } from "../../src/server/programs";

const node = (script: string) => ({ program: process.execPath, args: ["-e", script] });
const HERE = { cwd: process.cwd(), env: process.env };

test("status, both outputs, and whole lines as they come", async () => {
  const lines: string[] = [];
  const script =
    'process.stdout.write("a\\nb"); setTimeout(() => { console.log("c"); console.error("d"); process.exitCode = 3 }, 50)';
  const outcome = await run(node(script), { ...HERE, onLine: (line) => lines.push(line) });
  assert.equal(outcome.status, 3);
  assert.deepEqual(lines.sort(), ["a", "bc", "d"]);
  assert.match(outcome.output, /a\nbc/);
});

test("what is cancelled ends with all that it has started", { timeout: 60_000 }, async () => {
  const abort = new AbortController();
  // The grandchild holds the pipes, and never ends by itself: there is an outcome only once it has been ended too.
  const script = `require("child_process").spawn(process.execPath, ["-e", "setInterval(() => 0, 1000)"], { stdio: "inherit" });
    console.log("started"); setInterval(() => 0, 1000)`;
  const onLine = (): void => {
    abort.abort();
  };
  const outcome = await run(node(script), { ...HERE, signal: abort.signal, onLine });
  assert.equal(outcome.status, null);
});

test("what was cancelled before it began ends at once", async () => {
  const outcome = await run(node("setInterval(() => 0, 1000)"), { ...HERE, signal: AbortSignal.abort() });
  assert.equal(outcome.status, null);
});

test("a program that is not there is an outcome", async () => {
  const outcome = await run({ program: "/no/such/program", args: [] }, HERE);
  assert.equal(outcome.status, null);
  assert.match(outcome.output, /ENOENT/);
});

test("commands are shown as one would type them", () => {
  assert.equal(
    displayed({ program: "/usr/bin/python3", args: ["-m", "venv", "/a b/c"] }),
    '/usr/bin/python3 -m venv "/a b/c"',
  );
});

test("PATH is searched in order, in absolute folders only", () => {
  const exists = (file: string): boolean => file.endsWith("/tool");
  assert.equal(onPath("tool", { PATH: "bin:.:/one:/two" }, exists, "linux"), "/one/tool");
  assert.equal(onPath("tool", { PATH: "bin::." }, exists, "linux"), undefined);
  assert.equal(onPath("tool", {}, exists, "linux"), undefined);
});
