"""The engine: requests on sessions, their limits and errors, and the memory that all sessions share."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from model.api.types import (
    Edit,
    Gap,
    InfillRequest,
    PartialInfill,
    Sampling,
    ScoreRequest,
    Snippet,
)
from model.checkpoint.tokenization import ByteTokenizer
from model.decoding.sampling import draw_next
from model.decoding.spelling import Vocabulary
from model.decoding.widths import WidthPlanner
from model.errors import Cancelled, InputError, RangeError, UnknownFileError, VersionError
from model.sessions.geometry import FULL
from model.sessions.seams import left_cut
from model.sessions.session import FUSED_TAIL_ROWS, IDLE_SLICE_ROWS, SHORT_IDLE_SLICE_ROWS
from model.worker import engine as engine_module
from model.worker.engine import Engine
from tests.model.tiny import tiny_checkpoint
from tests.model.windows import SMALL, SMALLER
from tests.model.worker.engines import AT, TEXT, WHOLE, fill, opened, settled, texts

# -- files and versions -----------------------------------------------------------------------


def test_an_edit_moves_the_version_on() -> None:
    engine = opened()
    engine.edit("f", [Edit(0, 0, "x")], 5)
    with pytest.raises(VersionError, match="version 1 of a file that is at version 5"):
        fill(engine, 0, version=1)
    assert fill(engine, 0, version=5).version == 5
    for version in (5, 4):
        with pytest.raises(VersionError, match="versions must grow"):
            engine.edit("f", [Edit(0, 0, "y")], version)


def test_a_refused_edit_changes_nothing() -> None:
    engine = opened("abc")
    with pytest.raises(RangeError, match=r"edit \[4, 5\) lies outside the text of 4 characters"):
        engine.edit("f", [Edit(0, 0, "x"), Edit(4, 5, "y")], 2)
    with pytest.raises(RangeError):
        engine.edit("f", [Edit(2, 1, "y")], 2)
    assert fill(engine, 3, version=1).version == 1
    with pytest.raises(RangeError):
        fill(engine, 4)


@pytest.mark.parametrize(
    "ask",
    [
        lambda engine: engine.edit("g", [], 2),
        lambda engine: engine.close("g"),
        lambda engine: engine.prepare("g", 0),
        lambda engine: engine.set_context("g", []),
        lambda engine: engine.infill(InfillRequest("g", 1, (Gap(0, 0),))),
        lambda engine: engine.score(ScoreRequest("g", 1, (Gap(0, 0),), ("x",))),
    ],
)
def test_an_unknown_file_is_refused(ask: Callable[[Engine], object]) -> None:
    engine = opened()
    with pytest.raises(UnknownFileError, match="not open"):
        ask(engine)
    engine.open("g", "b.py", "x", 1)
    engine.close("g")
    with pytest.raises(UnknownFileError):
        ask(engine)


@pytest.mark.parametrize(
    ("gaps", "message"),
    [
        ([], "no gap was given"),
        ([Gap(2, 1)], "reversed"),
        ([Gap(-1, 1)], "outside the text"),
        ([Gap(0, len(TEXT) + 1)], f"outside the text of {len(TEXT)} characters"),
        ([Gap(0, 5), Gap(4, 6)], "overlap"),
        ([Gap(0, 5), Gap(5, 6)], "touch"),
        ([Gap(7, 8), Gap(1, 2)], "out of order"),
    ],
)
def test_bad_ranges_are_refused(gaps: list[Gap], message: str) -> None:
    engine = opened()
    with pytest.raises(RangeError, match=message):
        fill(engine, *gaps)
    assert fill(engine, 3).gaps


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"max_lines": 0}, "max_lines is 0"),
        ({"max_ms": 0}, "max_ms is 0"),
        ({"sampling": Sampling(temperature=-1)}, "temperature is -1"),
        ({"sampling": Sampling(temperature=float("nan"))}, "temperature is nan"),
        ({"sampling": Sampling(temperature=float("inf"))}, "temperature is inf"),
        ({"sampling": Sampling(top_p=0)}, "top_p is 0"),
        ({"sampling": Sampling(top_p=1.5)}, "top_p is 1.5"),
    ],
)
def test_bad_settings_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fill(opened(), 3, **options)


def test_opening_a_file_again_replaces_it() -> None:
    engine = opened("abc")
    engine.open("f", "b.py", "x" * 50, 7)
    assert fill(engine, 50, version=7).version == 7
    assert engine.stats()["files"] == 1


# -- limits -----------------------------------------------------------------------------------


def test_tokens_end_an_infill() -> None:
    for max_tokens in (1, 2, 7):
        (gap,) = fill(opened(), AT, max_tokens=max_tokens).gaps
        assert gap.stop in ("tokens", "eoi")
        assert gap.tokens == len(gap.logprobs)
    engine = opened("x = ")
    held_back = 1
    (gap,) = fill(engine, 4, max_tokens=5).gaps
    assert gap.stop == "tokens"
    assert 5 <= gap.tokens <= 5 + held_back, "the held-back piece does not count"


def favouring(engine: Engine, *pieces: bytes) -> None:
    """Make an engine draw these tokens, one after the other and again from the first, where they are allowed."""
    token_bytes = engine._vocabulary.token_bytes
    ids = itertools.cycle([token_bytes.index(piece) for piece in pieces])
    head = engine._parts.network.head

    def favour(hidden: Any) -> Any:
        logits = head(hidden)
        logits[:, next(ids)] += 1e4
        return logits

    engine._parts.network.head = favour


def never_ending(engine: Engine) -> None:
    """Make an engine draw all but `<eoi>`."""
    head = engine._parts.network.head

    def refuse(hidden: Any) -> Any:
        logits = head(hidden)
        logits[:, engine._vocabulary.eoi_id] = -1e4
        return logits

    engine._parts.network.head = refuse


@pytest.mark.parametrize(
    ("pieces", "max_lines", "text"),
    [
        ([b"a", b"\n"], 1, "a"),
        ([b"a", b"\n"], 3, "a\na\na"),
        ([b"a", b"\r", b"\n"], 1, "a"),
        ([b"a", b"\r", b"\n"], 2, "a\r\na"),
        ([b"a", b"\r"], 2, "a\ra"),
        ([b"\n"], 1, ""),
        ([b"\r", b"\r", b"\n"], 3, "\r\r\n"),
    ],
)
def test_lines_end_an_infill_whatever_ends_a_line(pieces: list[bytes], max_lines: int, text: str) -> None:
    engine = opened("x = 1;\n")
    favouring(engine, *pieces)
    (gap,) = fill(engine, 0, max_lines=max_lines, max_tokens=40).gaps
    assert (gap.text, gap.stop) == (text, "lines")


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("adapted", [True, False])
def test_an_infill_of_whole_lines_ends_with_a_line_break(newline: str, adapted: bool) -> None:
    """It is the break that stood before the cursor, or at the end of what was selected; the model does not say it."""
    text = newline.join(["a = 1;", "b = 2;", "c = 3;", ""])
    begin, end = text.index("b"), text.index("c")
    engine = opened(text, adapted=adapted)
    favouring(engine, b"x")
    for place in (begin, Gap(begin, end)):
        (gap,) = fill(engine, place, max_tokens=2).gaps
        assert gap.text == "xx" + newline
        assert gap.tokens >= 2
    (inside,) = fill(engine, end - len(newline), max_tokens=2).gaps
    assert inside.text == "xx"


def test_an_empty_infill_of_whole_lines_stays_empty() -> None:
    engine = opened("a = 1;\nb = 2;\n")
    eoi_id, head = engine._vocabulary.eoi_id, engine._parts.network.head

    def end(hidden: Any) -> Any:
        logits = head(hidden)
        logits[:, eoi_id] = 1e4
        return logits

    engine._parts.network.head = end
    (gap,) = fill(engine, 7).gaps
    assert (gap.text, gap.stop) == ("", "eoi")


@pytest.mark.parametrize(("probability", "ends"), [(0.19, False), (0.21, True)])
def test_greedy_decoding_ends_a_gap_at_a_fifth(probability: float, ends: bool) -> None:
    log_probs = torch.tensor([probability, 0.7, 0.3 - probability]).log()
    drawn = draw_next(log_probs, 0, Sampling(), torch.Generator())
    assert drawn == (0 if ends else 1)


def test_the_end_of_the_window_ends_an_infill() -> None:
    engine = opened()
    favouring(engine, b"a")
    (gap,) = fill(engine, AT, max_tokens=10_000).gaps
    assert gap.stop == "context"
    assert SMALL.joint_gap_ids - 2 <= gap.tokens <= SMALL.gap_ids


def test_a_long_infill_outgrows_the_room_of_the_cache() -> None:
    """More rows of a gap than the cache had room for: those before were lost when it grew. Twice as much room
    to begin with must give the same answer."""
    limits = replace(SMALL, gap_ids=1600)
    narrow = opened(full=limits, near=limits)
    roomy = opened(full=replace(limits, left_max=2000), near=limits)
    for engine in (narrow, roomy):
        never_ending(engine)
    a, b = fill(narrow, AT, max_tokens=900).gaps[0], fill(roomy, AT, max_tokens=900).gaps[0]
    assert a.tokens > 800
    assert a.text == b.text
    assert a.logprobs == pytest.approx(b.logprobs, abs=1e-3)


def test_time_ends_an_infill() -> None:
    engine = opened()
    favouring(engine, b"a")
    (gap,) = fill(engine, AT, max_ms=0.001, max_tokens=50).gaps
    assert gap.stop == "time"
    assert gap.tokens == 1


# -- cancelling, partial texts ----------------------------------------------------------------


@pytest.mark.parametrize("adapted", [True, False])
def test_cancelling_at_any_look_leaves_the_session_usable(adapted: bool) -> None:
    gaps = [Gap(AT, AT), Gap(AT + 100, AT + 105)]
    expected = texts(fill(settled(opened(adapted=adapted, **WHOLE), *gaps), *gaps))
    for looks in itertools.count(step=5):  # it is looked at between forwards and before each of their two layers
        engine, count = opened(adapted=adapted, **WHOLE), itertools.count()
        try:
            fill(engine, *gaps, max_tokens=6, cancelled=lambda count=count, looks=looks: next(count) == looks)
            break
        except Cancelled:
            assert texts(fill(settled(engine, *gaps), *gaps)) == expected
    assert looks > 25


def test_the_file_is_read_also_for_who_withdraws_every_request() -> None:
    """Requests that each key withdrew ended in the midst of a slice, and the next began it anew: none was answered."""
    engine = opened(**WHOLE)
    for _ in range(20):
        count = itertools.count()
        with pytest.raises(Cancelled):
            fill(engine, AT, cancelled=lambda count=count: next(count) >= 2)
    assert fill(engine, AT, max_tokens=1).rows_computed <= FUSED_TAIL_ROWS + 1


@pytest.mark.parametrize(
    ("asked_seconds", "row_ms", "rows"),
    [(math.inf, 4.0, SHORT_IDLE_SLICE_ROWS), (math.inf, 1.0, 32), (math.inf, 0.5, IDLE_SLICE_ROWS), (0.0, 4.0, 64)],
)
def test_idle_slices_are_short_while_infills_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, asked_seconds: float, row_ms: float, rows: int
) -> None:
    monkeypatch.setattr(engine_module, "ASKED_SECONDS", asked_seconds)
    monkeypatch.setattr(WidthPlanner, "forward_ms", lambda planner, width: row_ms * width)
    engine = opened(full=FULL, near=SMALLER)  # text before the cursor is what is left to be read
    engine.edit("f", [Edit(len(TEXT), len(TEXT), TEXT * 2)], 2)
    fill(engine, 3 * len(TEXT), version=2, max_tokens=1)
    slices: list[int] = []
    while engine.idle_slice():
        slices.append(int(engine.stats()["rows_idle"]) - sum(slices))
    assert max(slices) == rows


@pytest.mark.parametrize("adapted", [True, False])
def test_partial_texts_grow_and_end_in_the_answer(adapted: bool) -> None:
    partials: list[PartialInfill] = []
    answer = fill(opened(adapted=adapted), AT, AT + 60, on_partial=partials.append, max_tokens=20)
    for index, gap in enumerate(answer.gaps):
        shown = [partial.text for partial in partials if partial.gap_index == index]
        assert len(shown) > 3
        for before, after in itertools.pairwise(shown):
            assert after.startswith(before)
            assert after != before
        assert shown[-1] == gap.text
    last = partials[-1]
    assert 0 < last.forwards <= answer.forwards
    assert last.forwards <= last.rows_computed <= answer.rows_computed
    assert last.rows_reused == answer.rows_reused
    assert last.encode_ms == answer.encode_ms


# -- sampling ---------------------------------------------------------------------------------


def test_greedy_is_the_same_every_time_and_for_every_seed() -> None:
    engine = opened()
    first = texts(fill(engine, AT))
    assert texts(fill(engine, AT)) == first
    assert texts(fill(engine, AT, sampling=Sampling(seed=9))) == first
    assert texts(fill(opened(), AT)) == first


def test_a_seed_makes_a_draw_repeatable() -> None:
    def drawn(seed: int, **options: float) -> str:
        return texts(fill(engine, AT, sampling=Sampling(temperature=1.0, seed=seed, **options)))[0]

    engine = opened()
    assert drawn(1) == drawn(1)
    assert len({drawn(seed) for seed in range(6)}) > 1
    greedy = texts(fill(engine, AT))[0]
    assert {drawn(seed, top_p=1e-6) for seed in range(6)} == {greedy}


def test_a_low_temperature_is_nearly_greedy() -> None:
    engine = opened()
    greedy = texts(fill(engine, AT))
    assert texts(fill(engine, AT, sampling=Sampling(temperature=1e-4, seed=3))) == greedy


# -- the held-back piece ----------------------------------------------------------------------


@pytest.mark.parametrize("adapted", [True, False])
@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "def gre",
        "    if x:\n        ",
        "x = ",
        "hello 👋",
        "caf\u00e9",
        "a\r",
        "1234567",
        "x\ud83d",
        "\x04\x04",
        "w" * 100,
        " " * 100,
    ],
)
def test_the_held_back_piece_is_spelled_and_not_answered(prefix: str, adapted: bool) -> None:
    """The answer is what comes after the cursor; tokens before it spell the piece, and only the piece."""
    text = prefix + ("\n" if prefix.endswith("\r") else "") + "\nprint(x)\n"
    engine = opened(text, adapted=adapted, **WHOLE)
    seen: list[bytes] = []
    push = Vocabulary.allowed

    def spied(self: Vocabulary, to_spell: bytes, *rest: Any) -> Any:
        seen.append(to_spell)
        return push(self, to_spell, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Vocabulary, "allowed", spied)
        (gap,) = fill(engine, len(prefix), max_tokens=6).gaps
    tokenizer = ByteTokenizer(tiny_checkpoint().tokenizer, 512)
    readable = tokenizer.readable(prefix)
    piece = readable[left_cut(tokenizer, readable) :].encode()
    assert seen[0] == piece
    assert all(piece.endswith(to_spell) for to_spell in seen)
    assert seen[-1] == b"", "after the piece, anything goes"
    assert gap.text.encode()
    assert gap.tokens >= len(gap.logprobs) > 0
    assert all(logprob <= 0 for logprob in gap.logprobs)


def test_an_answer_is_always_unicode() -> None:
    for seed in range(8):
        engine = opened("naïve 👋 ", seed=seed)
        (gap,) = fill(engine, 8, max_tokens=30, sampling=Sampling(temperature=3.0, seed=seed)).gaps
        assert "\ufffd" not in gap.text
        assert gap.text.encode().decode() == gap.text


@pytest.mark.parametrize("odd", ["\ud83d", "\x00\x04\x7f", "\ud83d\udc4b" * 3, "<|endoftext|><infill>"])
def test_any_character_may_stand_in_the_text(odd: str) -> None:
    engine = opened(f"a = '{odd}'\n" * 4)
    engine.set_context("f", [Snippet(f"{odd}.py", odd)])
    engine.edit("f", [Edit(3, 3, odd)], 2)
    while engine.idle_slice():
        pass
    assert fill(engine, 5, Gap(12, 14), version=2).gaps[1].tokens > 0
    engine.score(ScoreRequest("f", 2, (Gap(3, 3),), (odd,)))


# -- models that see only what stands before ---------------------------------------------------


def test_without_infill_only_what_stands_before_counts() -> None:
    one = fill(opened(TEXT, adapted=False), AT)
    other = fill(opened(TEXT[: AT + 4] + "something else", adapted=False), Gap(AT, AT + 4))
    assert texts(one) == texts(other)
    assert texts(fill(opened(TEXT[AT - 20 :], adapted=False), 20)) != texts(one)


def test_without_infill_gaps_are_filled_one_after_another() -> None:
    """Each sees the infills before it: the same as accepting them and asking again."""
    gaps = [Gap(AT, AT), Gap(AT + 50, AT + 60), Gap(len(TEXT) - 5, len(TEXT))]
    together = fill(opened(adapted=False, **WHOLE), *gaps)
    assert [gap.gap for gap in together.gaps] == gaps
    engine, shift = opened(adapted=False, **WHOLE), 0
    for version, (gap, found) in enumerate(zip(gaps, together.gaps, strict=True), 1):
        (alone,) = fill(engine, Gap(gap.start + shift, gap.end + shift), version=version).gaps
        assert (alone.text, alone.stop) == (found.text, found.stop)
        assert alone.logprobs == pytest.approx(found.logprobs, abs=1e-4)
        engine.edit("f", [Edit(gap.start + shift, gap.end + shift, alone.text)], version + 1)
        shift += len(alone.text) - (gap.end - gap.start)


def test_without_infill_the_real_text_is_back_after_several_gaps() -> None:
    engine = opened(adapted=False, **WHOLE)
    expected = texts(fill(opened(adapted=False, **WHOLE), AT + 50))
    fill(engine, AT, AT + 50)
    assert texts(fill(engine, AT + 50)) == expected


# -- likelihood -------------------------------------------------------------------------------


@pytest.mark.parametrize("adapted", [True, False])
def test_the_score_of_an_answer_is_what_decoding_reported(adapted: bool) -> None:
    checked = 0
    for at in range(20, 200, 6):
        engine = opened(adapted=adapted)
        (gap,) = fill(engine, at, max_tokens=2).gaps
        tokenizer = ByteTokenizer(tiny_checkpoint().tokenizer, 512)
        piece = TEXT[left_cut(tokenizer, TEXT[:at]) : at]
        spelled = len(tokenizer.encode(piece + gap.text))
        score = engine.score(ScoreRequest("f", 1, (Gap(at, at),), (gap.text,))).gaps[0]
        assert len(score.tokens) == spelled
        if spelled == gap.tokens and [token.logprob for token in score.tokens] == pytest.approx(gap.logprobs, abs=1e-3):
            checked += 1
            assert score.logprob == pytest.approx(sum(gap.logprobs), abs=1e-3)
        assert (score.stop_logprob is None) is not adapted
    assert checked >= 3, "answers whose tokens are the canonical ones"


def test_texts_and_gaps_to_score_belong_together() -> None:
    with pytest.raises(InputError, match="1 gaps but 2 texts"):
        opened().score(ScoreRequest("f", 1, (Gap(0, 0),), ("a", "b")))
