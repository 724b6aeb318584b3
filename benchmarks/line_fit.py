"""Fitting the classifier of suspicious lines to planted faults: folds by package, odds from lines it was not fitted to.

What kind of line it is (a condition, an assignment, a bracket) is measured, but
not what ships: on planted faults its weights would learn where they were
planted. The length of a line does ship, as a scale for surprise.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, pstdev

import numpy as np
from numpy.typing import NDArray

from benchmarks.line_cases import ScoredCase
from benchmarks.line_ranking import RankedFile, is_usable
from benchmarks.logistic import logistic
from lint.features import line_features
from lint.logistic import LogisticClassifier, Weighed, relative_scale
from lint.records import split_lines
from model.evaluation.statistics import Estimate, clustered_mean

FOLDS = 10
PENALTY = 50.0  # of squared weights: by folds over packages, anything from 10 to 200 does as well
SIZE = ("log_chars", "no_word", "few_words", "comment")  # what is told of the text beside the model's scores
_Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Sheet:
    """A file's scored lines as numbers: which features, and which lines are wrong."""

    scored: ScoredCase
    lines: tuple[int, ...]
    text: list[dict[str, float]]
    surprise: list[dict[str, float]]
    is_wrong: tuple[bool, ...]

    def ranked(self, scores: Sequence[float]) -> RankedFile:
        case = self.scored.case
        return RankedFile(case.cluster, case.language, next(iter(case.kinds.values())), tuple(scores), self.is_wrong)


def sheets(cases: Sequence[ScoredCase]) -> list[Sheet]:
    """Return the sheets of all cases that have both wrong and right lines."""
    found = []
    for scored in cases:
        lines = split_lines(scored.case.text)
        text, surprise = line_features(lines, scored.scores)
        is_wrong = tuple(line in scored.case.kinds for line in text)
        if is_usable(is_wrong):
            sheet = Sheet(scored, tuple(text), list(text.values()), list(surprise.values()), is_wrong)
            found.append(sheet)
    return found


@dataclass(frozen=True)
class Choice:
    """Which numbers a classifier weighs."""

    text: tuple[str, ...]
    surprise: tuple[str, ...]


def choices(sheet: Sheet) -> dict[str, Choice]:
    """Return what is compared: what ships first."""
    text, surprise = tuple(sheet.text[0]), tuple(sheet.surprise[0])
    return {
        "model and length": Choice(SIZE, surprise),
        "model alone": Choice((), surprise),
        "kind and length": Choice(text, ()),
        "kind, length and model": Choice(text, surprise),
    }


def fitted(files: Sequence[Sheet], choice: Choice) -> LogisticClassifier:
    """Return a classifier fitted to `files`, whose scores are log odds of a fault among their lines."""
    spread = _spread(files, choice)
    rows = np.vstack([_rows(sheet, spread) for sheet in files])
    weights = logistic(rows, np.concatenate([sheet.is_wrong for sheet in files]).astype(float), PENALTY)
    weighed = tuple(
        Weighed(name, mean, deviation, float(weight), is_relative)
        for (name, mean, deviation, is_relative), weight in zip(spread, weights[:-1], strict=True)
    )
    return LogisticClassifier(weighed, 1.0, float(weights[-1]))


def scores(classifier: LogisticClassifier, sheet: Sheet) -> list[float]:
    """Return the classifier's score of each line of a file."""
    return classifier.scores([text | surprise for text, surprise in zip(sheet.text, sheet.surprise, strict=True)])


def folded(files: Sequence[Sheet], choice: Choice) -> list[list[float]]:
    """Return for each file the log odds by a classifier that was fitted without its package (or problem)."""
    clusters = sorted({sheet.scored.case.cluster for sheet in files})
    random.Random(0).shuffle(clusters)
    fold = {cluster: number % FOLDS for number, cluster in enumerate(clusters)}
    found: list[list[float]] = [[] for _ in files]
    for number in range(FOLDS):
        of = [fold[sheet.scored.case.cluster] for sheet in files]
        classifier = fitted([sheet for sheet, n in zip(files, of, strict=True) if n != number], choice)
        for index, sheet in enumerate(files):
            if of[index] == number:
                found[index] = [score + classifier.offset for score in scores(classifier, sheet)]
    return found


def calibration(files: Sequence[Sheet], log_odds: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Return slope and offset that turn a score into log odds as often right as they say (Platt)."""
    rows = np.concatenate([np.asarray(each, float) for each in log_odds])[:, None]
    slope, offset = logistic(rows, np.concatenate([sheet.is_wrong for sheet in files]).astype(float), penalty=1e-6)
    return float(slope), float(offset)


def reliability(
    files: Sequence[Sheet], log_odds: Sequence[Sequence[float]], edges: Sequence[float]
) -> list[tuple[float, int, int, Estimate | None]]:
    """Return (mean probability, lines, wrong lines, share of these) of lines whose probability lies between `edges`.

    The share's interval is clustered by package (or problem); it is None where there are no lines.
    """
    probability = 1 / (1 + np.exp(-np.concatenate([np.asarray(each, float) for each in log_odds])))
    is_wrong = np.concatenate([sheet.is_wrong for sheet in files])
    clusters = np.concatenate([[sheet.scored.case.cluster] * len(sheet.lines) for sheet in files])
    found: list[tuple[float, int, int, Estimate | None]] = []
    for low, high in pairwise(edges):
        within = (probability >= low) & (probability < high)
        lines, wrong = int(within.sum()), int(is_wrong[within].sum())
        if lines:
            share = clustered_mean(is_wrong[within].astype(float).tolist(), clusters[within].tolist())
            found.append((float(probability[within].mean()), lines, wrong, share))
        else:
            found.append((0.0, 0, 0, None))
    return found


def _spread(files: Sequence[Sheet], choice: Choice) -> list[tuple[str, float, float, bool]]:
    """Return name, mean and standard deviation of each number that is weighed, and whether it is relative."""
    found = []
    for names, is_relative in ((choice.text, False), (choice.surprise, True)):
        for name in names:
            values = [line[name] for sheet in files for line in (sheet.surprise if is_relative else sheet.text)]
            found.append((name, fmean(values), pstdev(values) or 1.0, is_relative))
    return found


def _rows(sheet: Sheet, spread: Sequence[tuple[str, float, float, bool]]) -> _Matrix:
    columns = []
    for name, mean, deviation, is_relative in spread:
        values = [line[name] for line in (sheet.surprise if is_relative else sheet.text)]
        scale = relative_scale(values, mean, deviation) if is_relative else (mean, deviation)
        columns.append((np.asarray(values) - scale[0]) / scale[1])
    return np.stack(columns, axis=1)
