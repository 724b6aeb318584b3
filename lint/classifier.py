"""How suspicious a line is: the coefficients that came of planted faults.

They stand in `line_odds.json`, with how they were made (`python -m benchmarks.lint seeded --write`). A line's
probability is how often lines of its score were wrong, among lines of which one in some 25 was.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from lint.logistic import LogisticClassifier, from_record


@cache
def line_classifier() -> LogisticClassifier:
    """Return the classifier that ships."""
    return from_record(json.loads((files("lint") / "line_odds.json").read_text(encoding="utf-8")))
