"""The rows of open gaps in the cache, above the left stack.

Rows are fed with an order key. A row sees the whole context, itself, and the
clean gap rows whose key is below its own `sees_below`, whatever gap they belong
to. All orders of docs/design.md, section 3, are choices of keys: a token's rank for
left_to_right, the running number of its reveal for the others. Branches let
several continuations of the same beginning live side by side. Their rows are
kept apart, so that those of the main branch stand where they would stand
without them: its logits are then the same to the bit.

    slots   [ left stack | main branch | rows fed | free | other branches ]
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from model.decoding.gap_row import UNSEEN, GapRow
from model.decoding.recorder import Recorder
from model.sessions.window import Window


class GapRows:
    """Clean rows committed for the gaps of one decode, and the forwards that add to them."""

    def __init__(self, window: Window, recorder: Recorder | None = None) -> None:
        self.window = window
        self.recorder = recorder
        self._committed: list[GapRow] = []  # of the main branch, in slot order
        self._apart: list[GapRow] = []  # of other branches
        self._apart_at = 0  # how many slots behind the left stack these begin
        self._fed: list[GapRow] = []
        self.forwards = 0
        self.rows_fed = 0
        self.last_forward_rows = 0
        self.last_forward_s = 0.0

    def feed(self, rows: Sequence[GapRow], logits_at: Sequence[int] | None = None) -> Tensor:
        """Feed `rows` and return the logits [n, V] float32 of those at `logits_at`, of all by default.

        The part of the left stack that is not encoded yet goes along; if `rows`
        is empty, its last row's logits are returned. The rows are scratch until
        `commit`.
        """
        window, tail = self.window, len(self.window.left_tail())
        self._make_room(tail + len(self._committed) + len(rows), 0)
        if logits_at is None:
            logits_at = range(len(rows)) if rows else [-1]
        started = time.perf_counter()
        logits = window.feed(
            [row.token_id for row in rows],
            [row.position_id for row in rows],
            self._slots_seen(rows),
            len(self._committed),
            logits_at,
        )
        self.last_forward_rows, self.last_forward_s = tail + len(rows), time.perf_counter() - started
        self._fed = list(rows)
        self.forwards += 1
        self.rows_fed += self.last_forward_rows
        return logits

    def commit(self, kept: Sequence[int]) -> None:
        """Keep the rows of the last feed at the indices `kept`, ascending, all clean rows; the others leave nothing."""
        fed, cache, begin = self._fed, self.window.cache, len(self._committed)
        assert all(fed[index].key is not None for index in kept), "a mask row cannot be committed"
        if self.recorder is not None:
            self.recorder.forward(fed, kept, self.last_forward_s)
        if apart := [index for index in kept if fed[index].branch]:
            self._make_room(begin + len(fed), len(apart))
            cache.copy_gap_rows([begin + index for index in apart], self._apart_at + len(self._apart))
            self._apart += [fed[index] for index in apart]
        main = [index for index in kept if not fed[index].branch]
        cache.copy_gap_rows([begin + index for index in main], begin)
        self._committed += [fed[index] for index in main]
        self._fed = []

    def drop_behind(self, gap: int, rank: int) -> None:
        """Let no later row see the committed rows of `gap` behind `rank`."""
        self._committed = [
            replace(row, key=UNSEEN) if row.gap == gap and row.rank > rank else row for row in self._committed
        ]

    def _make_room(self, slots: int, apart: int) -> None:
        """Let `slots` slots behind the left stack be free of branches, and `apart` more of their rows find room."""
        cache = self.window.cache
        if not (apart or self._apart):
            cache.reserve_left(cache.left_rows + slots)
            return
        was_at = self._apart_at
        if slots > was_at:
            self._apart_at = 2 * slots
        cache.reserve_left(cache.left_rows + self._apart_at + len(self._apart) + apart)
        cache.copy_gap_rows([was_at + index for index in range(len(self._apart))], self._apart_at)

    def _slots_seen(self, rows: Sequence[GapRow]) -> Tensor:
        """Return which slots above the left stack each of `rows` sees, [R, N] bool: up to the last of any branch."""
        others = [*self._committed, *rows, *self._apart]
        keys = torch.tensor([UNSEEN if row.key is None else row.key for row in others])
        sees_below = torch.tensor([row.sees_below for row in rows])[:, None]
        if any(row.branch for row in others):
            branches = torch.tensor([row.branch for row in others])
            own = branches[None, :] == torch.tensor([row.branch for row in rows])[:, None]
            shares_below = torch.tensor([row.shares_below for row in rows])[:, None]
            sees_below = torch.where(own, sees_below, torch.where(branches == 0, shares_below, 0))
        seen = keys[None, :] < sees_below
        committed = len(self._committed)
        fed_end = committed + len(rows)
        seen[:, committed:fed_end] |= torch.eye(len(rows), dtype=torch.bool)
        if not self._apart:
            return seen
        free = torch.zeros(len(rows), self._apart_at - fed_end, dtype=torch.bool)
        return torch.cat((seen[:, :fed_end], free, seen[:, fed_end:]), 1)
