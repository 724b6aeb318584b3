"""Exactness: after any edits, an infill's logits equal those of a window encoded from nothing.

The reference knows (text, cursor, seams) and builds every row itself; see
`reference.py`. Hypothesis drives sessions through random edits.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from model.api.types import Edit, Gap, Snippet
from model.checkpoint.tokenization import ByteTokenizer
from model.network.kv_cache import KVCache
from model.network.rope import RotaryEmbedding, rotate
from model.sessions.seams import chunk_texts, common_prefix, encode
from model.sessions.session import Session
from model.sessions.window import Window
from tests.model.tiny import tiny_checkpoint
from tests.model.windows import STANDARD_TEXT, check_window, parts


def random_edit(rng: random.Random, text: str, cursor: int) -> tuple[Edit | None, int]:
    """Return an edit as a user makes them, with where the cursor is afterwards; None only moves the cursor."""
    kind = rng.choice(["type"] * 4 + ["word", "paste", "backspace", "backspace", "delete", "jump", "left", "right",
                       "far", "above", "below", "line", "replace", "join"])  # fmt: skip
    words = ["x", " ", "re", "'", "'re", "self.", "\n    ", "\r\n", "é", "👋🏽", "0", "42", "):\n", "\t", "# ", "\r"]

    def at(start: int, end: int, new: str) -> tuple[Edit, int]:
        start, end = max(0, min(start, len(text))), max(0, min(end, len(text)))
        return Edit(start, max(start, end), new), start + len(new)

    match kind:
        case "type":
            return at(cursor, cursor, rng.choice(words))
        case "word":
            return at(cursor, cursor, "".join(rng.choices("abcdefgh_", k=rng.randrange(1, 40))))
        case "paste":
            start = rng.randrange(len(STANDARD_TEXT))
            return at(cursor, cursor, STANDARD_TEXT[start : start + rng.randrange(200)])
        case "backspace":
            return at(cursor - rng.choice([1, 1, 4, 30]), cursor, "")
        case "delete":
            return at(cursor, cursor + rng.choice([1, 3, 40]), "")
        case "jump":
            return None, rng.randrange(len(text) + 1)
        case "left":
            return None, max(0, cursor - rng.randrange(12))
        case "right":
            return None, min(len(text), cursor + rng.randrange(12))
        case "far":
            return None, rng.choice([0, len(text)])
        case "above":
            start = rng.randrange(cursor + 1)
            edit, _ = at(start, start + rng.randrange(8), rng.choice(words))
            if edit.end > cursor:
                return edit, edit.start + len(edit.text)
            return edit, cursor + len(edit.text) - (edit.end - edit.start)
        case "below":
            start = rng.randrange(cursor, len(text) + 1)
            edit, _ = at(start, start + rng.randrange(8), rng.choice(words))
            return edit, cursor
        case "line":
            return at(cursor, cursor, "\nfor i in range(10):\n    print(i)\n")
        case "replace":
            return Edit(0, len(text), STANDARD_TEXT * rng.randrange(3)), 0
    return at(cursor, cursor + 1, "")


@pytest.mark.parametrize("seed", range(12))
def test_any_edits_leave_exact_logits(seed: int) -> None:
    """The heart of the matter: sessions driven at random always answer as a window made from nothing would."""
    rng = random.Random(seed)
    checkpoint = tiny_checkpoint(seed=seed)
    shared = parts(checkpoint)
    session = Session(shared, "src/café.py", STANDARD_TEXT * rng.randrange(1, 4))
    history: list[str] = []
    cursor = rng.randrange(len(session.text) + 1)
    for _ in range(40):
        if history and rng.random() < 0.05:
            edit, cursor = Edit(0, len(session.text), history.pop()), 0
        else:
            edit, cursor = random_edit(rng, session.text, cursor)
        if edit is not None:
            history.append(session.text)
            session.edit([edit])
        if rng.random() < 0.1:
            session.set_context(
                [Snippet("lib/other.py", "def other(x):\n    return x"), Snippet("", "# 👋")][: rng.randrange(3)]
            )
        for _ in range(rng.choice([0, 0, 1, 3])):
            session.idle_slice()
        cursor = min(cursor, len(session.text))
        gaps = [Gap(cursor, min(len(session.text), cursor + rng.choice([0, 0, 0, 9])))]
        if rng.random() < 0.2:
            start = min(len(session.text), gaps[0].end + rng.randrange(1, 300))
            if start > gaps[0].end:
                gaps.append(Gap(start, min(len(session.text), start + rng.randrange(4))))
        window = session.window_at(gaps, lambda: False)
        check_window(window, checkpoint, shared.tokenizer.readable(session.text), gaps)


# -- planted faults: each must be caught by the test above ------------------------------------


def _first_failure(seeds: range = range(4)) -> bool:
    for seed in seeds:
        try:
            test_any_edits_leave_exact_logits(seed)
        except AssertionError:
            return True
    return False


def _shift_twice_rotated(self: KVCache, begin: int, end: int, by: int, rope: RotaryEmbedding) -> None:
    self.position_ids[begin:end] += by
    cos, sin = rope.cos_sin(self.position_ids[begin:end])
    self.keys[:, :, begin:end] = rotate(self.keys[:, :, begin:end], cos, sin)


def _chunks_nearest_first(tokenizer: ByteTokenizer, text: str, chunk_tokens: int) -> list[str]:
    return chunk_texts(tokenizer, text, chunk_tokens)[::-1]


def _keep_one_row_too_many(a: Sequence[object], b: Sequence[object]) -> int:
    return min(len(a), common_prefix(a, b) + 1)


def _forget_middles(self: Window) -> None:
    self._middle_slots = self._middle_rows_fed = 0


@pytest.mark.parametrize(
    ("target", "fault"),
    [
        ("model.network.kv_cache.KVCache.shift", _shift_twice_rotated),
        ("model.sessions.seams.chunk_texts", _chunks_nearest_first),
        ("model.sessions.window.common_prefix", _keep_one_row_too_many),
        ("model.network.kv_cache.KVCache._move_below", lambda self, begin, end, by: None),
        ("model.sessions.window.re_encode", lambda tokenizer, old, text: encode(tokenizer, text[:-1])),
        ("model.sessions.window.Window._drop_middles", _forget_middles),
    ],
)
def test_planted_faults_are_caught(monkeypatch: pytest.MonkeyPatch, target: str, fault: object) -> None:
    """A test of the test: a fault in each mechanism makes the exactness test fail."""
    monkeypatch.setattr(target, fault)
    assert _first_failure()
