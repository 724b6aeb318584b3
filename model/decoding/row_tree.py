"""Rows above the left stack in a tree: each sees its context, its ancestors and itself.

For decodes that follow several beginnings at once. As with `GapRows`, what is
not kept leaves nothing behind.

    slots   [ right stack | islands | left stack | rows kept | rows fed ]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.network.decoder import Rows
from model.sessions.window import Window


@dataclass(frozen=True)
class TreeRow:
    """A row to feed.

    `ancestors` are numbers of rows: those kept count from 0, those fed beside it
    go on from there. A row of the gap sees the whole context; one that
    `follows_left` is text behind the left stack, and sees only that.
    """

    token_id: int
    position_id: int
    ancestors: Sequence[int]
    follows_left: bool


class RowTree:
    """The rows kept for one decode, and the forwards that add to them."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.size = 0  # rows kept
        self.forwards = 0
        self.rows_fed = 0
        if not window.left_tail():
            window.cache.left_rows -= 1  # pending, so fed once more: its logits begin what follows the left stack

    def feed(self, rows: Sequence[TreeRow]) -> Tensor:
        """Feed `rows` and return the logits [R, V] float32 of each.

        The first forward, with which the rest of the left stack goes along,
        returns [1 + R, V]: those of the left stack's last row come first.
        """
        window, cache = self.window, self.window.cache
        tail, left_rows = window.left_tail(), cache.left_rows
        assert not (tail and self.size), "the left stack cannot grow under rows of a tree"
        cache.reserve_left(left_rows + len(tail) + self.size + len(rows))
        slot = cache.left_end + self.size
        token_ids = tail + [row.token_id for row in rows]
        position_ids = [*range(left_rows, left_rows + len(tail)), *(row.position_id for row in rows)]
        first_logits = max(0, len(tail) - 1)
        logits = window.network.forward(
            Rows(
                torch.tensor(token_ids),
                torch.tensor(position_ids),
                slot,
                cache.right_begin,
                slot + len(token_ids),
                self._visible(rows, len(tail), slot),
            ),
            cache,
            list(range(first_logits, len(token_ids))),
        )
        assert logits is not None
        cache.left_rows += len(tail)
        self.forwards += 1
        self.rows_fed += len(token_ids)
        return logits

    def keep(self, numbers: Sequence[int]) -> None:
        """Keep the rows of these numbers, ascending, which from now on count from 0; drop all others."""
        self.window.cache.copy_gap_rows(list(numbers), 0)
        self.size = len(numbers)

    def _visible(self, rows: Sequence[TreeRow], tail: int, slot: int) -> Tensor:
        """Return who sees what, [tail + R, slots from the right stack on] bool."""
        cache = self.window.cache
        begin, left_begin = cache.right_begin, cache.left_begin - cache.right_begin
        visible = torch.zeros(tail + len(rows), slot + tail + len(rows) - begin, dtype=torch.bool)
        tree_begin = slot + tail - self.size - begin  # where row 0 stands
        visible[:, left_begin:tree_begin] = True
        visible[:tail, tree_begin - tail : tree_begin] = torch.ones(tail, tail, dtype=torch.bool).tril()
        for index, row in enumerate(rows):
            if not row.follows_left:
                visible[tail + index, :left_begin] = True
            seen = torch.tensor([*row.ancestors, self.size + index])
            visible[tail + index, tree_begin + seen] = True
        return visible
