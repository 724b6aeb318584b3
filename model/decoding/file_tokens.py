"""The tokens of a window in the order of the file, and where each of them stands: for drafts and for copying.

Knows no distributions and no text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property

from model.sessions.window import Window

MISSING = -1  # stands where a gap is, or text that the window leaves out


class FileTokens:
    """Token ids one after the other; `gap_at` says where each gap is among them: at a `MISSING`."""

    def __init__(self, ids: list[int], gap_at: Sequence[int]) -> None:
        self.ids, self.gap_at = ids, gap_at

    @classmethod
    def of(cls, window: Window) -> FileTokens:
        """Return what `window` shows of its file."""
        ids, gap_at = list(window.left.ids), []
        for chunks in window.middles:
            gap_at.append(len(ids))
            for chunk in chunks:
                ids += [MISSING, *chunk.ids]
            if not chunks:
                ids.append(MISSING)
        gap_at.append(len(ids))
        ids += [MISSING, *(token_id for chunk in reversed(window.right) for token_id in chunk.ids)]
        return cls(ids, gap_at)

    @cached_property
    def _after(self) -> dict[int, list[int]]:
        """The places behind each token: made when first asked for, as beams and mask rows do not ask."""
        after = defaultdict[int, list[int]](list)
        for place, token_id in enumerate(self.ids[:-1], start=1):
            after[token_id].append(place)
        return after

    def places_after(self, token_id: int) -> Sequence[int]:
        """Return the places behind each `token_id`, ascending."""
        return self._after.get(token_id, ())


def same_before(tokens: Sequence[int], place: int, before: Sequence[int], most: int) -> int:
    """Return how many tokens before `place` are those at the end of `before`, at most `most`."""
    same, most = 0, min(most, place, len(before))
    while same < most and tokens[place - 1 - same] == before[-1 - same] != MISSING:
        same += 1
    return same
