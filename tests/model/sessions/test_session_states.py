"""Sessions driven by Hypothesis through everything an editor does, checked against rows built from nothing.

The heart of `test_exactness.py` as a state machine, so that a failure comes
with the shortest sequence of steps that leads to it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import lru_cache

import pytest
import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from torch import Tensor

from model.api.types import Edit, Gap, Snippet
from model.checkpoint.config import Capabilities
from model.checkpoint.record import Checkpoint
from model.checkpoint.tokenization import ByteTokenizer
from model.decoding.gap_row import GapRow
from model.decoding.gap_rows import GapRows
from model.errors import Cancelled, RangeError
from model.network.decoder import Decoder, Rows
from model.network.linear import Precision
from model.sessions.islands import IslandStore
from model.sessions.seams import shared_break
from model.sessions.session import Session, SessionParts
from model.sessions.window import Window
from tests.model.real import load_real, real_model
from tests.model.reference import RowList, dense_logits
from tests.model.tiny import tiny_checkpoint
from tests.model.windows import SMALL, SMALLER, STANDARD_TEXT, reference_rows

SNIPPETS = [
    Snippet("lib/other.py", "def other(x):\n    return x"),
    Snippet("", "# 👋"),
    Snippet("lib/long.py", "value = 1\n" * 30),
    Snippet("odd\ud800.py", "\x04\udfff"),
]
WORDS = ["x", " ", "re", "'", "'re", "self.", "\n    ", "\r\n", "é", "👋🏽", "0", "42", "):\n", "\t", "# ", "\r", "\n",
         "   ", "\ud83d", "\udc4b", "\x04", "abcdefgh" * 5, " " * 40, "👋" * 12, "", "\n\n\n"]  # fmt: skip

places = st.integers(0, 2**20)  # taken modulo what there is, so that shrinking goes to the beginning
words = st.sampled_from(WORDS)


def dense(checkpoint: Checkpoint) -> Callable[[RowList, list[int]], Tensor]:
    return lambda rows, wanted: dense_logits(checkpoint, rows)[wanted]


def one_forward(network: Decoder) -> Callable[[RowList, list[int]], Tensor]:
    """Return logits of all rows in one forward, with one matrix of who sees whom."""

    def logits(rows: RowList, wanted: list[int]) -> Tensor:
        count = len(rows.token_ids)
        visible = torch.zeros(count, count, dtype=torch.bool)
        for row, seen in enumerate(rows.sees):
            visible[row, seen] = True
        cache = network.new_cache(right_slots=0, left_slots=count)
        fed = Rows(torch.tensor(rows.token_ids), torch.tensor(rows.position_ids), 0, 0, count, visible)
        found = network.forward(fed, cache, wanted)
        assert found is not None
        return found.double()

    return logits


class Editing(RuleBasedStateMachine):
    """One open file. `text` and `cursor` are what a user would see."""

    shared: SessionParts
    expected: Callable[[RowList, list[int]], Tensor]
    tolerance = 1e-4

    @initialize(times=st.integers(0, 3), place=places)
    def open(self, times: int, place: int) -> None:
        self.text = STANDARD_TEXT * times
        self.session = Session(self.shared, "src/café.py", self.text)
        self.cursor = place % (len(self.text) + 1)
        self.history: list[str] = []

    def edit(self, *edits: Edit, cursor: int | None = None) -> None:
        self.history.append(self.text)
        self.session.edit(edits)
        for edit in edits:
            self.text = self.text[: edit.start] + edit.text + self.text[edit.end :]
        self.cursor = min(self.cursor if cursor is None else cursor, len(self.text))

    def look(self) -> Window:
        return self.session.window_at([Gap(self.cursor, self.cursor)], lambda: False)

    # -- what users do ------------------------------------------------------------------------

    @rule(word=words, times=st.sampled_from([1, 1, 1, 2, 7]))
    def type(self, word: str, times: int) -> None:
        for _ in range(times):
            self.edit(Edit(self.cursor, self.cursor, word), cursor=self.cursor + len(word))
            self.look()

    @rule(place=places, length=st.integers(0, 250))
    def paste(self, place: int, length: int) -> None:
        begin = place % len(STANDARD_TEXT)
        self.type(STANDARD_TEXT[begin : begin + length], 1)

    @rule(chars=st.sampled_from([-40, -5, -2, -1, -1, 1, 1, 2, 5, 40]))
    def delete(self, chars: int) -> None:
        begin = max(0, min(self.cursor, self.cursor + chars))
        self.edit(Edit(begin, min(len(self.text), max(self.cursor, self.cursor + chars)), ""), cursor=begin)
        self.look()

    @rule(place=places)
    def jump(self, place: int) -> None:
        self.cursor = place % (len(self.text) + 1)
        self.look()

    @rule(chars=st.sampled_from([-3, -1, 1, 3]), times=st.integers(1, 12), rest=st.booleans())
    def move(self, chars: int, times: int, rest: bool) -> None:
        for _ in range(times):
            self.cursor = max(0, min(len(self.text), self.cursor + chars))
            self.look()
        if rest:
            self.idle(100)
            self.ask(0)

    @rule(place=places, chars=st.integers(0, 8), word=words)
    def edit_anywhere(self, place: int, chars: int, word: str) -> None:
        begin = place % (len(self.text) + 1)
        end = min(len(self.text), begin + chars)
        moved = self.cursor + len(word) - (end - begin) if self.cursor >= end else min(self.cursor, begin)
        self.edit(Edit(begin, end, word), cursor=moved)

    @rule(word=words)
    def edit_several_lines_at_once(self, word: str) -> None:
        starts = [index + 1 for index, char in enumerate(self.text) if char == "\n"][:20]
        if starts:
            self.edit(*[Edit(start, start, word) for start in reversed(starts)])

    @precondition(lambda self: self.history)
    @rule()
    def undo(self) -> None:
        text = self.history.pop()
        self.edit(Edit(0, len(self.text), text))
        self.history.pop()

    @rule(times=st.integers(0, 3), word=words)
    def replace_the_whole_file(self, times: int, word: str) -> None:
        self.edit(Edit(0, len(self.text), word + STANDARD_TEXT * times))

    @rule(past=st.integers(1, 9))
    def make_a_mistake(self, past: int) -> None:
        good, bad = Edit(0, 0, "x"), Edit(0, len(self.text) + 1 + past, "y")
        with pytest.raises(RangeError):
            self.session.edit([good, bad])

    @rule(path=st.sampled_from(["a.py", "", "src/" + "long/" * 30 + "b.py", "ü\ud800.py"]))
    def rename(self, path: str) -> None:
        self.session.rename(path)

    @rule(snippets=st.lists(st.sampled_from(SNIPPETS), max_size=3))
    def set_context(self, snippets: list[Snippet]) -> None:
        self.session.set_context(snippets)

    # -- what the worker does -----------------------------------------------------------------

    @rule(slices=st.sampled_from([1, 2, 5, 100]))
    def idle(self, slices: int) -> None:
        for _ in range(slices):
            if not self.session.idle_slice():
                return
        assert slices < 100, "idle work comes to an end"

    @rule()
    def evict(self) -> None:
        self.session.evict()
        assert self.session.cached_bytes == 0

    @rule(place=places, looks=st.integers(0, 6))
    def cancel(self, place: int, looks: int) -> None:
        cursor, count = place % (len(self.text) + 1), itertools.count()
        try:
            self.session.window_at([Gap(cursor, cursor)], lambda: next(count) >= looks)
        except Cancelled:
            assert next(count) == looks + 1, "a request looks no further once it is cancelled"

    @rule(selected=st.sampled_from([0, 0, 0, 9]))
    def ask(self, selected: int) -> None:
        self.check([Gap(self.cursor, min(len(self.text), self.cursor + selected))])

    @rule(apart=st.lists(st.integers(1, 300), min_size=1, max_size=3), selected=st.integers(0, 4), word=words)
    def fill_several_gaps_and_type_in_the_first(self, apart: list[int], selected: int, word: str) -> None:
        gaps = [Gap(self.cursor, self.cursor)]
        for chars in apart:
            start = gaps[-1].end + chars
            if start <= len(self.text):
                gaps.append(Gap(start, min(len(self.text), start + selected)))
        self.check(gaps)
        self.type(word, 1)
        self.check([Gap(gap.start + len(word), gap.end + len(word)) for gap in gaps])

    @rule(tokens=st.integers(1, 8))
    def decode(self, tokens: int) -> None:
        """Rows of a gap are scratch: nothing of them may stay."""
        window = self.look()
        rows, first_id = GapRows(window), window.gap_first_id(0)
        for rank in range(tokens):
            rows.feed([GapRow(self.shared.capabilities.infill_id, first_id + rank, rank, rank)])
            rows.commit(range(1))

    # -- what must hold -----------------------------------------------------------------------

    @invariant()
    def text_is_the_users(self) -> None:
        if hasattr(self, "session"):
            assert self.session.text == self.text

    def check(self, gaps: list[Gap]) -> None:
        window = self.session.window_at(gaps, lambda: False)
        readable = self.shared.tokenizer.readable(self.text)
        check_spelling(window, readable, gaps)
        rows, context = reference_rows(window, readable, gaps)
        feed = [
            GapRow(self.shared.capabilities.infill_id, window.gap_first_id(index), 0, 0) for index in range(len(gaps))
        ]
        found = GapRows(window).feed(feed)
        check_positions(window)
        wanted = [rows.add(row.token_id, row.position_id, context) for row in feed]
        expected = self.expected(rows, wanted)
        tolerance = self.tolerance * max(1, float(expected.std()))
        torch.testing.assert_close(found.double(), expected, atol=tolerance, rtol=self.tolerance)


def check_spelling(window: Window, text: str, gaps: list[Gap]) -> None:
    """The rows that the window stands for spell the buffer, but for header and held-back pieces."""
    spell = window.tokenizer.spell
    assert text[window.begin_char :].encode().startswith(spell(window.left.ids) + window.layout.held_back[0].encode())
    assert window.begin_char + len(window.left.text) + len(window.layout.held_back[0]) == gaps[0].start
    right = b"".join(spell(chunk.ids) for chunk in reversed(window.right))
    ends = [gap.end - len(shared_break(text, gap.start, gap.end)) for gap in gaps]
    assert right == text[ends[-1] : window.end_char].encode()
    for end, following, spans, held_back in zip(
        ends, gaps[1:], window.middles, window.layout.held_back[1:], strict=False
    ):
        between = text[end : following.start].encode()
        islands = [spell(span.ids) for span in spans]
        if len(islands) < 2:
            assert b"".join(islands) + held_back.encode() == between
        else:
            assert between.startswith(islands[0])
            assert between.endswith(islands[1] + held_back.encode())
    assert all(len(piece.encode()) <= 32 for piece in window.layout.held_back)


def check_positions(window: Window) -> None:
    """Every committed row has a position id of its own, within the window's span, in the order of the text."""
    cache = window.cache
    ids = cache.position_ids
    left = ids[cache.left_begin : cache.left_end].tolist()
    right = ids[cache.right_begin : cache.right_end].tolist()
    islands = ids[cache.right_end : cache.left_begin].tolist()
    assert left == list(range(len(window.left_ids)))
    assert sorted(right) == list(range(-len(right), 0))
    outside = [position_id for position_id in islands if position_id < 0]
    assert len(right) <= window.limits.right_ids
    behind = -window.limits.right_ids
    assert outside == list(range(behind - sum(island.rows for island in window.context), behind))
    between = [position_id for position_id in islands if position_id >= 0]
    assert between == sorted(set(between))
    if between:
        assert len(left) + window.limits.joint_gap_ids <= between[0]
        assert between[-1] < window.gap_first_id(len(window.middles))
    free = window.gap_free_ids(len(window.middles))
    assert window.limits.joint_gap_ids <= free <= window.limits.gap_ids
    assert window.gap_first_id(len(window.middles)) + free - behind + len(outside) <= window.context_rows


@lru_cache
def shared_parts(precision: Precision = Precision.FLOAT32) -> SessionParts:
    checkpoint = tiny_checkpoint(seed=3)
    network = Decoder(checkpoint, precision)
    tokenizer = ByteTokenizer(checkpoint.tokenizer, checkpoint.config.vocab_size)
    islands = IslandStore(network, tokenizer, checkpoint.capabilities, 2**16, 30)
    return SessionParts(network, tokenizer, checkpoint.capabilities, islands, SMALL, SMALLER)


def drive(machine: type[Editing], examples: int, steps: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_whatever_an_editor_does_the_logits_are_exact() -> None:
    class Exact(Editing):
        shared = shared_parts()
        expected = staticmethod(dense(tiny_checkpoint(seed=3)))

    drive(Exact, examples=80, steps=25)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_whatever_an_editor_does_the_logits_are_exact_for_long() -> None:
    class Exact(Editing):
        shared = shared_parts()
        expected = staticmethod(dense(tiny_checkpoint(seed=3)))

    drive(Exact, examples=600, steps=60)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_real_model_is_exact_too() -> None:
    """With its own tokenizer, in float32. Its special rows mean nothing yet, but are computed like any other."""
    checkpoint = load_real(real_model())
    network = Decoder(checkpoint, Precision.FLOAT32)
    tokenizer = ByteTokenizer(checkpoint.tokenizer, checkpoint.config.vocab_size)
    capabilities = Capabilities(adapted=True, sink_id=0, filename_id=6, mask_id=7, infill_id=8, eoi_id=9)

    class Real(Editing):
        shared = SessionParts(
            network, tokenizer, capabilities, IslandStore(network, tokenizer, capabilities, 2**28, 30), SMALL, SMALLER
        )
        expected = staticmethod(one_forward(network))
        tolerance = 1e-3

    drive(Real, examples=6, steps=12)


@pytest.mark.parametrize(("precision", "agreement"), [(Precision.BFLOAT16, 0.99), (Precision.INT8, 0.95)])
def test_low_precision_is_near_the_exact_logits(precision: Precision, agreement: float) -> None:
    """Not exact, for keys and activations are rounded, but the same but for that: logits keep their direction
    whatever moved in between. A stale or misplaced row turns them by far more."""
    shared = shared_parts(precision)
    session = Session(shared, "a.py", STANDARD_TEXT * 2)
    cursor = 400
    for step in range(12):
        session.edit([Edit(cursor, cursor, WORDS[step])])
        cursor = (cursor + 37 * step) % len(session.text)
        session.idle_slice()
        gaps = [Gap(cursor, cursor)]
        window = session.window_at(gaps, lambda: False)
        rows, context = reference_rows(window, shared.tokenizer.readable(session.text), gaps)
        row = GapRow(shared.capabilities.infill_id, window.gap_first_id(0), 0, 0)
        found = GapRows(window).feed([row])
        expected = dense_logits(tiny_checkpoint(seed=3), rows_with(rows, row, context))[[-1]]
        assert float(torch.cosine_similarity(found.double(), expected)) > agreement


def rows_with(rows: RowList, row: GapRow, context: list[int]) -> RowList:
    rows.add(row.token_id, row.position_id, context)
    return rows
