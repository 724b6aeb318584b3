import assert from "node:assert/strict";
import { test } from "node:test";

import { placeOf, Rejections } from "../../src/ghost/rejections";

const TEXT = "one\ntwo\nthree\nfour\nfive = \nsix\nseven\neight\n";
const CURSOR = TEXT.indexOf("\nsix");

test("a text is unwanted from the second refusal on, at its place only", () => {
  const rejections = new Rejections();
  const place = placeOf("file:///a", TEXT, CURSOR);
  rejections.reject(place, "5");
  assert.ok(!rejections.isUnwanted(place, "5"));
  rejections.reject(place, "5");
  assert.ok(rejections.isUnwanted(place, "5"));
  assert.ok(!rejections.isUnwanted(place, "6"));
  assert.ok(!rejections.isUnwanted(placeOf("file:///b", TEXT, CURSOR), "5"));
});

test("a place is another once its surroundings change, and the same when text far away does", () => {
  const place = placeOf("file:///a", TEXT, CURSOR);
  assert.equal(placeOf("file:///a", `zero\n${TEXT}`, CURSOR + 5), place);
  assert.equal(placeOf("file:///a", `${TEXT}nine\n`, CURSOR), place);
  assert.notEqual(placeOf("file:///a", TEXT.replace("four", "4"), CURSOR - 3), place);
  assert.notEqual(placeOf("file:///a", TEXT.replace("six", "6"), CURSOR), place);
});

test("the oldest places are forgotten", () => {
  const rejections = new Rejections();
  const twice = (place: string): void => {
    rejections.reject(place, "x");
    rejections.reject(place, "x");
  };
  for (let place = 0; place <= 500; place += 1) {
    twice(String(place));
  }
  assert.ok(!rejections.isUnwanted("0", "x"));
  assert.ok(rejections.isUnwanted("1", "x"));
  assert.ok(rejections.isUnwanted("500", "x"));
});
