import assert from "node:assert/strict";
import { test } from "node:test";

import { type Fate, type Offer, Offers, READ_MS } from "../../src/ghost/offers";

const URI = "file:///a.py";

function offer(text: string, offset = 10, place = "here", atMs = 0): Offer {
  return { uri: URI, offset, texts: [{ text, id: 7 }], place, atMs };
}

/** Insert texts one after the other where the suggestion shows; return the last fate. */
function typed(shown: Offer, texts: readonly string[], atMs = READ_MS): Fate | undefined {
  const offers = new Offers();
  offers.offered(shown);
  let offset = shown.offset;
  let fate: Fate | undefined;
  for (const text of texts) {
    fate = offers.changed(URI, [{ offset, removed: 0, text }], atMs);
    offset += text.length;
  }
  return fate;
}

test("a suggestion inserted whole is accepted, also after a part of it was typed", () => {
  assert.deepEqual(typed(offer("abc"), ["abc"]), { kind: "accepted" });
  assert.deepEqual(typed(offer("abc"), ["a", "bc"]), { kind: "accepted" });
});

test("a beginning inserted at once is a part accepted, counted in code points; one key is typing", () => {
  assert.deepEqual(typed(offer("ab🙂 cd"), ["ab🙂"]), { kind: "partlyAccepted", id: 7, characters: 3 });
  assert.deepEqual(typed(offer("abc"), ["a"]), { kind: "typedThrough" });
});

test("typing something else refuses what was on the screen long enough to be read", () => {
  assert.deepEqual(typed(offer("abc"), ["x"]), { kind: "rejected", at: [{ place: "here", text: "abc" }] });
  assert.deepEqual(typed(offer("abc"), ["x"], READ_MS - 1), { kind: "left" });
});

test("of several candidates none is refused: the one on the screen is not known", () => {
  const several = {
    ...offer("abc"),
    texts: [
      { text: "abc", id: 7 },
      { text: "xyz", id: 8 },
    ],
  };
  assert.deepEqual(typed(several, ["q"]), { kind: "left" });
  assert.deepEqual(typed(several, ["x"]), { kind: "typedThrough" });
});

test("an edit elsewhere, or of several places, says nothing", () => {
  const at = (changes: { offset: number; removed: number; text: string }[]): Fate | undefined => {
    const offers = new Offers();
    offers.offered(offer("abc"));
    return offers.changed(URI, changes, READ_MS);
  };
  assert.deepEqual(at([{ offset: 3, removed: 0, text: "a" }]), { kind: "left" });
  assert.deepEqual(at([{ offset: 9, removed: 1, text: "" }]), { kind: "left" });
  assert.deepEqual(at([{ offset: 10, removed: 2, text: "a" }]), { kind: "left" });
  const first = { offset: 10, removed: 0, text: "a" };
  assert.deepEqual(at([first, { offset: 2, removed: 0, text: "a" }]), { kind: "left" });
  const offers = new Offers();
  offers.offered(offer("abc"));
  assert.equal(offers.changed("file:///b.py", [first], READ_MS), undefined);
});

test("what is refused after typing through was refused where it began, too", () => {
  const offers = new Offers();
  offers.offered(offer("abc", 10, "first"));
  offers.changed(URI, [{ offset: 10, removed: 0, text: "a" }], 100);
  offers.offered(offer("bc", 11, "second", 100));
  assert.deepEqual(offers.changed(URI, [{ offset: 11, removed: 0, text: "x" }], READ_MS), {
    kind: "rejected",
    at: [
      { place: "first", text: "abc" },
      { place: "second", text: "bc" },
    ],
  });
});

test("sent away by key is refused however short it stood", () => {
  const offers = new Offers();
  offers.offered(offer("abc"));
  assert.equal(offers.dismissed()?.kind, "rejected");
  assert.equal(offers.dismissed(), undefined);
});

test("a cursor that goes elsewhere ends the offer", () => {
  const shown = offer("abc");
  const offers = new Offers();
  offers.offered(shown);
  offers.moved(URI, 10);
  assert.ok(offers.stillShows(shown));
  offers.moved(URI, 11);
  assert.ok(!offers.stillShows(shown));
});
