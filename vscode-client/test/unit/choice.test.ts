/** Where the server is looked for, in which order, and what the user is told where there is none. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { chooseServer, isExplanation, type Surroundings } from "../../src/server/choice";

const PRIVATE = { kind: "ready", program: "/storage/environment/bin/setfill", version: "1.0" } as const;
const ALL = {
  configured: ["/opt/setfill", "serve", "--log-level", "info"],
  isTrusted: true,
  selectedPython: "/project/.venv/bin/python",
  environment: { PATH: "relative:/usr/local/bin:/usr/bin" },
  privateEnvironment: PRIVATE,
  home: "/home/ada",
  platform: "linux",
} as const;
const PROGRAMS = ["/opt/setfill", "/home/ada/bin/setfill", "/project/.venv/bin/setfill", "/usr/bin/setfill"];

function check(changes: Partial<Surroundings>, expected: string): void {
  const isExecutable = (file: string): boolean => PROGRAMS.includes(file) || file.startsWith("relative");
  const found = chooseServer({ ...ALL, isExecutable, ...changes });
  const seen = isExplanation(found) ? `! ${found.problem}` : [found.command, ...found.args].join(" ");
  assert.ok(isExplanation(found) ? seen.includes(expected) : seen === expected, seen);
}

test("the configured command comes first", () => {
  check({}, "/opt/setfill serve --log-level info");
  check({ configured: ["~/bin/setfill", "serve"] }, "/home/ada/bin/setfill serve");
  check({ configured: ["setfill", "serve"] }, "/usr/bin/setfill serve");
});

test("a configured command that is not there is said, and nothing else is started in its place", () => {
  check({ configured: ["/opt/gone", "serve"] }, '! The setting setfill.server.command names "/opt/gone"');
  check({ configured: ["gone", "serve"] }, '"gone", which is no program here');
});

test("a configured command does not depend on the folder that is open", () => {
  check({ configured: ["./setfill", "serve"], isExecutable: () => true }, '"./setfill", which is no program here');
  check({ configured: ["bin/setfill", "serve"], isExecutable: () => true }, '"bin/setfill", which is no program here');
});

test("then the selected Python, if it has setfill", () => {
  check({ configured: [] }, "/project/.venv/bin/setfill serve");
  check({ configured: [], selectedPython: "/usr/share/python" }, "/usr/bin/setfill serve");
  check({ configured: [], selectedPython: undefined }, "/usr/bin/setfill serve");
});

test("then PATH, but for its relative folders", () => {
  check({ configured: [], selectedPython: undefined, environment: { PATH: "relative:." } }, `${PRIVATE.program} serve`);
});

test("then the private environment", () => {
  const nothing = { configured: [], selectedPython: undefined, environment: {} };
  check(nothing, `${PRIVATE.program} serve`);
  check({ ...nothing, privateEnvironment: { kind: "absent" } }, "! Setfill's server is not installed on this machine");
  check({ ...nothing, privateEnvironment: { kind: "changing" } }, "! Setfill's private environment is being set up");
  check({ ...nothing, privateEnvironment: { kind: "damaged", problem: "it is gone" } }, "cannot be used: it is gone");
});

test("in a folder that is not trusted, only the private environment", () => {
  check({ isTrusted: false }, `${PRIVATE.program} serve`);
  check({ isTrusted: false, privateEnvironment: { kind: "absent" } }, "! In a folder that is not trusted");
});

test("on Windows programs have endings, and a Python may have none of an environment's folders", () => {
  const windows = {
    configured: [],
    platform: "win32",
    environment: { PATH: "C:\\Tools;.", PATHEXT: ".EXE;.CMD" },
  } as const;
  const only = (wanted: string) => ({ isExecutable: (file: string) => file === wanted });
  const python = { selectedPython: "C:\\venv\\Scripts\\python.exe" };
  const global = { selectedPython: "C:\\Python\\python.exe" };
  check({ ...windows, ...python, ...only("C:\\venv\\Scripts\\setfill.exe") }, "C:\\venv\\Scripts\\setfill.exe serve");
  check(
    { ...windows, ...global, ...only("C:\\Python\\Scripts\\setfill.exe") },
    "C:\\Python\\Scripts\\setfill.exe serve",
  );
  check({ ...windows, ...python, ...only("C:\\Tools\\setfill.cmd") }, "C:\\Tools\\setfill.cmd serve");
});

test("what is set for another Python does not reach ours", () => {
  for (const changes of [{ configured: [] }, { isTrusted: false }]) {
    const found = chooseServer({ ...ALL, isExecutable: (file) => PROGRAMS.includes(file), ...changes });
    assert.ok(!isExplanation(found) && "PYTHONPATH" in found.env && found.env["PYTHONPATH"] === undefined);
  }
});

test("each explanation offers something that mends it", () => {
  for (const isTrusted of [true, false]) {
    const found = chooseServer({
      ...ALL,
      configured: [],
      selectedPython: undefined,
      environment: {},
      privateEnvironment: { kind: "absent" },
      isTrusted,
      isExecutable: () => false,
    });
    assert.ok(isExplanation(found) && found.remedies.some(({ command }) => command === "setfill.setUpEnvironment"));
  }
});
