"""The trace of a beam search: it changes nothing, and what it tells is what the search did."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from model.api.types import Gap, GapInfill, Infill, InfillRequest, Limits, TraceBeginning, TraceEnding, TraceSearch
from model.decoding import beams
from model.decoding.beams import BeamSearch
from model.network.linear import Precision
from model.worker.engine import Engine
from tests.model.decodes import eager_checkpoint
from tests.model.windows import STANDARD_TEXT

PLACES = (Gap(0, 0), Gap(25, 25), Gap(60, 60), Gap(83, 90), Gap(len(STANDARD_TEXT), len(STANDARD_TEXT)))


def infilled(seed: int, *gaps: Gap, width: int = 3, trace: bool = True, **changes: object) -> Infill:
    engine = Engine(eager_checkpoint(seed=seed, layers=1), Precision.FLOAT32)
    engine.open("a", "a.py", STANDARD_TEXT, 1)
    fields: dict[str, object] = {"limits": Limits(max_tokens=6), **changes}
    return engine.infill(InfillRequest("a", 1, gaps, f"beam:{width}", trace=trace, **fields))  # type: ignore[arg-type]


def searches(infill: Infill, gap: int = 0) -> list[TraceSearch]:
    assert infill.trace is not None
    return [step.search for step in infill.trace.steps if step.search is not None and step.search.gap == gap]


def beginnings(steps: list[TraceSearch]) -> dict[int, TraceBeginning]:
    return {each.number: each for step in steps for each in step.beginnings}


def spelled(steps: list[TraceSearch], number: int) -> str:
    found, text = beginnings(steps), ""
    while number:
        text, number = found[number].text + text, found[number].parent
    return text


def tokens(steps: list[TraceSearch], number: int) -> int:
    found = beginnings(steps)
    return 1 + tokens(steps, found[number].parent) if number else 0


# ---- it changes nothing ---------------------------------------------------------------------------------------------


def test_a_trace_changes_no_search() -> None:
    """The same answers, alternatives, forwards and rows, for one gap and for several."""
    for seed in range(3):
        for gaps in ((PLACES[seed % len(PLACES)],), PLACES[1:4]):
            asked = {"width": 1 + seed % 4, "candidates": 1 + seed % 3 if len(gaps) == 1 else 1}
            traced, plain = (infilled(seed, *gaps, trace=trace, **asked) for trace in (True, False))
            assert plain.trace is None
            assert traced.gaps == plain.gaps
            assert (traced.forwards, traced.rows_computed) == (plain.forwards, plain.rows_computed)


# ---- what it tells --------------------------------------------------------------------------------------------------


def check_forwards(steps: list[TraceSearch], held_back: str, gap: GapInfill) -> None:
    """Rows, numbers and fates of one forward after the other, and which infill came of them."""
    found, asked, followed = beginnings(steps), list[int](), [0]
    for step in steps:
        assert min(step.gap_rows, step.text_rows, step.behind_rows) >= 0
        if not step.read_on:
            assert step.gap_rows == len(followed)
            assert step.text_rows == len([number for number in followed if number])
            assert [each.parent for each in step.beginnings if each.parent not in followed] == []
        followed = [each.number for each in step.beginnings if each.fate == "followed"]
        may_end = [each.beginning for each in step.endings if each.fate == "asked"]
        assert step.read_on or sorted(asked) == sorted(each.beginning for each in step.judged)[: len(asked)]
        asked = [number for number in may_end if number not in [each.beginning for each in step.judged]]
        for told in (step.beginnings, step.endings):
            scores = [each.score for each in told]
            assert scores == sorted(scores, reverse=True)
        for each in step.judged:
            check_score(each, step, steps)
    assert steps[-1].answer is not None
    assert [step.answer for step in steps[:-1]] == [None] * (len(steps) - 1)
    text = spelled(steps, steps[-1].answer)
    if "\ufffd" not in text:  # else tokens are parts of characters
        assert text.startswith((held_back + gap.text)[: len(text)])
    assert tokens(steps, steps[-1].answer) == gap.tokens
    assert gap.stop != "tokens" or found[steps[-1].answer].fate == "limit"


def raw_score(judged: TraceEnding, step: TraceSearch, steps: list[TraceSearch]) -> float:
    assert judged.behind_logprob is not None
    by_text = step.text_weight * (judged.text_logprob + judged.behind_logprob)
    reward = step.length_reward_nats * tokens(steps, judged.beginning)
    return (1 - step.text_weight) * judged.gap_logprob + by_text + reward


def check_score(judged: TraceEnding, step: TraceSearch, steps: list[TraceSearch]) -> None:
    best = max(step.judged, key=lambda each: each.score)
    if not step.read_on:
        assert judged.score == pytest.approx(raw_score(judged, step, steps), abs=1e-4)
    else:  # compared with each other only
        difference = raw_score(judged, step, steps) - raw_score(best, step, steps)
        assert judged.score - best.score == pytest.approx(difference, abs=1e-4)


def test_a_trace_tells_what_the_search_did(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beams, "chars_that_tell", lambda infills, behind: min(7 * (len(infills) > 1), len(behind)))
    monkeypatch.setattr(beams, "BEHIND_TOKENS", 2)  # so that a few tokens cost more than all of it
    fates, read_on, greedy = set[str](), 0, 0
    for seed in range(14):
        gap = PLACES[seed % len(PLACES)]
        infill = infilled(seed, gap, width=1 + seed % 4)
        steps = searches(infill)
        assert infill.trace is not None
        assert len(steps) == len(infill.trace.steps)
        assert 0 <= infill.forwards - len(steps) <= 1, "one may have encoded the text"
        check_forwards(steps, infill.trace.held_back[0], infill.gaps[0])
        fates |= {each.fate for step in steps for each in step.beginnings}
        fates |= {each.fate for step in steps for each in (*step.endings, *step.judged)}
        read_on += bool(steps[-1].read_on)
        greedy += sum(each.is_greedy for step in steps for each in step.judged)
    assert fates >= {"followed", "width", "bound", "limit", "asked", "judged"}
    assert read_on
    assert greedy


def test_patience_is_told_from_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is given up by the bound could not beat the best; what patience gives up might have."""
    monkeypatch.setattr(beams, "_PATIENCE_STEPS", 2)
    monkeypatch.setattr(beams, "BEHIND_TOKENS", 2)
    monkeypatch.setattr(BeamSearch, "_cut_is_likeliest", lambda _: False)
    told = {"bound": 0, "patience": 0}
    for seed in range(20):
        best = -float("inf")
        for step in searches(infilled(seed, PLACES[seed % len(PLACES)], limits=Limits(max_tokens=9))):
            best = max([best, *(each.score for each in step.judged if not step.read_on)])
            for each in step.beginnings:
                if each.fate in told:
                    told[each.fate] += 1
                    assert each.best_score is not None
                    assert each.fate == "patience" or each.best_score <= best + 1e-6
    assert min(told.values()) > 0


def test_a_length_that_was_told_ends_its_beginnings() -> None:
    steps = searches(infilled(2, PLACES[2], lengths_tok=(4,)))
    ended = [each.number for step in steps for each in step.beginnings if each.fate == "end"]
    assert ended
    assert {tokens(steps, number) for number in ended} == {4}
    assert steps[-1].answer in ended


def test_several_gaps_are_traced_greedily_and_then_search_by_search() -> None:
    infill = infilled(1, *PLACES[1:4])
    assert infill.trace is not None
    assert infill.trace.is_joint
    assert len(infill.trace.held_back) == 3
    order = [step.search.gap if step.search else None for step in infill.trace.steps]
    assert order[0] is None
    assert order == sorted(order, key=lambda gap: -1 if gap is None else gap)
    assert {0, 1, 2} == set(order) - {None}
    for index, gap in enumerate(infill.gaps):
        check_forwards(searches(infill, index), infill.trace.held_back[index], gap)


def test_a_search_that_runs_out_of_time_tells_where_it_was(on_time: Callable[[int], None]) -> None:
    for forwards in (1, 3):
        on_time(forwards)
        infill = infilled(3, PLACES[1], limits=Limits(max_tokens=9, max_ms=1e9))
        steps = searches(infill)
        assert len(steps) <= forwards
        check_forwards(steps, infill.trace.held_back[0], infill.gaps[0])  # type: ignore[union-attr]


@pytest.fixture
def on_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return what lets time be up after so many forwards."""

    def up_after(forwards: int) -> None:
        left = iter([True] * (forwards - 1))
        monkeypatch.setattr("model.decoding.infill.InfillRun._time_is_left", lambda _: next(left, False))

    return up_after
