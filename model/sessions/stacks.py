"""The forwards that put text on the two stacks of a cache. Knows ids and rows; knows no text and no gaps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from model.network.decoder import Decoder, rows_at
from model.network.kv_cache import KVCache
from model.sessions.geometry import RIGHT_LAST_ID


def push_left(
    network: Decoder, cache: KVCache, ids: Sequence[int], logits_at: list[int] | None = None
) -> Tensor | None:
    """Push `ids` on the left stack, each of which sees all before it there.

    Returns logits [len(logits_at), V] of those of the rows, counted from the first of `ids`, that `logits_at` names.
    """
    begin, end = cache.left_rows, cache.left_rows + len(ids)
    cache.reserve_left(end)
    logits = network.forward(rows_at(cache.left_end, cache.left_begin, ids, range(begin, end)), cache, logits_at)
    cache.push_left(len(ids))
    return logits


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
