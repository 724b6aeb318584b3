"""How much of a text is shown, in which pieces, and on which position ids.

    context islands           right stack        left stack   gap (middle island gap ...)
    ..., -right_ids - 1       <- ..., -2, -1     0, 1, 2 ...  free ids

`Geometry` is what a model is trained on and then served and scored with;
`WindowLimits` add how much of a text a window holds. Knows no text and no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

RIGHT_LAST_ID = -1  # position id of the right stack's sink row, its first


@dataclass(frozen=True)
class Geometry:
    """The pieces that training and serving have in common."""

    path_tokens: int  # of a longer path, a file's header has the end
    chunk_tokens: int  # of a right-stack chunk, at most about
    right_ids: int  # position ids kept for the right stack; context islands end below them
    joint_gap_ids: int  # position ids of each gap but the last, of those filled jointly

    def gap_first_ids(self, left_rows: int, middle_rows: Sequence[int]) -> list[int]:
        """Return the position id at which each gap begins; `middle_rows` are those of the islands between the gaps."""
        return list(accumulate((self.joint_gap_ids + rows for rows in middle_rows), initial=left_rows))


@dataclass(frozen=True)
class WindowLimits:
    """How much of a text a window holds, in rows, and how many position ids it keeps for each part."""

    left_rows: int = 1024  # rows of the left stack when it is built
    left_min: int = 256  # rebuilt when fewer are left and the text has more
    left_max: int = 1536  # rebuilt when it grew beyond
    right_rows: int = 512
    right_min: int = 128
    right_max: int = 768
    chunk_rows: int = 64  # a chunk of the right stack, at most about
    island_rows: int = 1024  # context islands, all together
    middle_rows: int = 512  # what lies between two gaps that are filled jointly, for each pair
    right_ids: int = 1024  # position ids kept for the right stack; context islands end below them
    gap_ids: int = 2048  # position ids of the last gap, at most
    joint_gap_ids: int = 512  # and of each gap before it, filled jointly

    @property
    def geometry(self) -> Geometry:
        chunk_tokens = max(1, self.chunk_rows - 1)  # the sink row makes it whole
        return Geometry(max(1, self.left_min // 2), chunk_tokens, self.right_ids, self.joint_gap_ids)

    @property
    def span(self) -> int:
        """Most position ids that a window with one gap takes."""
        return self.left_max + self.gap_ids + self.right_ids + self.island_rows

    def within(self, context_length: int) -> WindowLimits:
        """Return these limits, scaled down if need be to a model of `context_length` rows."""
        if self.span <= context_length:
            return self
        scale = context_length / self.span
        return WindowLimits(**{name: max(1, int(rows * scale)) for name, rows in self.__dict__.items()})


FULL = WindowLimits()
NEAR = WindowLimits(left_rows=256, left_min=64, left_max=384, right_rows=128, right_min=32, right_max=192)
