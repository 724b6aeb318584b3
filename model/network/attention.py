"""Attention of a few rows over many slots, as products of the library, so that no row depends on its neighbours.

A last bit that depends on how many rows are fed beside a row, or on how many
slots they see, turns a quantisation step in the next linear, which every later
layer amplifies. So products are asked for in sizes at which the library adds up
in the same order. Knows queries, keys, values and masks; no layers or rows of text.

Dimensions: K key/value heads, Q queries of each (the query heads that share it, times the rows fed), N slots
visible to them, D head_dim.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

_SUMMED_SLOTS = {torch.float32: 192, torch.bfloat16: 1024}
"""So many products of weights and values are added up by one call, at most.

MKL cuts longer sums into parts of 192, or two of equal length while there are less than 384, and oneDNN sums over more
than 1,024: at a place that depends on the number of slots, which more rows fed beside change.
"""
_LEAST_QUERIES = 4  # of a key head, in float32: fewer are multiplied by kernels that add up in another order
_SLOT_STEP = 16  # float32 numbers that a vector instruction takes
_SLOTS_CUT_EVENLY = range(193, 384)  # see _SUMMED_SLOTS

MOST_PADDING = _SLOTS_CUT_EVENLY.stop - _SLOTS_CUT_EVENLY.start  # slots that `padded_slots` adds, at most


def padded_slots(slots: int) -> int:
    """Return the number of slots that attention reads where `slots` are visible: whole vectors, which one call sums.

    The slots added hold zeros or rows that the mask hides.
    """
    if slots in _SLOTS_CUT_EVENLY:
        return _SLOTS_CUT_EVENLY.stop
    return -(-slots // _SLOT_STEP) * _SLOT_STEP


def additive_mask(visible: Tensor, groups: int, span: int, dtype: torch.dtype) -> Tensor:
    """Return the mask for `attend` of rows that see `visible` [R, S] bool of `span` slots: [Q, span].

    Slots from S on are seen by none. Of a single row that sees all S it is [1, span], for all its queries.
    """
    count, seen = visible.shape
    mask = torch.full((count, span), float("-inf"), dtype=dtype)
    mask[:, :seen].masked_fill_(visible, 0)
    if count == 1:
        return mask
    mask = mask.repeat(groups, 1)
    missing = _LEAST_QUERIES - len(mask) if dtype is torch.float32 else 0
    return torch.cat((mask, mask[:1].expand(missing, -1))) if missing > 0 else mask


def attend(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor, scale: float) -> Tensor:
    """Return what `query` [K, Q, D] finds in `keys` [K, D, N] and `values` [K, N, D]: [K, Q, D] float32.

    Scores are products times `scale`, plus `mask`, which is from `additive_mask`.

    Three calls are faster here than scaled_dot_product_attention, whose CPU kernel gains by
    not storing the scores only when there are many; most of all in bfloat16.
    """
    queries = query.shape[1]
    if queries < _LEAST_QUERIES and query.dtype is torch.float32:
        query = F.pad(query, (0, 0, 0, _LEAST_QUERIES - queries))
    weights = torch.baddbmm(mask, query, keys, alpha=scale).softmax(-1)  # [K, Q, N]
    most = _SUMMED_SLOTS[weights.dtype]
    if weights.shape[2] <= most or (weights.dtype is torch.float32 and _library_cuts_alike(torch.get_num_threads())):
        return torch.bmm(weights, values)[:, :queries].float()
    return _mixed_in_parts(weights, values, most)[:, :queries]


def _mixed_in_parts(weights: Tensor, values: Tensor, most: int) -> Tensor:
    """Return `weights` [K, Q, N] @ `values` [K, N, D] as float32, the sum in parts of `most` slots."""
    parts = zip(weights.split(most, 2), values.split(most, 1), strict=True)
    first, *others = (torch.bmm(*part).float() for part in parts)
    for other in others:
        first += other
    return first


@cache
def _library_cuts_alike(threads: int) -> bool:
    """Return whether one product over all slots equals that in parts to the bit here, as MKL does on AVX2.

    It is tried, with so many `threads`: libraries and CPUs differ in where they cut. One product costs half as much.
    """
    generator = torch.Generator().manual_seed(threads)

    def is_alike(heads: int, queries: int, slots: int, dim: int) -> bool:
        weights = torch.rand(heads, queries, slots, generator=generator)
        values = torch.randn(heads, slots + 5, dim, generator=generator)[:, :slots]  # rows lie apart, as in a cache
        most = _SUMMED_SLOTS[torch.float32]
        return torch.equal(torch.bmm(weights, values), _mixed_in_parts(weights, values, most))

    shapes = [(queries, slots) for queries in (4, 12, 48) for slots in (384, 400, 576, 784, 1040, 1552)]
    shapes += [(384, 1040), (4, 2064), (6, 3088), (33, 592)]
    return all(is_alike(3, queries, slots, 64) for queries, slots in shapes)
