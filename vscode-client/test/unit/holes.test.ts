import assert from "node:assert/strict";
import { test } from "node:test";

import { filled, nearest } from "../../src/infill/holes";

const TEXT = "a = ??? + ???\r\nb = 🙂\n";
const FILLS = [
  { start: 4, end: 7, text: "one" },
  { start: 10, end: 13, text: "two\r\n  + three" },
  { start: 21, end: 21, text: " # b" },
];

test("all holes are filled", () => {
  const { text, spans } = filled(TEXT, FILLS, () => true);
  assert.equal(text, "a = one + two\r\n  + three\r\nb = 🙂 # b\n");
  assert.deepEqual(
    spans.map(({ start, end }) => text.slice(start, end)),
    FILLS.map((fill) => fill.text),
  );
});

test("what is left out stays as it was, and says where it is", () => {
  const { text, spans } = filled(TEXT, FILLS, (index) => index === 1);
  assert.equal(text, "a = ??? + two\r\n  + three\r\nb = 🙂\n");
  assert.deepEqual(
    spans.map(({ start, end }) => text.slice(start, end)),
    ["???", "two\r\n  + three", ""],
  );
  assert.equal(filled(TEXT, FILLS, () => false).text, TEXT);
});

test("the nearest span is the one around, else the one with the nearer edge", () => {
  const spans = [
    { start: 4, end: 7 },
    { start: 10, end: 20 },
  ];
  for (const [offset, expected] of [
    [0, 0],
    [5, 0],
    [7, 0],
    [9, 1],
    [15, 1],
    [99, 1],
  ] as const) {
    assert.equal(nearest(spans, offset), expected, `at ${offset}`);
  }
  assert.equal(nearest([], 3), undefined);
});
