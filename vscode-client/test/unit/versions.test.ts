/** Which of two versions is newer, and which version a wheel has. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { isNewer, versionOfWheel } from "../../src/server/versions";

test("versions in their order", () => {
  const inOrder = ["0.1.0", "0.2.0.dev1", "0.2.0a1", "0.2.0a10", "0.2.0rc1", "0.2.0", "0.2.1", "0.10", "1", "1.0.1"];
  inOrder.forEach((one, i) => {
    inOrder.forEach((other, j) => {
      assert.equal(isNewer(one, other), i > j, `${one} > ${other}`);
    });
  });
  assert.ok(!isNewer("1.0", "1") && !isNewer("1", "1.0"));
});

test("the version of a wheel is in its name", () => {
  assert.equal(versionOfWheel("setfill-0.1.0-py3-none-any.whl"), "0.1.0");
  assert.equal(versionOfWheel("setfill_weights-0.1.0-py3-none-any.whl"), undefined);
  assert.equal(versionOfWheel("constraints.txt"), undefined);
});
