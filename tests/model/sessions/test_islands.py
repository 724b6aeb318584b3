"""Context islands: encoded once, shared, and the same rows wherever and however often they are moved."""

from __future__ import annotations

import random

import pytest
import torch

from model.api.types import Gap, Snippet
from model.checkpoint.tokenization import ByteTokenizer
from model.network.decoder import Decoder
from model.network.linear import Precision
from model.sessions.islands import KEPT_ISLANDS, EncodedIsland, IslandStore
from model.sessions.session import Session, SessionParts
from tests.model.tiny import FILENAME, SINK, tiny_checkpoint
from tests.model.windows import SMALL, STANDARD_TEXT, check_window, parts

ONE = Snippet("lib/one.py", "def one():\n    return 1\n")
TWO = Snippet("", "# 👋 two\n")


def store_of(network: Decoder, budget_bytes: int = 2**20, max_rows: int = 30) -> IslandStore:
    checkpoint = tiny_checkpoint()
    tokenizer = ByteTokenizer(checkpoint.tokenizer, checkpoint.config.vocab_size)
    return IslandStore(network, tokenizer, checkpoint.capabilities, budget_bytes, max_rows)


def encoded(store: IslandStore, snippet: Snippet, slice_rows: int = 1000) -> EncodedIsland:
    while (island := store.encode_slice(snippet, slice_rows)) is None:
        pass
    return island


@pytest.mark.parametrize("precision", [Precision.FLOAT32, Precision.BFLOAT16])
def test_an_island_shifted_2000_times_equals_a_fresh_one(precision: Precision) -> None:
    network = Decoder(tiny_checkpoint(), precision)
    island = encoded(store_of(network), ONE)
    cache = network.new_cache(right_slots=island.rows, left_slots=0)
    rng, first_id = random.Random(0), -island.rows
    island.copy_to(cache, 0, first_id, network.rope)
    for _ in range(2000):
        by = rng.randrange(-3000, 3000) - first_id // 2
        cache.shift(0, island.rows, by, network.rope)
        first_id += by
    fresh = network.new_cache(right_slots=island.rows, left_slots=0)
    island.copy_to(fresh, 0, first_id, network.rope)
    assert first_id != -island.rows
    assert torch.equal(cache.position_ids, fresh.position_ids)
    assert torch.equal(cache.keys, fresh.keys)
    assert torch.equal(cache.values, fresh.values)


def test_an_island_is_the_same_in_slices_and_at_once() -> None:
    network = Decoder(tiny_checkpoint(), Precision.FLOAT32)
    whole = encoded(store_of(network), ONE)
    sliced = encoded(store_of(network), ONE, slice_rows=4)
    assert whole.ids == sliced.ids
    assert whole.rows > 8
    torch.testing.assert_close(whole.unrotated_keys, sliced.unrotated_keys, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(whole.values, sliced.values, atol=1e-4, rtol=1e-4)


def test_an_island_begins_like_a_file() -> None:
    store = store_of(Decoder(tiny_checkpoint(), Precision.FLOAT32), max_rows=1000)
    tokenizer = ByteTokenizer(tiny_checkpoint().tokenizer, 512)
    assert list(encoded(store, ONE).ids) == [
        SINK,
        FILENAME,
        *tokenizer.encode("lib/one.py\n"),
        *tokenizer.encode(ONE.text),
    ]
    assert list(encoded(store, TWO).ids) == [SINK, *tokenizer.encode(TWO.text)]


def test_islands_are_encoded_once_and_the_least_recently_used_go_first() -> None:
    network = Decoder(tiny_checkpoint(), Precision.FLOAT32)
    one_island = encoded(store_of(network, max_rows=12), ONE)
    store = store_of(network, budget_bytes=3 * one_island.bytes, max_rows=12)
    snippets = [Snippet("", f"def f{n}():\n    return {n}, other\n" * 3) for n in range(4)]
    for snippet in snippets[:3]:
        encoded(store, snippet)
    assert store.rows_computed == 36
    assert store.get(snippets[0]) is encoded(store, snippets[0])
    assert store.rows_computed == 36
    encoded(store, snippets[3])
    assert [store.get(snippet) is not None for snippet in snippets] == [True, False, True, True]


def test_idle_work_ends_under_any_memory_budget() -> None:
    """Under a budget smaller than a session's islands, each one encoded once pushed out another, for ever."""
    shared = parts()
    store = store_of(shared.network, budget_bytes=0)
    shared = SessionParts(shared.network, shared.tokenizer, shared.capabilities, store, shared.full, shared.near)
    session = Session(shared, "a.py", STANDARD_TEXT)
    session.set_context([Snippet(f"{n}.py", f"x{n} = {n}\n") for n in range(12)])
    session.prepare([Gap(50, 50)])
    slices = 0
    while session.idle_slice():
        slices += 1
        assert slices < 100
    window = session.window_at([Gap(50, 50)], lambda: False)
    assert len(window.context) >= 2
    assert sum(island.rows for island in window.context) <= KEPT_ISLANDS * 30


def test_the_most_useful_snippets_are_shown_and_only_these_encoded() -> None:
    shared = parts()
    session = Session(shared, "a.py", STANDARD_TEXT)
    snippets = [Snippet("", letter * 10 + "\n" + "z = 1 + 2 - 3\n" * 9) for letter in "abcd"]
    session.set_context(snippets)
    while session.idle_slice():
        pass
    window = session.window_at([Gap(50, 50)], lambda: False)
    assert shared.islands.rows_computed == SMALL.island_rows
    assert [island.ids for island in window.context] == [
        encoded(shared.islands, snippet).ids for snippet in snippets[2:]
    ]


def test_islands_come_and_go_under_stacks_that_stand() -> None:
    """Islands lie between the stacks in memory: neither may feel it when they change."""
    checkpoint, shared = tiny_checkpoint(), parts()
    session = Session(shared, "a.py", STANDARD_TEXT)
    gaps = [Gap(200, 210)]
    for snippets in ([], [ONE], [ONE, TWO], [TWO], [TWO, ONE], []):
        session.set_context(snippets)
        while session.idle_slice():
            pass
        before = session.rows_computed
        window = session.window_at(gaps, lambda: False)
        assert len(window.context) == len(snippets)
        check_window(window, checkpoint, STANDARD_TEXT, gaps)
        if snippets:
            assert session.rows_computed == before, "no row of the stacks is encoded anew"


def test_sessions_share_islands() -> None:
    shared = parts()
    for name in ("a.py", "b.py"):
        session = Session(shared, name, STANDARD_TEXT)
        session.set_context([ONE])
        while session.idle_slice():
            pass
    assert shared.islands.rows_computed == shared.islands.rows(ONE)
