"""How wide a verified forward should be: as many drafts and mask rows as earn their time.

Knows what forwards cost here (measured as they run) and how often drafts of
each kind were right at each distance (counted as they are checked).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise, zip_longest
from math import prod

from model.decoding.drafts import MAX_DRAFT_TOKENS

MAX_MASKS = 4  # mask rows for each possible frontier
_WIDTHS = (1, 2, 4, 8, 16, 32, 64)  # rows; costs in between are interpolated
_FORGETTING = 0.9  # weight of the past when a new measurement or outcome comes in
_SECOND_CHANCE = 0.002  # so much of its first chance comes back to a kind of draft each time it is passed over
_OPTIMISM = 0.999  # a width's cost is multiplied by this for every forward of another width
_LEAST_MS = 1e-3
_FOLLOWING = 0.1  # part of one width's change that the other measured ones follow
_STALL = 3.0  # a forward that takes so many times longer than expected says nothing more
# Chances that the draft at distance 1, 2, ... is right, given that those before it were; until counted.
# For n-grams by the length of the match, as found in files of Python's standard library; for masks as training is to
# make them at least.
_FIRST_CHANCES = {
    "mask": (0.55, 0.7, 0.75),
    "typed": (0.9,),
    "held_back": (0.5,),
    "ngram:1": (0.2, 0.5, 0.5, 0.6),
    "ngram:2": (0.4, 0.6),
    "ngram:3": (0.6, 0.6),
    "ngram:4": (0.6, 0.65),
    "ngram:5": (0.75, 0.7),
    "candidate:1": (0.5, 0.65),
    "candidate:2": (0.6, 0.65),
    "candidate:3": (0.75, 0.65),
    "candidate:4": (0.75, 0.7),
    "candidate:5": (0.85, 0.75),
}


@dataclass(frozen=True)
class Widths:
    """`drafts` per gap to verify, and `masks` per gap and possible frontier to predict the next ones."""

    drafts: int
    masks: int


class WidthPlanner:
    """Chooses widths; one for all decodes of a model, so that it learns."""

    def __init__(self, adapted: bool, learns: bool = True) -> None:
        """`learns` False keeps to the first guesses, so that widths do not depend on the clock."""
        self._max_masks = MAX_MASKS if adapted else 0  # others have no mask rows
        self._learns = learns
        # Until measured, 16 rows cost twice one row.
        self._ms = {width: 1 + width / 16 for width in _WIDTHS}
        self._measured = dict.fromkeys(_WIDTHS, 0)  # how often
        self._warm = False
        self._chances = {
            kind: [chances[min(index, len(chances) - 1)] for index in range(MAX_DRAFT_TOKENS)]
            for kind, chances in _FIRST_CHANCES.items()
        }

    def forward_took(self, rows: int, seconds: float) -> None:
        """Learn that a forward of `rows` rows took so long.

        A machine gets slower and faster as a whole, so other widths follow: all
        the way until they are measured themselves, then a little. And they
        are slowly thought cheaper, so that none is left untried for ever.
        """
        if not self._learns:
            return
        if not self._warm:  # the first forward pays for much that no other will
            self._warm = True
            return
        width = min(_WIDTHS, key=lambda known: abs(known - rows))
        expected = {known: self.forward_ms(known) for known in _WIDTHS}
        ratio = max(seconds * 1000, _LEAST_MS) / self.forward_ms(rows)
        if any(self._measured.values()):
            ratio = min(ratio, _STALL)
        ratio **= max(1 / (1 + self._measured[width]), 1 - _FORGETTING)
        self._measured[width] += 1
        for known, ms in expected.items():
            if known != width:
                ms *= _OPTIMISM * (ratio**_FOLLOWING if self._measured[known] else ratio)
            else:
                ms *= ratio
            self._ms[known] = max(ms, _LEAST_MS)

    def draft_was(self, kind: str, distance: int, right: bool) -> None:
        """Learn how the draft at `distance` (1 is the first) of its kind fared, those before it having been right."""
        if self._learns:
            self._move_chance(kind, distance, float(right), 1 - _FORGETTING)

    def _move_chance(self, kind: str, distance: int, towards: float, part: float) -> None:
        chances = self._chances[kind]
        chances[distance - 1] += part * (towards - chances[distance - 1])

    def forward_ms(self, rows: int) -> float:
        """Return the expected milliseconds of a forward of `rows` rows; wider ones never cost less."""
        ms = self._ms[1]
        for low, high in pairwise(_WIDTHS):
            if rows <= low:
                return ms
            high_ms = max(ms, self._ms[high])
            if rows <= high:
                return ms + (rows - low) / (high - low) * (high_ms - ms)
            ms = high_ms
        return ms * rows / _WIDTHS[-1]

    def expected_tokens(self, kinds: Sequence[Sequence[str]]) -> list[float]:
        """Return how many tokens of each gap a forward is expected to reveal if 0, 1, ... drafts are verified.

        `kinds` are those of each gap's drafts, nearest first. All gaps' must be
        right to count; one with fewer drafts than others ends there.
        """
        expected, chance = [1.0], 1.0
        for index, of_gaps in enumerate(zip_longest(*kinds)):
            chance *= prod(self._chances[kind][index] for kind in of_gaps if kind is not None)
            expected.append(expected[-1] + chance)
        return expected

    def choose(self, kinds: Sequence[Sequence[str]]) -> Widths:
        """Return the widths with the most expected tokens per millisecond, over this forward and the next.

        `kinds` are those of each gap's drafts. Mask rows make the drafts of the
        next forward.
        """
        gaps = len(kinds)
        with_masks = self.expected_tokens([["mask"] * self._max_masks] * gaps)
        best = self._best(gaps, self.expected_tokens(kinds), gaps, with_masks)
        self._pass_over({(of_gap[best.drafts], best.drafts) for of_gap in kinds if best.drafts < len(of_gap)})
        return best

    def choose_each(self, kinds: Sequence[Sequence[str]]) -> list[Widths]:
        """Return widths for decodes that share forwards, each verified by itself; `kinds` are those of their drafts."""
        decodes = len(kinds)
        chances = [
            (after - before, index)
            for index, of_one in enumerate(kinds)
            for before, after in pairwise(self.expected_tokens([of_one]))
        ]
        chances.sort(key=lambda chance: -chance[0])  # of one decode they fall with the distance
        expected = list(accumulate((chance for chance, _ in chances), initial=float(decodes)))
        with_masks = [decodes * tokens for tokens in self.expected_tokens([["mask"] * self._max_masks])]
        best = self._best(decodes, expected, 1, with_masks)
        chosen = Counter(index for _, index in chances[: best.drafts])
        counts = [chosen[index] for index in range(decodes)]
        self._pass_over(
            {(of_one[count], count) for of_one, count in zip(kinds, counts, strict=True) if count < len(of_one)}
        )
        return [Widths(count, best.masks) for count in counts]

    def _best(self, gaps: int, expected: Sequence[float], rows_each: int, with_masks: Sequence[float]) -> Widths:
        """Return how many drafts, of `rows_each` rows each, and how many masks per gap and frontier are best.

        `expected` are the tokens revealed with 0, 1, ... drafts, `with_masks` those of the next forward with as many
        masks now; both counted per gap, or both for all gaps together.
        """
        steady = max(
            range(self._max_masks + 1), key=lambda masks: with_masks[masks] / self._ms_of(gaps, gaps * masks, masks)
        )
        best, best_rate = Widths(0, 0), 0.0
        for masks in {0, steady}:
            next_ms = self._ms_of(gaps, gaps * masks, steady)
            for drafts, tokens in enumerate(expected):
                rate = (tokens + with_masks[masks]) / (self._ms_of(gaps, rows_each * drafts, masks) + next_ms)
                if rate > best_rate:
                    best, best_rate = Widths(drafts, masks), rate
        return best

    def _pass_over(self, drafts: set[tuple[str, int]]) -> None:
        """Give something of its first chance back to each of `drafts`: kind, and how many stand before it."""
        if self._learns:
            for kind, before in drafts:
                first = _FIRST_CHANCES[kind]
                self._move_chance(kind, before + 1, first[min(before, len(first) - 1)], _SECOND_CHANCE)

    def _ms_of(self, gaps: int, drafts: int, masks: int) -> float:
        """Return the milliseconds of a forward with so many drafts of all gaps together."""
        return self.forward_ms((gaps + drafts) * (1 + masks))
