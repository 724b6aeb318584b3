"""Packed rows: what example building hands to the network, and who sees whom in a few numbers per row.

A unit holds R rows of one or several documents. Visibility needs no R x R
matrix: whatever a row of docs/design.md, sections 1 to 3, sees is

    two ranges of rows    a stretch of an island's rows, all earlier ones of its own chain
    and one keyed range   the rows of its group of gaps whose order key is below a bound
    and itself.

So eight integers a row describe it (`SEES_*`), from which `visibility.py` makes
a dense mask or a FlexAttention mask. Knows numpy; knows no text and no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int32]

# Columns of `PackedRows.sees`. A row q sees row k if
#     FIRST_BEGIN <= k < FIRST_END  or  SECOND_BEGIN <= k < SECOND_END
#     or  GROUP_BEGIN <= k < GROUP_END and key of k < BELOW  or  k == q.
FIRST_BEGIN, FIRST_END, SECOND_BEGIN, SECOND_END, GROUP_BEGIN, GROUP_END, BELOW, KEY = range(8)
SEES_COLUMNS = 8

UNSEEN = 2**31 - 1  # the key of a row that no row of its group sees by key
ALWAYS = -1  # the key of a row that all gap rows of its group see: part of their context
NO_TARGET = -1
NO_ROW = -1


class RowKind(IntEnum):
    """What a row's target counts as."""

    NONE = 0  # no target
    ISLAND_NEXT = 1  # a clean row of an island says what stands next
    GAP_NEXT = 2  # a clean row of a gap does
    MASK = 3  # a mask row says what stands at its own position


@dataclass(frozen=True)
class PackedRows:
    """R rows, ready for the network. Row indices are those of this record."""

    token_ids: IntArray  # [R]
    position_ids: IntArray  # [R]
    sees: IntArray  # [R, SEES_COLUMNS]
    targets: IntArray  # [R] token ids, or NO_TARGET
    kinds: NDArray[np.uint8]  # [R] RowKind
    distances: NDArray[np.uint8]  # [R] of a left-to-right mask row: how far beyond the frontier, from 1; else 0
    verifiers: IntArray  # [R] of such a row: the clean row that predicts the same token, or NO_ROW
    used: int  # rows before the padding

    @property
    def rows(self) -> int:
        return len(self.token_ids)


@dataclass
class RowWriter:
    """Collects the rows of one unit, chain by chain."""

    capacity: int
    count: int = 0
    _parts: list[tuple[IntArray, ...]] = field(default_factory=list)

    @property
    def room(self) -> int:
        return self.capacity - self.count

    def chain(
        self,
        token_ids: Sequence[int],
        first_position_id: int,
        targets: Sequence[int] | IntArray | None = None,
        sees: tuple[int, int] = (0, 0),
        begin: int | None = None,
        key: int = UNSEEN,
    ) -> int:
        """Add rows on consecutive position ids, each seeing rows [begin, itself] and the range `sees`.

        `begin` None stands for the chain's own first row. Returns that row's index.
        """
        first, count = self.count, len(token_ids)
        table = np.zeros((count, SEES_COLUMNS), np.int32)
        table[:, FIRST_BEGIN] = first if begin is None else begin
        table[:, FIRST_END] = np.arange(first + 1, first + count + 1)
        table[:, SECOND_BEGIN], table[:, SECOND_END] = sees
        table[:, KEY] = key
        wanted = np.full(count, NO_TARGET, np.int32) if targets is None else np.asarray(targets, np.int32)
        kinds = np.where(wanted >= 0, RowKind.ISLAND_NEXT, RowKind.NONE)
        zeros = np.zeros(count, np.int32)
        positions = np.arange(first_position_id, first_position_id + count)
        self._add(token_ids, positions, table, wanted, kinds, zeros, zeros + NO_ROW)
        return first

    def gap_rows(self, rows: GapTable, sees: tuple[int, int, int, int], group_begin: int) -> int:
        """Add the gap rows of one group; all see the two ranges `sees` and their group from `group_begin` on.

        Returns the index of the first.
        """
        first, count = self.count, len(rows.token_ids)
        table = np.zeros((count, SEES_COLUMNS), np.int32)
        table[:, :GROUP_BEGIN] = sees
        table[:, GROUP_BEGIN], table[:, GROUP_END] = group_begin, first + count
        table[:, BELOW], table[:, KEY] = rows.below, rows.keys
        verifiers = np.asarray(rows.verifiers, np.int32)
        verifiers = np.where(verifiers >= 0, verifiers + first, NO_ROW)
        self._add(rows.token_ids, rows.position_ids, table, rows.targets, rows.kinds, rows.distances, verifiers)
        return first

    def finish(self, pad_id: int) -> PackedRows:
        """Return the unit, filled up to its capacity with rows that see only themselves and want nothing."""
        used, padding = self.count, self.room
        self.chain([pad_id] * padding, 0)
        # The last chain added is the padding: each row is on its own.
        table = self._parts[-1][2]
        table[:, FIRST_BEGIN] = np.arange(used, used + padding)
        token_ids, position_ids, sees, targets, kinds, distances, verifiers = (
            np.concatenate(part) for part in zip(*self._parts, strict=True)
        )
        return PackedRows(
            token_ids, position_ids, sees, targets, kinds.astype(np.uint8), distances.astype(np.uint8), verifiers, used
        )

    def _add(self, *columns: Sequence[int] | NDArray[Any]) -> None:
        part = tuple(np.asarray(column, np.int32) for column in columns)
        self._parts.append(part)
        self.count += len(part[0])
        assert self.count <= self.capacity, "the unit is full"


@dataclass
class GapTable:
    """The rows of one group of gaps as columns; `verifiers` are indices into this table."""

    token_ids: list[int] = field(default_factory=list)
    position_ids: list[int] = field(default_factory=list)
    below: list[int] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)
    distances: list[int] = field(default_factory=list)
    verifiers: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.token_ids)

    def add_clean(self, token_id: int, position_id: int, below: int, key: int, target: int) -> int:
        """Add a clean row whose next token is `target` (NO_TARGET: not to be predicted); return its index."""
        kind = RowKind.NONE if target == NO_TARGET else RowKind.GAP_NEXT
        return self._add(token_id, position_id, below, key, target, kind, 0, NO_ROW)

    def add_mask(
        self, mask_id: int, position_id: int, below: int, target: int, distance: int = 0, verifier: int = NO_ROW
    ) -> int:
        """Add a mask row, which no other row sees; return its index."""
        return self._add(mask_id, position_id, below, UNSEEN, target, RowKind.MASK, distance, verifier)

    def _add(self, *values: int) -> int:
        columns = (
            self.token_ids, self.position_ids, self.below, self.keys,
            self.targets, self.kinds, self.distances, self.verifiers,
        )  # fmt: skip
        for column, value in zip(columns, values, strict=True):
            column.append(value)
        return len(self.token_ids) - 1
