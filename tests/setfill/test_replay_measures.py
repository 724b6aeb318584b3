"""The statistics of a replay, against the plainest way to compute them."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from model.errors import InputError
from setfill.replay.measures import of_requests, percentile, ratios, rows, stages, summary
from setfill.replay.pages import plots, ratio_table, table
from setfill.replay.player import KINDS, Asked, Played

OUTCOMES = ("shown", "silent", "overtaken", "refused")


def asked(seed: int, count: int = 300) -> list[Asked]:
    """Return requests with outcomes drawn at random; numbers and kinds depend on the count alone."""
    draw, found = random.Random(seed), []
    for number in range(count):
        one = Asked(number, KINDS[number % 7 % len(KINDS)], draw.choice(OUTCOMES), draw.uniform(1, 900))
        if one.outcome == "shown":
            one.characters = draw.randint(1, 30)
            one.right_characters = draw.choice([0, one.characters])
            one.typed_through = draw.random() < 0.3
            one.accepted_ms = 400.0 if draw.random() < 0.2 else None
            one.spent = spent(draw)
        found.append(one)
    return found


def spent(draw: random.Random) -> dict[str, Any]:
    names = ("waitedMs", "queuedMs", "encodeMs", "decodeMs", "shapedMs", "forwards", "rowsComputed", "rowsReused")
    return {"source": draw.choice(["model", "memory", "ahead"]), **{name: draw.randint(0, 100) for name in names}}


def test_percentiles_are_by_nearest_rank() -> None:
    draw = random.Random(0)
    for count in (1, 2, 19, 20, 21, 100, 101):
        numbers = [draw.random() for _ in range(count)]
        for percent in (1, 50, 95, 99, 100):
            assert percentile(numbers, percent) == np.percentile(numbers, percent, method="inverted_cdf")
    assert percentile([], 50) is None


def test_what_became_of_requests() -> None:
    every = asked(0)
    found = summary(Played(asked=every))["by_kind"]
    assert found["all"]["requests"] == sum(found[kind]["requests"] for kind in KINDS) == len(every)
    for kind in ("all", *KINDS):
        shown = silent = right = typed = 0
        ms, typed_ms = [], []
        for one in every:
            if kind not in ("all", one.kind):
                continue
            silent += one.outcome == "silent"
            if one.outcome == "shown":
                shown += 1
                right += one.right_characters == one.characters
                typed += one.typed_through
                (typed_ms if one.typed_through else ms).append(one.ms)
        of = found[kind]
        assert (of["shown"], of["silent"], of["right"], of["typed_through"]) == (shown, silent, right, typed)
        assert of["answered_share"] == round((shown + silent) / of["requests"], 3)
        assert of["right_share"] == round(right / shown, 3)
        assert of["model_answers"] == len(ms) == shown - typed
        for percent in (50, 95, 99):
            assert of["model_ms"][f"p{percent}"] == round(np.percentile(ms, percent, method="inverted_cdf"), 1)
            assert of["typed_through_ms"][f"p{percent}"] == round(
                np.percentile(typed_ms, percent, method="inverted_cdf"), 1
            )
    assert of_requests([])["answered_share"] is None


def test_where_the_time_went() -> None:
    """Of what the model was asked for and was shown; not of what was decoded ahead, nor of what is typed through."""
    every = asked(1)
    chosen = [
        one.spent
        for one in every
        if one.outcome == "shown" and not one.typed_through and one.spent and one.spent["source"] == "model"
    ]
    found = stages(every)
    assert found["answers"] == len(chosen) > 20
    for name in ("waitedMs", "decodeMs"):
        assert found[name]["mean"] == round(sum(each[name] for each in chosen) / len(chosen), 1)
        assert found[name]["p95"] == np.percentile([each[name] for each in chosen], 95, method="inverted_cdf")
    assert stages([]) == {}


def test_rows() -> None:
    counted = {"infills": 4, "cancelled": 2, "forwards": 30, "rows_computed": 100, "rows_reused": 900}
    found = rows(counted | {"rows_cancelled": 50, "rows_idle": 25})
    assert (found["computed"], found["without_cache"], found["computed_share"]) == (175, 1000, 0.175)
    assert rows({}) == {}


def test_ratios_are_of_the_same_requests() -> None:
    ours = asked(2)
    theirs = [Asked(one.number, one.kind, "shown", 3 * (one.ms or 0), characters=1) for one in ours]
    found = ratios(ours, theirs)
    shown = [one for one in ours if one.outcome == "shown" and not one.typed_through]
    assert found["all"]["paired"] == 3
    assert found["all"]["pairs"] == len(shown)
    assert found["all"]["answers"] == [len(shown), len(theirs)]
    ms, their_ms = [one.ms for one in shown], [one.ms for one in theirs]
    for percent in (50, 95):
        expected = np.percentile(their_ms, percent, method="inverted_cdf") / np.percentile(
            ms, percent, method="inverted_cdf"
        )
        assert found["all"][f"p{percent}"] == round(expected, 2)
    assert ratios([], [])["all"]["paired"] is None
    with pytest.raises(InputError, match="--follow"):
        ratios(ours, theirs[1:])


def test_pages_of_a_replay_with_nothing_and_with_everything() -> None:
    for played in (
        Played(),
        Played(asked=asked(3), pings_ms=[(0.1, 2.0), (0.2, 70.0)], memory_mb=[(0.0, 50.0, 800.0)], texts_equal=False),
    ):
        assert plots(played).startswith("<svg")
        assert "NOT AS RECORDED" in table(summary(played))
    found = summary(Played(asked=asked(3), pings_ms=[(0.1, 2.0), (0.2, 70.0)], memory_mb=[(0.0, 50.0, None)]))
    assert found["stalls"] == {
        "over_50_ms": 1,
        "pings": 2,
        "ping_ms": {"p50": 2.0, "p95": 70.0, "p99": 70.0},
        "longest_ms": 70.0,
    }
    assert found["memory_mb"] == {"server": {"at_end": 50.0, "most": 50.0}}
    assert "append" in ratio_table(ratios(asked(3), asked(3)), ("A", "B"))
