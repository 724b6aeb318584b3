"""Two infilling runs on the same tasks, compared gap by gap. Knows reports, not how they were made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from model.errors import InputError
from model.evaluation.statistics import clustered_mean

_MEASURES = ("exact", "passed", "parses")


def compare(first: Mapping[str, Any], second: Mapping[str, Any], seed: int = 0) -> list[dict[str, Any]]:
    """Return, for each policy and length in both runs, the differences second - first with paired intervals.

    Where the runs have no policy in common and one each, those are compared.
    Raises InputError where there is nothing to compare.
    """
    pairs = []
    for policy, other in _policy_pairs(first, second):
        for length in ("self", "gold"):
            before, after = _answers(first, policy, length), _answers(second, other, length)
            shared = [task_id for task_id in before if task_id in after]
            if shared:
                pairs.append(_difference(policy, other, length, before, after, shared, seed))
    if not pairs:
        raise InputError("the two runs have no tasks and lengths in common; compare runs on the same data")
    return pairs


def _policy_pairs(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[str, str]]:
    mine, other = first["settings"]["policies"], second["settings"]["policies"]
    shared = [(policy, policy) for policy in mine if policy in other]
    return shared or ([(mine[0], other[0])] if len(mine) == len(other) == 1 else [])


def _answers(report: Mapping[str, Any], policy: str, length: str) -> dict[str, dict[str, Any]]:
    chosen = [answer for answer in report["answers"] if (answer["policy"], answer["length"]) == (policy, length)]
    return {answer["task_id"]: answer for answer in chosen}


def _difference(
    policy: str, other: str, length: str, before: Mapping[str, Any], after: Mapping[str, Any], shared: list[str],
    seed: int,
) -> dict[str, Any]:  # fmt: skip
    clusters = [before[task_id]["problem"] for task_id in shared]
    found: dict[str, Any] = {"policies": [policy, other], "length": length, "gaps": len(shared)}
    for measure in _MEASURES:
        steps = [int(after[task_id][measure]) - int(before[task_id][measure]) for task_id in shared]
        estimate = asdict(clustered_mean(steps, clusters, seed))
        found[measure] = {
            **{name: round(value, 4) for name, value in estimate.items()},
            "only_first": steps.count(-1),
            "only_second": steps.count(1),
        }
    return found
