"""How suspicious a line is, from its numbers: a logistic regression, and the odds that came of it on planted faults.

The coefficients stand in `line_odds.json`, with how they were made
(`python -m benchmarks.lint seeded --write`). Plain arithmetic: knows no text and no model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

RELATIVE_LEAST = 6.0  # a file is compared with itself as if so many lines of the usual kind stood in it besides


@dataclass(frozen=True)
class Weighed:
    """One number about a line: how it is spread over code in general, and what it weighs.

    Where it `is_relative`, what counts is how far it lies from the other lines
    of its own file, in their standard deviations.
    """

    name: str
    mean: float
    deviation: float
    weight: float
    is_relative: bool


@dataclass(frozen=True)
class LineClassifier:
    """Weighs the numbers of a file's lines. `slope` and `offset` turn a score into the log odds of a fault."""

    weighed: tuple[Weighed, ...]
    slope: float
    offset: float

    def scores(self, lines: Sequence[Mapping[str, float]]) -> list[float]:
        """Return a score for each line of one file; all lines given are compared with each other."""
        totals = [0.0] * len(lines)
        for each in self.weighed:
            values = [line[each.name] for line in lines]
            mean, deviation = each.mean, each.deviation
            if each.is_relative:
                mean, deviation = relative_scale(values, mean, deviation)
            for index, value in enumerate(values):
                totals[index] += each.weight * (value - mean) / deviation
        return totals

    def probability(self, score: float) -> float:
        """Return how often lines of this score were wrong, among lines of which one in some 25 was."""
        return 1 / (1 + math.exp(-(self.slope * score + self.offset)))


def relative_scale(values: Sequence[float], mean: float, deviation: float) -> tuple[float, float]:
    """Return mean and standard deviation of `values` and some lines more that are as lines usually are."""
    count = len(values) + RELATIVE_LEAST
    own_mean = (sum(values) + RELATIVE_LEAST * mean) / count
    squares = sum((value - own_mean) ** 2 for value in values) + RELATIVE_LEAST * deviation**2
    return own_mean, math.sqrt(squares / count)


@cache
def line_classifier() -> LineClassifier:
    """Return the classifier that ships."""
    return from_record(json.loads((files("lint") / "line_odds.json").read_text(encoding="utf-8")))


def from_record(record: Mapping[str, Any]) -> LineClassifier:
    """Return the classifier of a record as `line_odds.json` has it."""
    weighed = tuple(Weighed(**fields) for fields in record["weighed"])
    return LineClassifier(weighed, record["slope"], record["offset"])
