"""Rows above the left stack in a tree: each sees its context, its ancestors and itself.

For decodes that follow several beginnings at once. As with `GapRows`, what is
not kept leaves nothing behind.

    slots   [ right stack | islands | left stack | rows kept | rows fed ]
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

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
        self.last_forward_rows = 0
        self.last_forward_s = 0.0
        window.keep_a_row_pending()

    def feed(self, rows: Sequence[TreeRow]) -> Tensor:
        """Feed `rows` and return the logits [R, V] float32 of each.

        The first forward, with which the rest of the left stack goes along,
        returns [1 + R, V]: those of the left stack's last row come first.
        """
        window, tail = self.window, len(self.window.left_tail())
        seen = torch.zeros(len(rows), self.size + len(rows), dtype=torch.bool)
        for index, row in enumerate(rows):
            seen[index, [*row.ancestors, self.size + index]] = True
        started = time.perf_counter()
        logits = window.feed(
            [row.token_id for row in rows],
            [row.position_id for row in rows],
            seen,
            self.size,
            range(-1 if tail else 0, len(rows)),
            torch.tensor([not row.follows_left for row in rows], dtype=torch.bool),
        )
        self.last_forward_s = time.perf_counter() - started
        self.forwards += 1
        self.last_forward_rows = tail + len(rows)
        self.rows_fed += self.last_forward_rows
        return logits

    def commit(self, kept: Sequence[int]) -> None:
        """Keep the rows of these numbers, ascending, which from now on count from 0; drop all others."""
        self.window.cache.copy_gap_rows(list(kept), 0)
        self.size = len(kept)
