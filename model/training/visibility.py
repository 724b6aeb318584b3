"""From the eight integers of a row to attention masks: dense, in blocks of rows for a CPU, FlexAttention's for a GPU.

All are made from the same comparisons (`mask_mod`), so they cannot differ in
meaning. B units, R rows each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from torch.nn.attention.flex_attention import BlockMask

MaskMod = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class MaskedRows:
    """Consecutive rows of a unit and the range of keys that holds all they see."""

    rows: slice
    keys: slice
    bias: Tensor  # [rows, keys], added to the scores: 0 where a row sees a key, else very negative


def dense_mask(sees: Tensor) -> Tensor:
    """Return who sees whom, bool [B, R, R], from `sees` [B, R, SEES_COLUMNS]."""
    units, rows, _ = sees.shape
    unit = torch.arange(units, device=sees.device)[:, None, None]
    row = torch.arange(rows, device=sees.device)
    return mask_mod(sees)(unit, unit, row[None, :, None], row[None, None, :])


def masked_rows(sees: Tensor, dtype: torch.dtype, count: int = 256) -> list[list[MaskedRows]]:
    """Return for each unit of `sees` [B, R, SEES_COLUMNS] its rows, `count` at a time, with the keys that they see.

    Windows, islands and groups of gaps lie one after the other in a unit, so
    the range is less than half of the unit on average.
    """
    units = []
    for visible in dense_mask(sees):
        parts = []
        for begin in range(0, len(visible), count):
            rows = slice(begin, min(begin + count, len(visible)))
            seen = visible[rows].any(0).nonzero()
            keys = slice(int(seen[0]), int(seen[-1]) + 1)
            hidden = ~visible[rows, keys]
            bias = hidden.to(dtype) * (torch.finfo(dtype).min / 2)
            parts.append(MaskedRows(rows, keys, bias))
        units.append(parts)
    return units


def mask_mod(sees: Tensor) -> MaskMod:
    """Return who sees whom by `sees` [B, R, SEES_COLUMNS], as FlexAttention asks: (unit, head, query row, key row).

    The meaning of the columns is that of `model.training.rows`.
    """
    # Plain names rather than a list: the compiler takes captured tensors as the kernel's inputs.
    first_begin, first_end, second_begin, second_end, group_begin, group_end, below, keys = (
        column.contiguous() for column in sees.unbind(-1)
    )

    def visible(unit: Tensor, _head: Tensor, query_row: Tensor, key_row: Tensor) -> Tensor:
        first = (key_row >= first_begin[unit, query_row]) & (key_row < first_end[unit, query_row])
        second = (key_row >= second_begin[unit, query_row]) & (key_row < second_end[unit, query_row])
        group = (key_row >= group_begin[unit, query_row]) & (key_row < group_end[unit, query_row])
        earlier = keys[unit, key_row] < below[unit, query_row]
        return first | second | (group & earlier) | (query_row == key_row)

    return visible


def block_mask(sees: Tensor, block_rows: int = 128) -> BlockMask:
    """Return FlexAttention's block mask of `sees` [B, R, SEES_COLUMNS], shared by all heads.

    R must be a multiple of `block_rows`. Made uncompiled, by a few passes over B x R x R bools: milliseconds on a
    GPU for what serves all layers, against seconds for a compilation that could go wrong.
    """
    from torch.nn.attention.flex_attention import create_block_mask

    units, rows, _ = sees.shape
    assert rows % block_rows == 0, "units must be whole blocks"
    return create_block_mask(mask_mod(sees), units, None, rows, rows, device=sees.device, BLOCK_SIZE=block_rows)
