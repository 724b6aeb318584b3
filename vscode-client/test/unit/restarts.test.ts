import assert from "node:assert/strict";
import { test } from "node:test";

import { Restarts } from "../../src/restarts";

test("a server is given up at the fifth death within three minutes", () => {
  const restarts = new Restarts();
  assert.deepEqual(
    [0, 1, 2, 3, 4].map((second) => restarts.died(second * 1000)),
    [true, true, true, true, false],
  );
});

test("deaths that are long ago do not count, nor those before the user's own restart", () => {
  const restarts = new Restarts();
  for (let minute = 0; minute < 20; minute += 1) {
    assert.ok(restarts.died(minute * 60_000));
  }
  for (let second = 0; second < 4; second += 1) {
    restarts.died(3_600_000 + second * 1000);
  }
  restarts.forget();
  assert.ok(restarts.died(3_610_000));
});
