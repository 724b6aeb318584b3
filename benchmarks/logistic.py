"""Fitting a logistic regression, and the file that its coefficients are read in. Knows numbers only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lint.logistic import LogisticClassifier

Matrix = NDArray[np.float64]


def logistic(rows: Matrix, outcomes: Matrix, penalty: float) -> Matrix:
    """Return the weights of a logistic regression, the intercept last, which alone is not penalised (Newton).

    `rows` are [N, numbers], `outcomes` [N] of 0 and 1; `penalty` is that of squared weights.
    """
    design = np.column_stack([rows, np.ones(len(rows))])
    ridge = np.full(design.shape[1], penalty)
    ridge[-1] = 1e-9
    weights = np.zeros(design.shape[1])
    for _ in range(50):
        probability = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        slope = design.T @ (probability - outcomes) + ridge * weights
        curvature = (design * (probability * (1 - probability))[:, None]).T @ design + np.diag(ridge)
        step = np.linalg.solve(curvature, slope)
        weights -= step
        if np.abs(step).max() < 1e-8:
            break
    return weights


def record(classifier: LogisticClassifier, facts: Mapping[str, Any]) -> str:
    """Return the text of a file of coefficients, with `facts` on how they were made."""
    weighed = [
        {name: round(value, 6) if isinstance(value, float) else value for name, value in asdict(each).items()}
        for each in classifier.weighed
    ]
    plain = {**facts, "slope": round(classifier.slope, 6), "offset": round(classifier.offset, 6)}
    return json.dumps({**plain, "weighed": weighed}, indent=1) + "\n"
