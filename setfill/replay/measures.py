"""Statistics of a replay: latencies by kind of edit, what became of requests, where time went, and at what cost.

Percentiles are by nearest rank: the p-th is the smallest number that at least p % of all do not exceed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from setfill.replay.player import KINDS, Asked, Played

ALL = "all"
STALL_MS = 50.0
STAGES = ("waitedMs", "queuedMs", "encodeMs", "decodeMs", "shapedMs")
"""Where a Setfill server's time goes, in the order in which it does."""

_PERCENTS = (50, 95, 99)


def percentile(numbers: Sequence[float], percent: float) -> float | None:
    """Return the percentile by nearest rank, None of no numbers."""
    return sorted(numbers)[max(0, math.ceil(len(numbers) * percent / 100) - 1)] if numbers else None


def percentiles(numbers: Sequence[float]) -> dict[str, float | None]:
    """Return the percentiles that are told of everything."""
    found = {f"p{percent}": percentile(numbers, percent) for percent in _PERCENTS}
    return {name: None if number is None else round(number, 1) for name, number in found.items()}


def summary(played: Played) -> dict[str, Any]:
    """Return what there is to tell of a replay, as JSON values."""
    groups = {ALL: played.asked} | {kind: [each for each in played.asked if each.kind == kind] for kind in KINDS}
    pings = [ms for _, ms in played.pings_ms]
    return {
        "edits": played.edits,
        "seconds": round(played.seconds, 1),
        "text_as_recorded": played.text_as_recorded,
        "texts_equal": played.texts_equal,
        "by_kind": {name: of_requests(asked) for name, asked in groups.items()},
        "silent_because": dict(Counter(each.reason or "untold" for each in played.asked if each.outcome == "silent")),
        "ms_by_stage": stages(played.asked),
        "stalls": {
            f"over_{STALL_MS:.0f}_ms": sum(ms > STALL_MS for ms in pings),
            "pings": len(pings),
            "ping_ms": percentiles(pings),
            "longest_ms": round(max(pings, default=0.0), 1),
        },
        "rows": rows(played.worker),
        "memory_mb": memory(played.memory_mb),
    }


def is_of_model(asked: Asked) -> bool:
    """Whether something was shown that is not merely the rest of what was on the screen."""
    return asked.outcome == "shown" and not asked.typed_through


def of_requests(asked: Sequence[Asked]) -> dict[str, Any]:
    """Return what became of some requests. Shares are of all requests, but `right`: of those shown."""
    outcomes = Counter(each.outcome for each in asked)
    shown = [each for each in asked if each.outcome == "shown"]
    return {
        "requests": len(asked),
        **{name: outcomes[name] for name in ("shown", "silent", "overtaken", "refused")},
        "answered_share": _share(outcomes["shown"] + outcomes["silent"], len(asked)),
        "shown_share": _share(len(shown), len(asked)),
        "right": sum(each.is_right for each in shown),
        "right_share": _share(sum(each.is_right for each in shown), len(shown)),
        "accepted": sum(each.accepted_ms is not None for each in asked),
        "model_answers": sum(map(is_of_model, asked)),
        "model_ms": percentiles(_latencies(each for each in asked if is_of_model(each))),
        "typed_through": sum(each.typed_through for each in asked),
        "typed_through_ms": percentiles(_latencies(each for each in asked if each.typed_through)),
    }


def stages(asked: Iterable[Asked]) -> dict[str, Any]:
    """Return where the time of the model's answers went that were shown: percentiles of each stage, and its mean."""
    told = [each.spent for each in asked if is_of_model(each) and each.spent and each.spent["source"] == "model"]
    if not told:
        return {}
    spent = {name: [float(each[name]) for each in told] for name in STAGES}
    return {name: {**percentiles(ms), "mean": round(sum(ms) / len(ms), 1)} for name, ms in spent.items()} | {
        "answers": len(told),
        "forwards": round(sum(each["forwards"] for each in told) / len(told), 2),
        "rows": round(sum(each["rowsComputed"] for each in told) / len(told), 1),
    }


def rows(counted: Mapping[str, int]) -> dict[str, Any]:
    """Return the worker's rows: computed for answers, for nobody and ahead of need; and those without a cache."""
    if "rows_computed" not in counted:
        return {}
    of_answers = counted["rows_computed"]
    computed = of_answers + counted.get("rows_cancelled", 0) + counted.get("rows_idle", 0)
    without_cache = of_answers + counted["rows_reused"]
    return {
        "infills": counted["infills"],
        "withdrawn": counted.get("cancelled", 0),
        "forwards": counted["forwards"],
        "computed": computed,
        "for_answers": of_answers,
        "for_withdrawn": counted.get("rows_cancelled", 0),
        "ahead_of_need": counted.get("rows_idle", 0),
        "without_cache": without_cache,
        "computed_share": _share(computed, without_cache),
        "cpu_ms": counted.get("cpu_ms"),
    }


def memory(seen: Sequence[tuple[float, float | None, float | None]]) -> dict[str, Any]:
    """Return megabytes of server and worker at the end, and the most."""
    found: dict[str, Any] = {}
    for column, name in ((1, "server"), (2, "worker")):
        megabytes = [number for each in seen if isinstance(number := each[column], float)]
        if megabytes:
            found[name] = {"at_end": megabytes[-1], "most": max(megabytes)}
    return found


def ratios(first: Sequence[Asked], second: Sequence[Asked]) -> dict[str, Any]:
    """Return how many times as long the second replay took as the first, by kind of edit.

    `p50` and `p95` are ratios of percentiles; `paired` is the median ratio over the requests that both showed an
    answer of their model to. InputError where they were not asked the same.
    """
    found = {}
    pairs = list(zip(first, second, strict=False))
    if any((one.number, one.kind) != (other.number, other.kind) for one, other in pairs):
        from model.errors import InputError

        raise InputError("the two replays were asked different things: play the second with --follow FIRST.json")
    for kind in (ALL, *KINDS):
        chosen = [pair for pair in pairs if kind in (ALL, pair[0].kind)]
        both = [(one.ms, other.ms) for one, other in chosen if is_of_model(one) and is_of_model(other)]
        ours, theirs = (_latencies(pair[side] for pair in chosen if is_of_model(pair[side])) for side in (0, 1))
        found[kind] = {
            "requests": len(chosen),
            "answers": [len(ours), len(theirs)],
            **{f"p{percent}": _ratio(percentile(theirs, percent), percentile(ours, percent)) for percent in _PERCENTS},
            "pairs": len(both),
            "paired": percentile([round(other / one, 2) for one, other in both if one and other], 50),
        }
    return found


def _latencies(asked: Iterable[Asked]) -> list[float]:
    return [each.ms for each in asked if each.ms is not None]


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 3) if whole else None


def _ratio(theirs: float | None, ours: float | None) -> float | None:
    return round(theirs / ours, 2) if theirs and ours else None
