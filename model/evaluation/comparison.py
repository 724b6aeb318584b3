"""Two runs on the same tasks, compared gap by gap. Knows reports, not how they were made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from model.errors import InputError
from model.evaluation.statistics import clustered_mean

MEASURES = {
    "infilling": ("exact", "passed", "parses"),
    "lines": ("exact", "right_share", "similarity", "parses", "nats"),
}
"""What is compared, by the kind of report. All but nats are shares."""


def compare(first: Mapping[str, Any], second: Mapping[str, Any] | None, seed: int = 0) -> list[dict[str, Any]]:
    """Return, for each policy and length in both runs, the differences second - first with paired intervals.

    Where the runs have no policy in common and one each, those are compared. Without a second run, the first one's
    other policies are compared with its first. Raises InputError where there is nothing to compare.
    """
    own = first["settings"]["policies"]
    chosen = _policy_pairs(first, second) if second else [(own[0], policy) for policy in own[1:]]
    second = second or first
    if first["kind"] != second["kind"]:
        raise InputError(f"one run is of kind {first['kind']}, the other of kind {second['kind']}: compare like runs")
    pairs = []
    for policy, other in chosen:
        for length in ("self", "gold"):
            before, after = _answers(first, policy, length), _answers(second, other, length)
            shared = [task_id for task_id in before if task_id in after]
            if shared:
                pairs.append(
                    {
                        "policies": [policy, other],
                        "length": length,
                        "gaps": len(shared),
                        **{name: _difference(name, before, after, shared, seed) for name in MEASURES[first["kind"]]},
                    }
                )
    if not pairs:
        raise InputError(
            "nothing to compare: give two runs with tasks, lengths and policies in common, or one with several policies"
        )
    return pairs


def _policy_pairs(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[str, str]]:
    mine, other = first["settings"]["policies"], second["settings"]["policies"]
    shared = [(policy, policy) for policy in mine if policy in other]
    return shared or ([(mine[0], other[0])] if len(mine) == len(other) == 1 else [])


def _answers(report: Mapping[str, Any], policy: str, length: str) -> dict[str, dict[str, Any]]:
    chosen = [answer for answer in report["answers"] if (answer["policy"], answer["length"]) == (policy, length)]
    return {answer["task_id"]: answer for answer in chosen}


def _difference(
    measure: str, before: Mapping[str, Any], after: Mapping[str, Any], shared: Sequence[str], seed: int
) -> dict[str, Any] | None:
    """Return the mean difference, None for what was not measured."""
    known = [name for name in shared if before[name].get(measure) is not None and after[name].get(measure) is not None]
    if not known:
        return None
    steps = [float(after[task_id][measure]) - float(before[task_id][measure]) for task_id in known]
    estimate = asdict(clustered_mean(steps, [before[task_id]["problem"] for task_id in known], seed))
    return {
        **{name: round(value, 4) for name, value in estimate.items()},
        "only_first": sum(step < 0 for step in steps),
        "only_second": sum(step > 0 for step in steps),
    }
