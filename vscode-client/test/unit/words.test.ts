import assert from "node:assert/strict";
import { test } from "node:test";

import type { ServerStatus } from "../../src/protocol";
import { headline, type Mood, moodOf, type Presence, record } from "../../src/presence/words";

const SERVER: ServerStatus = {
  state: "ready",
  progress: 1,
  problem: null,
  problemCode: null,
  model: "setfill-135m",
  precision: "float32",
  decodeMs: 182.4,
  workerPid: 1,
  statistics: {},
};
const READY: Presence = {
  client: "running",
  problem: undefined,
  server: SERVER,
  work: undefined,
  isBusy: false,
  isOn: true,
  isOnForLanguage: true,
  isAutomatic: true,
  snoozedUntil: undefined,
};

function check(changes: Partial<Presence>, mood: Mood, words: string): void {
  const presence = { ...READY, ...changes };
  assert.equal(moodOf(presence), mood);
  assert.equal(headline(presence), words);
}

test("every mood has its words", () => {
  check({}, "ready", "Ready");
  check({ isAutomatic: false }, "ready", "Ready, on demand");
  check({ isBusy: true }, "busy", "Working");
  check({ isOn: false }, "off", "Off");
  check({ isOnForLanguage: false }, "off", "Off for this language");
  check({ snoozedUntil: "14:05" }, "snoozed", "Snoozed until 14:05");
  check({ client: "stopped", server: undefined }, "stopped", "Not started: no file is open");
  check({ client: "starting", server: undefined }, "loading", "Starting");
  check({ work: { title: "Setfill: loading the model", percent: 40 } }, "loading", "Loading the model, 40 %");
  check({ client: "failed", problem: "no server" }, "error", "no server");
  check({ server: { ...SERVER, state: "failed", problem: "no model" } }, "error", "no model");
});

test("what went wrong is said also while Setfill is off or snoozed", () => {
  check({ problem: "no model", isOn: false, snoozedUntil: "14:05" }, "error", "no model");
});

test("the record says what suggesting costs and how it did", () => {
  const statistics = { shown: 12, displayed: 8, accepted: 2, partially_accepted: 1, decodes: 10 };
  assert.equal(
    record({ ...SERVER, statistics }),
    "setfill-135m, float32 · 10 computed, about 182 ms each · 8 seen, 2 accepted (25 %), 1 in part",
  );
  assert.equal(record(SERVER), "setfill-135m, float32");
  assert.equal(record(undefined), "");
});
