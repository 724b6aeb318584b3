"""How wide a verified forward should be: as many drafts and mask rows as earn their time.

Knows what forwards cost here (measured as they run) and how often drafts of
each source were right at each distance (counted as they are checked).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from model.decoding.drafts import MAX_DRAFT_TOKENS

MAX_MASKS = 4  # mask rows for each possible frontier
_WIDTHS = (1, 2, 4, 8, 16, 32, 64)  # rows; costs in between are interpolated
_FORGETTING = 0.9  # weight of the past when a new measurement or outcome comes in
# Chances that the draft at distance 1, 2, ... is right, given that those before it were; until counted.
_FIRST_CHANCES = {"mask": (0.5, 0.5, 0.5, 0.5), "ngram": (0.6, 0.75), "typed": (0.9,), "held_back": (0.9,)}


@dataclass(frozen=True)
class Widths:
    """`drafts` per gap to verify, and `masks` per gap and possible frontier to predict the next ones."""

    drafts: int
    masks: int


class WidthPlanner:
    """Chooses widths; one for all decodes of a model, so that it learns."""

    def __init__(self, has_masks: bool, learns: bool = True) -> None:
        """`learns` False keeps to the first guesses, so that widths do not depend on the clock."""
        self._max_masks = MAX_MASKS if has_masks else 0
        self._learns = learns
        # Until measured, 16 rows cost twice one row.
        self._ms = {width: 1 + width / 16 for width in _WIDTHS}
        self._measured: set[int] = set()
        self._chances = {
            source: [chances[min(index, len(chances) - 1)] for index in range(MAX_DRAFT_TOKENS)]
            for source, chances in _FIRST_CHANCES.items()
        }

    def forward_took(self, rows: int, seconds: float) -> None:
        """Learn that a forward of `rows` rows took so long."""
        if not self._learns:
            return
        width = min(_WIDTHS, key=lambda known: abs(known - rows))
        ms = max(seconds * 1000, 1e-3)
        if not self._measured:  # the guesses keep their proportions until they are measured themselves
            scale = ms / self._ms[width]
            self._ms = {known: guess * scale for known, guess in self._ms.items()}
        elif width in self._measured:
            # A sudden stall of the machine says nothing about the width.
            ms = _FORGETTING * self._ms[width] + (1 - _FORGETTING) * min(ms, 3 * self._ms[width])
        self._ms[width] = ms
        self._measured.add(width)

    def draft_was(self, source: str, distance: int, right: bool) -> None:
        """Learn how the draft at `distance` (1 is the first) of its source fared, those before it having been right."""
        if not self._learns:
            return
        chances = self._chances[source]
        index = min(distance, MAX_DRAFT_TOKENS) - 1
        chances[index] = _FORGETTING * chances[index] + (1 - _FORGETTING) * right

    def forward_ms(self, rows: int) -> float:
        """Return the expected milliseconds of a forward of `rows` rows."""
        for low, high in pairwise(_WIDTHS):
            if rows <= high:
                part = max(0, rows - low) / (high - low)
                return self._ms[low] + part * max(0.0, self._ms[high] - self._ms[low])
        return self._ms[_WIDTHS[-1]] * rows / _WIDTHS[-1]

    def choose(self, gaps: int, sources: Sequence[str]) -> Widths:
        """Return the widths with the most expected tokens per millisecond.

        `sources` names where the drafts of each distance come from, nearest
        first; they must be right in all `gaps` to count. Mask rows are worth
        the drafts they make for the forward after this one.
        """
        masks = max(range(self._max_masks + 1), key=lambda masks: self._steady_rate(gaps, masks))
        best, best_rate = Widths(0, masks), 0.0
        expected, chance = 1.0, 1.0
        for drafts in range(len(sources) + 1):
            if drafts:
                chance *= self._chances[sources[drafts - 1]][drafts - 1] ** gaps
                expected += chance
            # If all drafts may be right there is a next free draft as likely as not: masks pay only behind the last.
            rate = expected / self.forward_ms(gaps * (1 + drafts + (drafts + 1) * masks))
            if rate > best_rate:
                best, best_rate = Widths(drafts, masks), rate
        return best

    def _steady_rate(self, gaps: int, masks: int) -> float:
        """Return tokens per millisecond if every forward verifies and predicts `masks` mask drafts."""
        expected, chance = 1.0, 1.0
        for distance in range(masks):
            chance *= self._chances["mask"][distance] ** gaps
            expected += chance
        return expected / self.forward_ms(gaps * (1 + masks + (masks + 1) * masks))
