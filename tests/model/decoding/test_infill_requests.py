"""Requests of every kind on odd texts, through the engine: what must hold whatever was asked."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.api.types import Gap, GapInfill, Infill, InfillRequest, Limits, Sampling, ScoreRequest, Trace
from model.errors import Cancelled, InputError
from model.network.linear import Precision
from model.worker.engine import Engine
from tests.model.decodes import eager_checkpoint
from tests.model.windows import SMALL, SMALLER, STANDARD_TEXT

ODD = [
    "", "\n", "\r", "\r\n", "é", "👋🏽", "\ud800", "\x00", " " * 40, "\t", "'re", "x=1", "self.", "\u2028", "ab" * 40,
    "12345", "\ufffd", "e\u0301", "def f(x):\n    return x\n", STANDARD_TEXT,
]  # fmt: skip
LINE_BREAK = re.compile("\r\n|\r|\n")
MASK_POLICIES = ["block:1", "block:3", "block:64", "window:1", "window:4", "window:64", "uniform"]
texts = st.lists(st.sampled_from(ODD), max_size=12).map("".join)
some_text = st.lists(st.sampled_from(ODD[:-1]), max_size=3).map("".join)


@lru_cache
def engine(adapted: bool) -> Engine:
    return Engine(eager_checkpoint(seed=1, adapted=adapted, layers=1), Precision.FLOAT32, full=SMALL, near=SMALLER)


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, InfillRequest]:
    text = draw(texts)
    cuts = draw(st.lists(st.integers(0, len(text)), min_size=1, max_size=12, unique=True).map(sorted))
    gaps = [Gap(start, end) for start, end in zip(cuts[::2], cuts[1::2], strict=False)] or [Gap(cuts[0], cuts[0])]
    if draw(st.booleans()):
        gaps = [Gap(gap.start, gap.start) for gap in gaps]
    one_each = st.lists(some_text, min_size=len(gaps), max_size=len(gaps)).map(tuple)
    lengths = st.lists(st.sampled_from([0, 1, 3, 20, 5000]), min_size=len(gaps), max_size=len(gaps)).map(tuple)
    policy = draw(st.sampled_from(["verified", "verified", "left_to_right", *MASK_POLICIES]))
    rules = [None, "first_hitting", "threshold:0.01", "threshold:1"] if policy in MASK_POLICIES else [None]
    return text, InfillRequest(
        "f",
        1,
        tuple(gaps),
        policy,
        draw(st.sampled_from(rules)),
        Limits(
            draw(st.sampled_from([1, 2, 5, 12])),
            draw(st.sampled_from([None, None, 1, 2])),
            draw(st.sampled_from([None, None, 1e-6])),
        ),
        Sampling(
            draw(st.sampled_from([0, 0, 0.5, 3, 1e-320, 1e30])),
            draw(st.sampled_from([1, 1, 0.9, 1e-50])),
            draw(st.sampled_from([0, -1, 2**64 - 1])),
        ),
        draw(st.sampled_from([1, 1, 4])) if len(gaps) == 1 and policy not in MASK_POLICIES else 1,
        draw(st.one_of(st.just(()), one_each)),
        draw(st.one_of(st.just(()), st.just(()), lengths)),
        trace=True,
    )


@contextmanager
def unless_too_much() -> Iterator[None]:
    """Pass over what is refused because it does not fit in a window."""
    try:
        yield
    except InputError as error:
        if not re.search("do not fit|at most", str(error)):
            raise


def check_answers(answers: Sequence[GapInfill], request: InfillRequest) -> None:
    """Texts are Unicode and all different, numbers are finite, limits are kept."""
    for answer in answers:
        found = [answer, *answer.alternatives]
        assert len(found) <= request.candidates
        assert len({each.text for each in found}) == len(found)
        for each in found:
            each.text.encode()
            assert len(each.logprobs) == each.tokens
            assert all(-math.inf < logprob < 1e-5 for logprob in each.logprobs)
            assert request.limits.max_lines is None or len(LINE_BREAK.findall(each.text)) < request.limits.max_lines
            assert each.stop in ("eoi", "lines", "tokens", "time", "context")


def check_trace(infill: Infill, trace: Trace, request: InfillRequest) -> None:
    """The trace's reveals spell the answers; each is fed once, after it became known; rows add up."""
    assert infill.forwards == len(trace.steps) or (request.candidates > 1 and infill.forwards > len(trace.steps))
    known: dict[tuple[int, int], str] = {}
    committed: set[tuple[int, int]] = set()
    for step in trace.steps:
        for row in step.rows:
            place = row.gap, row.rank
            assert row.outcome == "predicted" or place not in committed
            if row.outcome == "committed" and row.rank and place in known:
                assert known[place] == row.text
            if row.outcome in ("committed", "verified"):
                committed.add(place)
        for reveal in step.reveals:
            assert 0 <= reveal.probability < 1 + 1e-5
            assert (reveal.gap, reveal.rank) not in known
            known[reveal.gap, reveal.rank] = reveal.text
        for row in step.rows:
            if row.outcome == "verified":
                assert known[row.gap, row.rank] == row.text
    for index, answer in enumerate(infill.gaps):
        spelled = [known[index, rank] for rank in range(1, answer.tokens + 1)]
        if all("\ufffd" not in text for text in spelled):
            text = "".join(spelled)
            assert text.startswith((trace.held_back[index] + answer.text)[: len(text)])


@pytest.mark.parametrize("adapted", [True, False], ids=["adapted", "base"])
@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(asked=requests(), cancel_at=st.sampled_from([None, None, 1, 2, 3, 4]))
def test_what_holds_for_every_request(adapted: bool, asked: tuple[str, InfillRequest], cancel_at: int | None) -> None:
    text, request = asked
    running = engine(adapted)
    running.open("f", "a.py", text, 1)
    if not adapted and request.policy in MASK_POLICIES:
        with pytest.raises(InputError, match="needs a model adapted"):
            running.infill(request)
        return
    looks = iter(range(1, 10_000))
    with suppress(Cancelled), unless_too_much():
        answered = running.infill(request, cancelled=lambda: next(looks) == cancel_at)
        assert answered.trace is not None
        check_answers(answered.gaps, request)
        check_trace(answered, answered.trace, request)
    for policy in ("left_to_right", "window:4", "uniform") if adapted else ("left_to_right",):
        with unless_too_much():
            score = running.score(ScoreRequest("f", 1, request.gaps, ("x = 1",) * len(request.gaps), policy, orders=2))
            for gap in score.gaps:
                assert all(math.isfinite(token.logprob) for token in gap.tokens)
                assert math.isfinite(gap.logprob)
                assert gap.stop_logprob is None or math.isfinite(gap.stop_logprob)
