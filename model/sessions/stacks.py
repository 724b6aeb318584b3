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


def push_right(network: Decoder, cache: KVCache, ids: Sequence[int], sink_id: int) -> None:
    """Push a chunk on the right stack; the first goes together with the sink row, at RIGHT_LAST_ID.

    A chunk's rows see the rows before them in the chunk and all rows pushed
    earlier, which stand to the right.
    """
    pushed = [*ids] if cache.right_rows else [*ids, sink_id]
    cache.reserve_right(cache.right_rows + cache.island_rows + len(pushed))
    slot, end_id = cache.right_begin - len(pushed), RIGHT_LAST_ID - cache.right_rows + 1
    visible = torch.ones(len(pushed), cache.right_end - slot, dtype=torch.bool)
    visible[: len(ids), : len(ids)].tril_()
    visible[len(ids) :, : len(ids)] = False
    network.forward(rows_at(slot, slot, pushed, range(end_id - len(pushed), end_id), visible), cache)
    cache.push_right(len(pushed))
