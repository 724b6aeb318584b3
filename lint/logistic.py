"""A logistic regression with readable coefficients: numbers in, the log odds of something out.

Plain arithmetic: knows neither what the numbers are about nor where the coefficients came from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

RELATIVE_LEAST = 6.0  # a file is compared with itself as if so many lines of the usual kind stood in it besides


@dataclass(frozen=True)
class Weighed:
    """One number: how it is spread over code in general, and what it weighs.

    Where it `is_relative`, what counts is how far it lies from that of the
    others (the other lines of a file), in their standard deviations.
    """

    name: str
    mean: float
    deviation: float
    weight: float
    is_relative: bool


@dataclass(frozen=True)
class LogisticClassifier:
    """Weighs numbers. `slope` and `offset` turn a score into log odds."""

    weighed: tuple[Weighed, ...]
    slope: float
    offset: float

    def scores(self, lines: Sequence[Mapping[str, float]]) -> list[float]:
        """Return a score for each of `lines`; all given (those of one file) are compared with each other."""
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
        """Return how often what had this score was so, where the coefficients were fitted."""
        return 1 / (1 + math.exp(-(self.slope * score + self.offset)))


def relative_scale(values: Sequence[float], mean: float, deviation: float) -> tuple[float, float]:
    """Return mean and standard deviation of `values` and some lines more that are as lines usually are."""
    count = len(values) + RELATIVE_LEAST
    own_mean = (sum(values) + RELATIVE_LEAST * mean) / count
    squares = sum((value - own_mean) ** 2 for value in values) + RELATIVE_LEAST * deviation**2
    return own_mean, math.sqrt(squares / count)


def from_record(record: Mapping[str, Any]) -> LogisticClassifier:
    """Return the classifier of a record as its file has it."""
    weighed = tuple(Weighed(**fields) for fields in record["weighed"])
    return LogisticClassifier(weighed, record["slope"], record["offset"])
