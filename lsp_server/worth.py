"""How likely it is that a suggestion is right, from what is known once it is decoded, and whether that is enough.

The numbers about a suggestion are measured here, for the language server and for the fit alike; what they weigh stands
in `worth_odds.json`, with how it was made (`python -m benchmarks.worth fit --write`). docs/experiments.md has what else
was tried.

Plain arithmetic, in microseconds. Knows what a decode says of itself, what was found of the syntax, and what the user
has chosen; knows no texts and no model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

from grammars import Damage
from lint.logistic import LogisticClassifier, from_record
from lsp_server.settings import Settings
from model.api.types import Alternative, GapInfill


@dataclass(frozen=True)
class Standard:
    """What a suggestion must reach: a least chance of being right, or in its place a `floor` under the confidence."""

    eagerness: str
    least: float
    floor: float | None = None

    @classmethod
    def of(cls, settings: Settings, *, invoked: bool) -> Standard:
        """Return what the user has chosen. Asked for by hand, whatever there is is shown."""
        if invoked:
            return cls(settings.eagerness, 0.0)
        return cls(settings.eagerness, least_chances()[settings.eagerness], settings.confidence_floor)

    def lowered(self, share: float) -> Standard:
        """Return `share` of this standard."""
        return replace(self, least=self.least * share, floor=None if self.floor is None else self.floor * share)


@dataclass(frozen=True)
class Verdict:
    """What a suggestion reached beside the standard, and the number that spoke most against it, if one did."""

    standard: Standard
    confidence: float
    chance: float
    against: str | None

    @property
    def is_shown(self) -> bool:
        if self.standard.floor is not None:
            return self.confidence >= self.standard.floor
        return self.chance >= self.standard.least

    def details(self) -> dict[str, Any]:
        """Return, as JSON values, the numbers that decided."""
        found: dict[str, Any] = {"confidence": round(self.confidence, 4)}
        if self.standard.floor is not None:
            return found | {"floor": self.standard.floor}
        chances = {"chance": round(self.chance, 4), "least": self.standard.least}
        return found | chances | {"eagerness": self.standard.eagerness, "against": self.against}


def judged(said: GapInfill | Alternative, damage: Damage | None, standard: Standard) -> Verdict:
    """Return the verdict on what the model said, of which the text does `damage` to the file, None if not known."""
    known = numbers(said, damage)
    classifier = classifier_that_ships()
    (score,) = classifier.scores([known])
    weights = {each.name: each.weight * (known[each.name] - each.mean) / each.deviation for each in classifier.weighed}
    against = min(weights, key=weights.__getitem__)
    return Verdict(
        standard, known["confidence"], classifier.probability(score), against if weights[against] < 0 else None
    )


def numbers(said: GapInfill | Alternative, damage: Damage | None) -> dict[str, float]:
    """Return what is known of a suggestion, by name; see `judged`."""
    return {
        "confidence": confidence(said.logprobs),
        "loss": math.log1p(-sum(said.logprobs)),  # in nats, of all of it: grows with length
        "flaws": float(damage is not None and damage.errors_after > 0),
        "mends": float(damage is not None and damage.errors_after < damage.errors_before),
    }


def confidence(logprobs: Sequence[float]) -> float:
    """Return the probability of a token, in the geometric mean; 0 for no tokens at all."""
    return math.exp(sum(logprobs) / len(logprobs)) if logprobs else 0.0


@cache
def classifier_that_ships() -> LogisticClassifier:
    """Return the classifier whose scores are log odds of a suggestion's first line being right."""
    return from_record(_odds())


def least_chances() -> dict[str, float]:
    """Return the least chance of being right that is shown, by eagerness."""
    chances: dict[str, float] = _odds()["least"]
    return chances


@cache
def _odds() -> dict[str, Any]:
    odds: dict[str, Any] = json.loads((files("lsp_server") / "worth_odds.json").read_text(encoding="utf-8"))
    return odds
