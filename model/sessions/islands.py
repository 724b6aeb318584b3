"""Context islands: text of other files, encoded once and shown to the gaps of any session.

An island sees nothing but itself, so its keys before RoPE and its values are
the same wherever it is put. Knows no sessions and no gaps.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from model.api.types import Snippet
from model.checkpoint.config import Capabilities
from model.checkpoint.tokenization import ByteTokenizer
from model.network.decoder import Decoder, rows_at
from model.network.kv_cache import KVCache
from model.network.rope import RotaryEmbedding
from model.sessions.seams import header_ids

# Islands of the longest kind that stay whatever the budget: what one window may show.
# With fewer, a session would wait for ever for the last of its islands.
KEPT_ISLANDS = 2


@dataclass(frozen=True, eq=False)
class EncodedIsland:
    """The rows of one island: its token ids, un-rotated keys and values [layers, kv_heads, rows, head_dim]."""

    ids: tuple[int, ...]
    unrotated_keys: Tensor
    values: Tensor

    @property
    def rows(self) -> int:
        return len(self.ids)

    @property
    def bytes(self) -> int:
        return 2 * self.values.numel() * self.values.element_size()

    def copy_to(self, cache: KVCache, slot: int, first_id: int, rope: RotaryEmbedding) -> None:
        """Write the island to slots [slot, slot + rows) of `cache` with position ids from `first_id` on."""
        slots = slice(slot, slot + self.rows)
        cache.unrotated_keys[:, :, slots] = self.unrotated_keys
        cache.values[:, :, slots] = self.values
        cache.position_ids[slots] = torch.arange(first_id, first_id + self.rows)
        cache.shift(slots.start, slots.stop, 0, rope)


class IslandStore:
    """Islands encoded so far, shared by all sessions; the least recently used go first."""

    def __init__(
        self, network: Decoder, tokenizer: ByteTokenizer, capabilities: Capabilities, budget_bytes: int, max_rows: int
    ) -> None:
        self._network, self._tokenizer, self._capabilities = network, tokenizer, capabilities
        self._budget_bytes, self._max_rows = budget_bytes, max_rows
        self._islands: OrderedDict[tuple[int, ...], EncodedIsland] = OrderedDict()
        self._token_ids = lru_cache(maxsize=256)(self._ids)
        self._begun: dict[tuple[int, ...], tuple[KVCache, int]] = {}  # with the rows fed so far
        self.rows_computed = 0

    def get(self, snippet: Snippet) -> EncodedIsland | None:
        """Return the island of `snippet` if it is encoded already."""
        ids = self._token_ids(snippet)
        if ids in self._islands:
            self._islands.move_to_end(ids)
        return self._islands.get(ids)

    def rows(self, snippet: Snippet) -> int:
        """Return how many rows the island of `snippet` has."""
        return len(self._token_ids(snippet))

    def encode_slice(self, snippet: Snippet, slice_rows: int) -> EncodedIsland | None:
        """Encode the next `slice_rows` rows of `snippet`; return its island once that is whole."""
        if island := self.get(snippet):
            return island
        ids = self._token_ids(snippet)
        cache, begin = self._begun.get(ids) or (self._network.new_cache(right_slots=len(ids), left_slots=0), 0)
        end = min(begin + slice_rows, len(ids))
        self._network.forward(rows_at(begin, 0, ids[begin:end], range(begin, end)), cache)
        self.rows_computed += end - begin
        if end < len(ids):
            self._begun = {ids: (cache, end)}  # one at a time: a snippet that changes meanwhile leaves nothing behind
            return None
        self._begun.pop(ids, None)
        island = self._islands[ids] = EncodedIsland(ids, cache.unrotated_keys, cache.values)
        while self.bytes > self._budget_bytes and self._rows > (self._max_rows + 1) * KEPT_ISLANDS:
            self._islands.popitem(last=False)
        return island

    @property
    def bytes(self) -> int:
        return sum(island.bytes for island in self._islands.values())

    @property
    def _rows(self) -> int:
        return sum(island.rows for island in self._islands.values())

    def _ids(self, snippet: Snippet) -> tuple[int, ...]:
        known = self._capabilities
        ids = header_ids(self._tokenizer, known.sink_id, known.filename_id, snippet.path)
        ids += self._tokenizer.encode(self._tokenizer.readable(snippet.text))
        return tuple(ids[: self._max_rows])
