"""Keys and values of one window, stored as a gap buffer.

Two stacks share one block of slots and grow away from a seam, with the context
islands between them, so that everything a row may see is one slice:

    slots   [ ...  right stack | islands | left stack | gap rows ... ]
              <- grows down                grows up ->

Slots are places in memory and say nothing about the order of the text: that is
what position ids are for. Knows rows, not tokens or text.

Keys are kept before RoPE too wherever rows can move to other position ids (the
right stack and the islands); the left stack never moves.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from model.checkpoint.config import ModelConfig
from model.network.attention import MOST_PADDING
from model.network.rope import RotaryEmbedding, rotate

_PAGE_BYTES = 4096  # in which memory is given by the operating system


class LayerViews(NamedTuple):
    """What one forward writes and reads of one layer of a cache, as views of it.

    R rows are written to slots of their own, and N slots are read, those among them.
    """

    keys: Tensor  # [kv_heads, R, head_dim]
    values: Tensor  # [kv_heads, R, head_dim]
    unrotated_keys: Tensor | None  # [kv_heads, R, head_dim]; none of the left stack's
    seen_keys: Tensor  # [kv_heads, head_dim, N]
    seen_values: Tensor  # [kv_heads, N, head_dim]


class KVCache:
    """Keys and values [layers, kv_heads, slots, head_dim] of one window.

    `right_rows`, `island_rows` and `left_rows` count committed rows; slots
    beyond them are scratch, overwritten by the next forward. A forward first
    writes rows there, then they are pushed; popping leaves them as scratch.
    """

    def __init__(self, config: ModelConfig, dtype: torch.dtype, right_slots: int, left_slots: int) -> None:
        self.config, self.dtype = config, dtype
        self._right_rows = self._island_rows = self._left_rows = 0
        self._used_left = self._used_below = 0  # slots that were ever asked for
        self._allocate(right_slots, left_slots)

    def _allocate(self, right_slots: int, left_slots: int) -> None:
        self._below_slots = right_slots  # slots of right stack and islands
        shape = (self.config.layers, self.config.kv_heads, right_slots + left_slots, self.config.head_dim)
        padded = shape[2] + MOST_PADDING
        # In memory keys stand [head_dim, slots]: the products with few queries run twice as fast in bfloat16.
        self._padded_keys = _zeros((*shape[:2], shape[3], padded), self.dtype).transpose(2, 3)
        self._padded_values = _zeros((*shape[:2], padded, shape[3]), self.dtype)
        self.keys, self.values = self._padded_keys[:, :, : shape[2]], self._padded_values[:, :, : shape[2]]
        self.unrotated_keys = _zeros((*shape[:2], right_slots, shape[3]), self.dtype)
        self.position_ids = torch.zeros(shape[2], dtype=torch.int64)

    # -- where things are -------------------------------------------------------------------

    @property
    def left_rows(self) -> int:
        return self._left_rows

    @property
    def right_rows(self) -> int:
        return self._right_rows

    @property
    def island_rows(self) -> int:
        return self._island_rows

    @property
    def left_begin(self) -> int:
        """First slot of the left stack."""
        return self._below_slots

    @property
    def left_end(self) -> int:
        """Slot after the last committed left row; gap rows begin here."""
        return self._below_slots + self.left_rows

    @property
    def right_end(self) -> int:
        """Slot after the bottom of the right stack; the islands begin here."""
        return self._below_slots - self.island_rows

    @property
    def right_begin(self) -> int:
        """Slot of the row last pushed on the right stack, the first slot a gap row sees."""
        return self.right_end - self.right_rows

    @property
    def rows(self) -> int:
        return self.right_rows + self.island_rows + self.left_rows

    @property
    def slots(self) -> int:
        return self.position_ids.shape[0]

    @property
    def bytes(self) -> int:
        """Bytes of memory taken: of all slots ever used, for those of popped rows are not given back."""
        used, config = self._used_left + self._used_below, self.config
        # Where keys stand [head_dim, slots], each row touches a page of every dimension.
        key_slots = min(self.slots, used + _PAGE_BYTES // self.keys.element_size()) if used else 0
        slots = key_slots + used + self._used_below  # of keys, values and un-rotated keys
        return slots * config.layers * config.kv_heads * config.head_dim * self.keys.element_size()

    def views(self, slot: int, rows: int, see_begin: int, seen_slots: int) -> list[LayerViews]:
        """Return each layer's views for a forward that writes `rows` rows from `slot` on and reads from `see_begin` on.

        `seen_slots` is from `padded_slots`.
        """
        written, seen = slice(slot, slot + rows), slice(see_begin, see_begin + seen_slots)
        unrotated: Sequence[Tensor | None] = [None] * self.config.layers
        if slot < self.left_begin:
            unrotated = self.unrotated_keys[:, :, written].unbind()
        return [
            LayerViews(*views)
            for views in zip(
                self.keys[:, :, written].unbind(),
                self.values[:, :, written].unbind(),
                unrotated,
                self._padded_keys[:, :, seen].transpose(2, 3).unbind(),
                self._padded_values[:, :, seen].unbind(),
                strict=True,
            )
        ]

    # -- pushing and popping ----------------------------------------------------------------

    def push_left(self, rows: int) -> None:
        """Commit the first `rows` rows written at `left_end`."""
        assert 0 <= rows <= self.slots - self.left_end, "rows were pushed for which there is no slot"
        self._left_rows += rows

    def pop_left(self, rows: int) -> None:
        """Drop the `rows` last rows of the left stack."""
        assert 0 <= rows <= self._left_rows, "more rows were popped than there are"
        self._left_rows -= rows

    def push_right(self, rows: int) -> None:
        """Commit the `rows` rows written just below `right_begin`."""
        assert 0 <= rows <= self.right_begin, "rows were pushed for which there is no slot"
        self._right_rows += rows

    def pop_right(self, rows: int) -> None:
        """Drop the `rows` rows of the right stack that were pushed last."""
        assert 0 <= rows <= self._right_rows, "more rows were popped than there are"
        self._right_rows -= rows

    # -- writing ----------------------------------------------------------------------------

    def reserve_left(self, slots: int) -> None:
        """Make room for `slots` left and gap rows; the rows there are kept, those of gaps too."""
        if self._below_slots + slots > self.slots:
            self._grow(self._below_slots, max(slots, 2 * (self.slots - self._below_slots)))
        self._used_left = max(self._used_left, slots)

    def reserve_right(self, slots: int) -> None:
        """Make room for `slots` rows of right stack and islands; the rows there are kept."""
        if slots > self._below_slots:
            self._grow(max(slots, 2 * self._below_slots), self.slots - self._below_slots)
        self._used_below = max(self._used_below, slots)

    def shift(self, begin: int, end: int, by: int, rope: RotaryEmbedding) -> None:
        """Add `by` to the position ids of slots [begin, end), all below the left stack."""
        assert end <= self._below_slots, "left rows keep no un-rotated keys"
        self.position_ids[begin:end] += by
        cos, sin = rope.cos_sin(self.position_ids[begin:end])
        self.keys[:, :, begin:end] = rotate(self.unrotated_keys[:, :, begin:end].float(), cos, sin).to(self.dtype)

    def insert_islands(self, rows: int) -> int:
        """Open `rows` island slots below the left stack and return the first; the right stack moves down."""
        self.reserve_right(self.right_rows + self.island_rows + rows)
        begin, end = self.right_begin, self._below_slots
        self._move_below(begin, end, -rows)
        self._island_rows += rows
        return self._below_slots - rows

    def remove_islands(self, rows: int) -> None:
        """Drop the `rows` island rows nearest the left stack; the right stack moves up."""
        assert rows <= self.island_rows
        begin, end = self.right_begin, self._below_slots - rows
        self._move_below(begin, end, rows)
        self._island_rows -= rows

    def _move_below(self, begin: int, end: int, by: int) -> None:
        if begin == end or not by:
            return
        for tensor in (self.keys, self.values, self.unrotated_keys):
            tensor[:, :, begin + by : end + by] = tensor[:, :, begin:end].clone()
        self.position_ids[begin + by : end + by] = self.position_ids[begin:end].clone()

    def copy_gap_rows(self, rows: list[int], to: int) -> None:
        """Copy the gap rows `rows` to `to` and behind, all counted from the end of the left stack."""
        if rows == list(range(to, to + len(rows))):
            return
        begin = self.left_end + to
        slots, end = torch.tensor(rows) + self.left_end, begin + len(rows)
        for tensor in (self.keys, self.values):
            tensor[:, :, begin:end] = tensor[:, :, slots]
        self.position_ids[begin:end] = self.position_ids[slots]

    def _grow(self, below_slots: int, left_slots: int) -> None:
        keys, values, unrotated, ids = self.keys, self.values, self.unrotated_keys, self.position_ids
        begin, seam, end = self.right_begin, self._below_slots, self._below_slots + max(self.left_rows, self._used_left)
        self._allocate(below_slots, left_slots)
        by = below_slots - seam
        self.keys[:, :, begin + by : end + by] = keys[:, :, begin:end]
        self.values[:, :, begin + by : end + by] = values[:, :, begin:end]
        self.unrotated_keys[:, :, begin + by : seam + by] = unrotated[:, :, begin:seam]
        self.position_ids[begin + by : end + by] = ids[begin:end]


def _zeros(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Return zeros whose untouched pages cost no memory, so that room can be taken generously."""
    count = math.prod(shape)
    pages = mmap.mmap(-1, max(1, count) * dtype.itemsize)  # none at all could not be mapped
    return torch.frombuffer(pages, dtype=dtype)[:count].view(shape)
