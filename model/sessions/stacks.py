"""The forwards that put text on the two stacks of a cache. Knows ids and rows; knows no text and no gaps."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from model.network.decoder import Decoder, rows_at
from model.network.kv_cache import KVCache
from model.sessions.geometry import RIGHT_LAST_ID


def push_left(network: Decoder, cache: KVCache, ids: Sequence[int]) -> None:
    """Push `ids` on the left stack, each of which sees all before it there."""
    begin, end = cache.left_rows, cache.left_rows + len(ids)
    cache.reserve_left(end)
    network.forward(rows_at(cache.left_end, cache.left_begin, ids, range(begin, end)), cache)
    cache.push_left(len(ids))


def push_right(network: Decoder, cache: KVCache, chunks: Sequence[Sequence[int]], sink_id: int) -> None:
    """Push chunks on the right stack in one forward, the farthest first; before the first of all goes the sink row.

    A chunk's rows see the rows before them in the chunk and all chunks pushed
    earlier, which stand to the right. The sink row is at RIGHT_LAST_ID.
    """
    groups = [*chunks] if cache.right_rows else [[sink_id], *chunks]
    pushed = [token_id for group in reversed(groups) for token_id in group]
    cache.reserve_right(cache.right_rows + cache.island_rows + len(pushed))
    slot, end_id = cache.right_begin - len(pushed), RIGHT_LAST_ID - cache.right_rows + 1
    visible = torch.ones(len(pushed), cache.right_end - slot, dtype=torch.bool)
    end = len(pushed)
    for group in groups:
        begin = end - len(group)
        visible[begin:end, :begin] = False
        visible[begin:end, begin:end].tril_()
        end = begin
    network.forward(rows_at(slot, slot, pushed, range(end_id - len(pushed), end_id), visible), cache)
    cache.push_right(len(pushed))
