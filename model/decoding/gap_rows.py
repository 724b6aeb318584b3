"""The rows of open gaps in the cache, above the left stack.

Rows are fed with an order key. A row sees the whole context, itself, and the
clean gap rows whose key is below its own `sees_below`, whatever gap they belong
to. All orders of DESIGN section 3 are choices of keys: a token's rank for
left_to_right, the running number of its reveal for the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.network import Rows
from model.window import Window

UNSEEN = 2**31 - 1  # the key of a row that no other row sees


@dataclass(frozen=True)
class GapRow:
    """A row to feed. `key` None is a mask row: no other row ever sees it."""

    token_id: int
    position_id: int
    sees_below: int
    key: int | None


class GapRows:
    """Clean rows committed for the gaps of one decode, and the forwards that add to them."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._keys: list[int] = []  # of the committed rows, in slot order
        self._fed: list[GapRow] = []
        self.forwards = 0
        self.rows_fed = 0

    def feed(self, rows: Sequence[GapRow], logits_at: Sequence[int] | None = None) -> Tensor:
        """Feed `rows` and return the logits [n, V] of those at `logits_at`, of all by default.

        The part of the left stack that is not encoded yet goes along. The rows
        are scratch until `commit`. Logits come out as float32.
        """
        window, cache = self._window, self._window.cache
        tail = window.left_tail()
        left_rows = cache.left_rows
        assert not (tail and self._keys), "the left stack cannot grow under committed gap rows"
        cache.reserve_left(left_rows + len(tail) + len(self._keys) + len(rows))
        slot = cache.left_end + len(self._keys)
        see_begin = cache.right_begin if window.capabilities.infill else cache.left_begin
        token_ids = tail + [row.token_id for row in rows]
        position_ids = [*range(left_rows, left_rows + len(tail)), *(row.position_id for row in rows)]
        wanted = [len(tail) + index for index in (range(len(rows)) if logits_at is None else logits_at)]
        if not rows:
            wanted = [len(tail) - 1]  # without an <infill> row, the last of the text predicts
        logits = window.network.forward(
            Rows(
                torch.tensor(token_ids),
                torch.tensor(position_ids),
                slot,
                see_begin,
                slot + len(token_ids),
                self._visible(rows, len(tail), cache.left_begin - see_begin, slot - see_begin),
            ),
            cache,
            wanted,
        )
        assert logits is not None
        cache.left_rows += len(tail)
        self._fed = list(rows)
        self.forwards += 1
        self.rows_fed += len(token_ids)
        return logits

    def commit(self, count: int) -> None:
        """Keep the first `count` rows of the last feed; they must be clean rows."""
        for row in self._fed[:count]:
            assert row.key is not None, "a mask row cannot be committed"
            self._keys.append(row.key)
        self._fed = []

    def _visible(self, rows: Sequence[GapRow], tail: int, below: int, before: int) -> Tensor | None:
        """Return who sees what, [tail + R, before + tail + R] bool, or None if each sees all before it.

        `below` slots lie under the left stack, `before` slots under the new rows.
        """
        keys = [*self._keys, *(UNSEEN if row.key is None else row.key for row in rows)]
        committed = len(self._keys)
        if len(rows) <= 1 and not (tail and below):
            if all(key < row.sees_below for row in rows for key in self._keys):
                return None
        visible = torch.ones(tail + len(rows), before + tail + len(rows), dtype=torch.bool)
        if tail:
            visible[:tail, :below] = False
            visible[:tail, before:] = torch.ones(tail, tail + len(rows), dtype=torch.bool).tril()
        if rows:
            sees_below = torch.tensor([row.sees_below for row in rows])
            key_of = torch.tensor(keys)
            seen = key_of[None, :] < sees_below[:, None]  # [R, committed + R]
            seen[:, committed:] |= torch.eye(len(rows), dtype=torch.bool)
            visible[tail:, before - committed : before] = seen[:, :committed]
            visible[tail:, before + tail :] = seen[:, committed:]
        return visible
