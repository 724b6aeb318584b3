"""The classifier's arithmetic by hand, and the one that ships."""

from __future__ import annotations

import math

import pytest

from lint.classifier import line_classifier
from lint.features import line_features
from lint.logistic import RELATIVE_LEAST, LogisticClassifier, Weighed, from_record, relative_scale
from lint.scoring import LineScore
from model.api.types import TokenScore


def test_a_number_is_weighed_by_its_place_among_all_lines() -> None:
    classifier = LogisticClassifier((Weighed("a", mean=2.0, deviation=4.0, weight=3.0, is_relative=False),), 1.0, 0.0)
    assert classifier.scores([{"a": 2.0}, {"a": 6.0}]) == [0.0, 3.0]


def test_a_relative_number_is_weighed_by_its_place_in_the_file() -> None:
    """Two lines of 1 and 5 beside six of the usual kind (mean 3, deviation 2): mean 3, squares 4 + 4 + 24."""
    assert RELATIVE_LEAST == 6
    assert relative_scale([1.0, 5.0], 3.0, 2.0) == (3.0, 2.0)
    classifier = LogisticClassifier((Weighed("a", mean=3.0, deviation=2.0, weight=3.0, is_relative=True),), 1.0, 0.0)
    assert classifier.scores([{"a": 1.0}, {"a": 5.0}]) == [-3.0, 3.0]


def test_a_line_is_judged_against_its_file() -> None:
    """What surprises in a file that never does is worth more than in one that always does."""
    classifier = LogisticClassifier((Weighed("a", mean=5.0, deviation=2.0, weight=1.0, is_relative=True),), 1.0, 0.0)
    calm, wild = [{"a": 0.0}] * 60, [{"a": 8.0}] * 60
    assert classifier.scores([*calm, {"a": 8.0}])[-1] > 3 > classifier.scores([*wild, {"a": 8.0}])[-1]


def test_one_line_alone_has_a_score() -> None:
    assert math.isfinite(line_classifier().scores([dict.fromkeys((w.name for w in line_classifier().weighed), 1.0)])[0])


def test_odds_follow_from_the_score() -> None:
    assert LogisticClassifier((), slope=2.0, offset=-1.0).probability(0.5) == pytest.approx(0.5)
    assert LogisticClassifier((), slope=2.0, offset=-1.0).probability(0.0) == pytest.approx(1 / (1 + math.e))


def test_what_ships_weighs_numbers_that_there_are() -> None:
    token = TokenScore("x", -1.0, "clean", -0.5, 0.5)
    text, surprise = line_features(["x = 1"], {1: LineScore(1, 0, (0,), (token,), (token,), -0.1)})
    assert {weighed.name for weighed in line_classifier().weighed} <= {*text[1], *surprise[1]}
    assert line_classifier().slope > 0


def test_a_record_is_read_as_it_is_written() -> None:
    plain = {"name": "a", "mean": 1.0, "deviation": 2.0, "weight": 3.0, "is_relative": True}
    read = from_record({"made": {}, "slope": 1.5, "offset": -2.0, "weighed": [plain]})
    assert read == LogisticClassifier((Weighed("a", 1.0, 2.0, 3.0, True),), 1.5, -2.0)
