"""Fitting what suggestions' numbers weigh: folds by package, and how the result compares with the confidence alone.

Knows numbers and outcomes; knows neither files nor the model.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.logistic import Matrix, logistic
from benchmarks.worth_cases import Suggested
from lint.logistic import LogisticClassifier, Weighed
from model.evaluation.statistics import RESAMPLES, Estimate

FOLDS = 12
PENALTY = 3.0  # of squared weights


def fitted(examples: Sequence[Suggested], names: Sequence[str]) -> LogisticClassifier:
    """Return a classifier whose scores are log odds of a suggestion being right."""
    rows = _rows(examples, names)
    mean, deviation = rows.mean(0), rows.std(0)
    deviation[deviation == 0] = 1.0
    weights = logistic((rows - mean) / deviation, outcomes(examples), PENALTY)
    columns = zip(names, mean.tolist(), deviation.tolist(), weights[:-1].tolist(), strict=True)
    return LogisticClassifier(tuple(Weighed(*column, is_relative=False) for column in columns), 1.0, float(weights[-1]))


def folded(examples: Sequence[Suggested], names: Sequence[str]) -> Matrix:
    """Return for each example its chance by a classifier that was fitted without its package."""
    return _folded(examples, lambda others: fitted(others, names))


def calibrated(classifier: LogisticClassifier, examples: Sequence[Suggested]) -> LogisticClassifier:
    """Return the classifier with the slope and offset by which its chances are as often right as they say (Platt)."""
    scores = np.array(_scores(classifier, examples))
    slope, offset = logistic(scores[:, None], outcomes(examples), penalty=1e-6)
    return replace(classifier, slope=float(slope), offset=float(offset))


def folded_calibration(classifier: LogisticClassifier, examples: Sequence[Suggested]) -> Matrix:
    """Return for each example its chance by the classifier, calibrated without its package."""
    return _folded(examples, lambda others: calibrated(classifier, others))


def chances(classifier: LogisticClassifier, examples: Sequence[Suggested]) -> list[float]:
    """Return the chance of each example to be right."""
    return [classifier.probability(score) for score in _scores(classifier, examples)]


def outcomes(examples: Sequence[Suggested]) -> Matrix:
    """Return 1 for the examples that are right, else 0, [N]."""
    return np.array([float(example.is_right) for example in examples])


def rightness(scores: Matrix, right: Matrix, shown: int) -> float:
    """Return how many of the `shown` examples with the highest scores are right, as a share."""
    return float(right[np.argsort(-scores, kind="stable")[:shown]].mean())


def gain(
    scores: Matrix, before: Matrix, right: Matrix, share: float, clusters: Sequence[Hashable], seed: int = 0
) -> Estimate:
    """Return `rightness` by `scores` less that by `before`, `share` of all being shown, with a paired interval.

    Whole clusters are drawn, and in each draw the best are chosen anew.
    """
    members = [np.flatnonzero(np.array([c == cluster for c in clusters])) for cluster in dict.fromkeys(clusters)]

    def difference(chosen: NDArray[np.intp]) -> float:
        shown = max(1, round(share * len(chosen)))
        return rightness(scores[chosen], right[chosen], shown) - rightness(before[chosen], right[chosen], shown)

    rng = np.random.default_rng(seed)
    drawn = [
        difference(np.concatenate([members[n] for n in rng.integers(len(members), size=len(members))]))
        for _ in range(RESAMPLES)
    ]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Estimate(difference(np.arange(len(right))), float(low), float(high))


def auc(scores: Matrix, right: Matrix) -> float:
    """Return how often an example that is right has a higher score than one that is not; ties count half."""
    ahead = scores[right == 1][:, None] - scores[right == 0][None, :]
    return float((np.sign(ahead) + 1).mean() / 2)


def _folded(examples: Sequence[Suggested], fit: Callable[[Sequence[Suggested]], LogisticClassifier]) -> Matrix:
    """Return for each example its chance by what `fit` makes of those of other packages."""
    packages = sorted({example.package for example in examples})
    random.Random(0).shuffle(packages)
    fold = {package: number % FOLDS for number, package in enumerate(packages)}
    of = np.array([fold[example.package] for example in examples])
    found = np.zeros(len(examples))
    for number in np.unique(of):
        classifier = fit([each for each, n in zip(examples, of, strict=True) if n != number])
        found[of == number] = chances(classifier, [e for e, n in zip(examples, of, strict=True) if n == number])
    return found


def _scores(classifier: LogisticClassifier, examples: Sequence[Suggested]) -> list[float]:
    names = [each.name for each in classifier.weighed]
    return classifier.scores([dict(zip(names, row, strict=True)) for row in _rows(examples, names).tolist()])


def _rows(examples: Sequence[Suggested], names: Sequence[str]) -> Matrix:
    return np.array([[example.numbers.get(name, 0.0) for name in names] for example in examples], float)
