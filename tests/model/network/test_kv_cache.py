"""The cache moves rows about without changing them: growth, islands coming and going, shifts."""

from __future__ import annotations

import random

import pytest
import torch

from model.checkpoint.config import ModelConfig
from model.network.kv_cache import KVCache
from model.network.rope import RotaryEmbedding, rotate
from tests.model.tiny import tiny_checkpoint

CONFIG: ModelConfig = tiny_checkpoint().config


class MarkedCache:
    """A cache whose rows carry numbers of their own, and the same rows in plain lists beside it."""

    def __init__(self, right_slots: int = 4, left_slots: int = 4) -> None:
        self.cache = KVCache(CONFIG, torch.float32, right_slots, left_slots)
        self.left: list[int] = []
        self.gap: list[int] = []
        self.islands: list[list[int]] = []  # the one nearest the left stack last
        self.right: list[int] = []  # in slot order: the last pushed first
        self._next = 1

    def _rows(self, count: int) -> list[int]:
        self._next += count
        return list(range(self._next - count, self._next))

    def _write(self, slot: int, rows: list[int]) -> None:
        cache = self.cache
        for index, row in enumerate(rows, slot):
            cache.keys[:, :, index] = row
            cache.values[:, :, index] = row + 0.25
            cache.position_ids[index] = row
            if index < cache.left_begin:
                cache.unrotated_keys[:, :, index] = row + 0.5

    def push_left(self, count: int) -> None:
        rows = self._rows(count)
        self.cache.reserve_left(len(self.left) + count)
        self._write(self.cache.left_end, rows)
        self.cache.push_left(count)
        self.left += rows
        self.gap = []

    def push_gap(self, count: int) -> None:
        rows = self._rows(count)
        self.cache.reserve_left(len(self.left) + len(self.gap) + count)
        self._write(self.cache.left_end + len(self.gap), rows)
        self.gap += rows

    def push_right(self, count: int) -> None:
        rows = self._rows(count)
        self.cache.reserve_right(len(self.right) + sum(map(len, self.islands)) + count)
        self._write(self.cache.right_begin - count, rows)
        self.cache.push_right(count)
        self.right = rows + self.right

    def insert_island(self, count: int) -> None:
        rows = self._rows(count)
        self._write(self.cache.insert_islands(count), rows)
        self.islands.append(rows)

    def remove_island(self) -> None:
        if self.islands:
            self.cache.remove_islands(len(self.islands.pop()))

    def pop(self, left: int, right: int) -> None:
        self.cache.pop_left(max(0, len(self.left) - left))
        self.cache.pop_right(max(0, len(self.right) - right))
        self.left = self.left[: self.cache.left_rows]
        self.right = self.right[len(self.right) - self.cache.right_rows :]
        self.gap = []

    def check(self) -> None:
        cache = self.cache
        below = self.right + [row for island in self.islands for row in island]
        rows = torch.tensor(below + self.left + self.gap, dtype=torch.float32)
        slots = slice(cache.right_begin, cache.left_end + len(self.gap))
        assert cache.rows == len(below) + len(self.left)
        for found, add in ((cache.keys, 0.0), (cache.values, 0.25)):
            assert torch.equal(found[:, :, slots], (rows + add)[:, None].expand_as(found[:, :, slots]))
        assert cache.position_ids[slots].tolist() == rows.tolist()
        unrotated = cache.unrotated_keys[:, :, cache.right_begin : cache.left_begin]
        assert torch.equal(unrotated, (rows[: len(below)] + 0.5)[:, None].expand_as(unrotated))


@pytest.mark.parametrize("seed", range(6))
def test_rows_stay_what_they_are_whatever_moves(seed: int) -> None:
    rng, marked = random.Random(seed), MarkedCache()
    for _ in range(120):
        match rng.randrange(7):
            case 0:
                marked.push_left(rng.randrange(9))
            case 1:
                marked.push_gap(rng.randrange(9))
            case 2:
                marked.push_right(rng.randrange(9))
            case 3:
                marked.insert_island(rng.randrange(1, 9))
            case 4:
                marked.remove_island()
            case 5:
                marked.pop(rng.randrange(40), rng.randrange(40))
            case 6:
                marked.pop(len(marked.left), len(marked.right))
        marked.check()


def test_rows_are_counted_only_where_slots_are() -> None:
    cache = MarkedCache(right_slots=4, left_slots=4).cache
    cache.push_left(4)
    cache.push_right(4)
    cache.pop_left(1)
    cache.pop_right(2)
    assert (cache.left_rows, cache.right_rows) == (3, 2)
    for verb, rows in ((cache.push_left, 2), (cache.push_right, 3), (cache.pop_left, 4), (cache.pop_right, 3)):
        for wrong in (rows, -1):
            with pytest.raises(AssertionError):
                verb(wrong)
    assert (cache.left_rows, cache.right_rows) == (3, 2)


def test_growing_keeps_the_rows_of_a_gap() -> None:
    """The rows of a gap lie above the left stack, which does not count them: a long infill once outgrew the
    cache and went on with whatever the new memory held."""
    marked = MarkedCache(right_slots=2, left_slots=8)
    marked.push_left(3)
    for _ in range(40):
        marked.push_gap(1)
        marked.check()


@pytest.mark.parametrize(("left", "right"), [(1000, 1), (1, 1000), (100, 100)])
def test_growing_in_both_directions(left: int, right: int) -> None:
    marked = MarkedCache()
    marked.push_left(2)
    marked.insert_island(3)
    marked.push_right(2)
    marked.push_left(left)
    marked.push_right(right)
    marked.insert_island(left)
    marked.check()


def test_bytes_are_those_of_all_slots_ever_used() -> None:
    """Memory of popped rows stays with the cache, so popping must not make a session look small."""
    marked = MarkedCache()
    marked.push_left(10)
    marked.push_right(5)
    marked.insert_island(2)
    cache, row = marked.cache, CONFIG.layers * CONFIG.kv_heads * CONFIG.head_dim * 4
    assert cache.bytes == row * (cache.slots + 10 + 2 * 7)
    marked.pop(0, 0)
    assert cache.bytes == row * (cache.slots + 10 + 2 * 7)
    marked.push_gap(12)
    assert cache.bytes == row * (cache.slots + 12 + 2 * 7)
    assert KVCache(CONFIG, torch.float32, 100, 100).bytes == 0
    large = KVCache(CONFIG, torch.bfloat16, 5000, 5000)
    large.reserve_left(1)
    assert large.bytes == row // 2 * (1 + 2048 + 1), "no more than a page of each key's dimensions"


def test_a_shift_rotates_from_the_unrotated_keys() -> None:
    rope, cache = RotaryEmbedding(CONFIG), KVCache(CONFIG, torch.float32, 8, 0)
    cache.push_right(8)
    unrotated = torch.randn(cache.unrotated_keys.shape, generator=torch.Generator().manual_seed(0))
    cache.unrotated_keys.copy_(unrotated)
    cache.position_ids[:] = torch.arange(100, 108)
    cache.shift(0, 8, 0, rope)
    for by in (5, -300, 4000, -3705):
        cache.shift(0, 8, by, rope)
        first = int(cache.position_ids[0])
        expected = rotate(unrotated, *rope.cos_sin(torch.arange(first, first + 8)))
        assert torch.equal(cache.keys, expected)
    assert cache.position_ids.tolist() == list(range(100, 108))
