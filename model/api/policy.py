"""Order policies and reveal rules: in which order a gap's positions become known, and how many at a time.

    policy          order of positions                                       rules
    left_to_right   ascending; the clean head decides                        first_hitting, verified
    block:B         blocks of B positions ascending, random inside           first_hitting, threshold:TAU
    window:S        argsort(i + S * U**3), U uniform: biased to ascending    first_hitting, threshold:TAU
    uniform         random; the length is drawn first                        first_hitting, threshold:TAU
    beam:B          ascending, B beginnings at once (`decoding.beams`)       first_hitting

`first_hitting` reveals the next position of the order, one per gap and step;
`threshold` every position asked about with p >= TAU, at least one; `verified`
checks drafts with the clean head and reveals what is right. `verified` as a
policy means left_to_right with the verified rule.

Knows names and ranks; `decoding.hitting_times` has the random orders themselves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from model.errors import InputError

VERIFIED = "verified"  # greedy decoding with the fewest forwards
DEFAULT_BEAMS = 4  # more find little that is better (docs/experiments.md)
DEFAULT_THRESHOLD = 0.9
UNIFORM_MAX_TOKENS = 64  # the longest infill that the uniform policy can draw
MAX_BEAMS = 16  # each adds rows to every forward

_LARGEST = {"block": UNIFORM_MAX_TOKENS, "window": UNIFORM_MAX_TOKENS, "beam": MAX_BEAMS}

_RULES = {
    "left_to_right": ("first_hitting", "verified"),
    "block": ("threshold", "first_hitting"),
    "window": ("threshold", "first_hitting"),
    "uniform": ("threshold", "first_hitting"),
    "beam": ("first_hitting",),
}


@dataclass(frozen=True)
class RevealRule:
    """`kind` is first_hitting, threshold or verified; `threshold` is a probability."""

    kind: str
    threshold: float = DEFAULT_THRESHOLD

    def __str__(self) -> str:
        return f"threshold:{self.threshold:g}" if self.kind == "threshold" else self.kind


@dataclass(frozen=True)
class OrderPolicy:
    """`kind` is left_to_right, block, window, uniform or beam; `size` is the B or S: positions, or beginnings."""

    kind: str
    size: int = 0

    def __str__(self) -> str:
        return f"{self.kind}:{self.size}" if self.size else self.kind

    def asked(self, frontier: int, end_rank: int | None, last_rank: int) -> range:
        """Return the ranks, revealed ones among them, that mask rows may stand at now.

        `end_rank` is the rank of `<eoi>` if that is known; no rank is beyond `last_rank`.
        """
        last = last_rank if end_rank is None else min(last_rank, end_rank - 1)
        match self.kind:
            case "block":
                last = min(last, ((frontier - 1) // self.size + 1) * self.size)
            case "window":
                last = min(last, frontier + self.size - 1)
            case "uniform" if end_rank is None:
                last = min(last, UNIFORM_MAX_TOKENS + 1)
        return range(frontier, last + 1)


def best_policy(gaps: int, *, adapted: bool, beams: int = DEFAULT_BEAMS, candidates: int = 1) -> str:
    """Return the policy that fills so many `gaps` best.

    Beams are for one gap, and for a model that sees what is behind it (`adapted`).
    Of several candidates each is a beam of its own. One beam is greedy decoding.
    """
    if gaps > 1 or not adapted or beams == 1:
        return VERIFIED
    return str(OrderPolicy("beam", max(beams, candidates)))


def parse_policy(policy: str, reveal: str | None = None) -> tuple[OrderPolicy, RevealRule]:
    """Return the policy and rule of these names. Raises InputError for unknown ones and illegal pairs."""
    if policy == VERIFIED:
        if reveal not in (None, "verified"):
            raise InputError(f"policy verified has a rule of its own: leave out reveal {reveal!r}")
        return OrderPolicy("left_to_right"), RevealRule("verified")
    name, _, argument = policy.partition(":")
    if name not in _RULES or bool(argument) != (name in _LARGEST):
        raise InputError(
            f"unknown policy {policy!r}: choose verified, left_to_right, beam:B, block:B, window:S or uniform"
        )
    size = 0
    if argument:
        if not (argument.isascii() and argument.isdigit() and 1 <= int(argument) <= _LARGEST[name]):
            raise InputError(f"policy {policy!r}: the size must be a whole number from 1 to {_LARGEST[name]}")
        size = int(argument)
    rule = _parse_rule(reveal) if reveal else RevealRule(_RULES[name][0])
    if rule.kind not in _RULES[name]:
        raise InputError(f"policy {name} cannot reveal by {rule.kind}: choose {' or '.join(_RULES[name])}")
    return OrderPolicy(name, size), rule


def _parse_rule(reveal: str) -> RevealRule:
    kind, _, argument = reveal.partition(":")
    if kind in ("first_hitting", "verified") and not argument:
        return RevealRule(kind)
    if kind != "threshold":
        raise InputError(f"unknown reveal rule {reveal!r}: choose first_hitting, threshold:TAU or verified")
    try:
        threshold = float(argument) if argument else DEFAULT_THRESHOLD
    except ValueError:
        threshold = math.nan
    if not 0 < threshold <= 1:
        raise InputError(f"reveal rule {reveal!r}: the threshold must be a probability above 0 and at most 1")
    return RevealRule(kind, threshold)
