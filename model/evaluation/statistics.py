"""Means with intervals that know which results belong together. Knows numbers only."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000


@dataclass(frozen=True)
class Estimate:
    """A mean and its 95 % interval."""

    value: float
    low: float
    high: float


def clustered_ratio(
    numerators: Sequence[float], denominators: Sequence[float], clusters: Sequence[Hashable], seed: int = 0
) -> Estimate:
    """Return sum(numerators) / sum(denominators), with the percentile bootstrap over whole clusters.

    Gaps of one problem fail together; drawing whole problems keeps that, and
    drawing gaps would make the interval too narrow.
    """
    assert len(numerators) == len(denominators) == len(clusters) > 0
    numbers = {cluster: number for number, cluster in enumerate(dict.fromkeys(clusters))}
    places = np.array([numbers[cluster] for cluster in clusters])
    above = np.bincount(places, np.asarray(numerators, float), len(numbers))  # [clusters]
    below = np.bincount(places, np.asarray(denominators, float), len(numbers))
    drawn = np.random.default_rng(seed).integers(len(numbers), size=(RESAMPLES, len(numbers)))
    totals = np.maximum(below[drawn].sum(1), 1e-12)
    low, high = np.quantile(above[drawn].sum(1) / totals, (0.025, 0.975))
    return Estimate(float(above.sum() / max(below.sum(), 1e-12)), float(low), float(high))


def clustered_mean(values: Sequence[float], clusters: Sequence[Hashable], seed: int = 0) -> Estimate:
    """Return the mean of `values`, with an interval clustered as in `clustered_ratio`."""
    return clustered_ratio(values, [1.0] * len(values), clusters, seed)
