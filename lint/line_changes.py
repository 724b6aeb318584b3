"""Which lines of a text became which of another: exact, but not always the fewest, so that time is bounded.

Knows two sequences of lines; knows no files and no characters.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

_MOST_LINE_PAIRS = 40_000  # that are compared to align two pieces: a few milliseconds


class Changed(NamedTuple):
    """Lines `[old_start, old_end)` became `[new_start, new_end)`, counted from 0; one of the two may be empty."""

    old_start: int
    old_end: int
    new_start: int
    new_end: int


def changed_lines(old: Sequence[str], new: Sequence[str]) -> Iterator[Changed]:
    """Yield what changed, from above to below; all other lines are the same, in the same order.

    Lines that stand once in each text hold the two together, as in a patience diff. What lies between two of them is
    compared line with line where it is short; else in its order where it has as many lines as before; else it changed.
    """
    old_at = new_at = 0
    for old_line, new_line in [*_anchors(old, new), (len(old), len(new))]:
        yield from _between(old, new, Changed(old_at, old_line, new_at, new_line))
        old_at, new_at = old_line + 1, new_line + 1


def _anchors(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Return the places of lines that stand once in each text, as many as have the same order in both."""
    old_counts, new_counts = Counter(old), Counter(new)
    places = {line: index for index, line in enumerate(new) if new_counts[line] == 1}
    pairs = [(index, places[line]) for index, line in enumerate(old) if old_counts[line] == 1 and line in places]
    # The longest increasing subsequence: the pile tops so far, and for each pair the one that it was laid on.
    tops: list[int] = []
    top_pairs: list[int] = []
    below: list[int] = []
    for index, (_, place) in enumerate(pairs):
        pile = bisect_left(tops, place)
        below.append(top_pairs[pile - 1] if pile else -1)
        tops[pile : pile + 1] = [place]
        top_pairs[pile : pile + 1] = [index]
    found = []
    index = top_pairs[-1] if top_pairs else -1
    while index >= 0:
        found.append(pairs[index])
        index = below[index]
    return found[::-1]


def _between(old: Sequence[str], new: Sequence[str], piece: Changed) -> Iterator[Changed]:
    old_start, old_end, new_start, new_end = piece
    while old_start < old_end and new_start < new_end and old[old_start] == new[new_start]:
        old_start, new_start = old_start + 1, new_start + 1
    while old_start < old_end and new_start < new_end and old[old_end - 1] == new[new_end - 1]:
        old_end, new_end = old_end - 1, new_end - 1
    old_count, new_count = old_end - old_start, new_end - new_start
    if old_count * new_count <= _MOST_LINE_PAIRS:
        matcher = SequenceMatcher(None, old[old_start:old_end], new[new_start:new_end], autojunk=False)
        for tag, *ends in matcher.get_opcodes():
            if tag != "equal":
                yield Changed(old_start + ends[0], old_start + ends[1], new_start + ends[2], new_start + ends[3])
    elif old_count == new_count:
        for index in range(old_count):
            if old[old_start + index] != new[new_start + index]:
                yield Changed(old_start + index, old_start + index + 1, new_start + index, new_start + index + 1)
    else:
        yield Changed(old_start, old_end, new_start, new_end)
