"""Forwards run on as many threads as pay. Times are told, not taken."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from model.network.decoder import Decoder
from model.network.linear import Precision, has_7_bits
from model.network.threads import ThreadChoice
from tests.model.network.test_network import fed_in_slices, random_ids
from tests.model.tiny import tiny_checkpoint


def run(choice: ThreadChoice, forwards: int, all_ms: float, one_ms: float, rows: int = 1) -> int:
    """Run so many forwards that take so long on all threads and on one; return how many ran on all."""
    on_all = 0
    for _ in range(forwards):
        uses_all = choice.uses_all(rows)
        choice.took(rows, uses_all, (all_ms if uses_all else one_ms) / 1000)
        on_all += uses_all
    return on_all


def test_the_faster_choice_is_made_and_the_other_tried_ever_less() -> None:
    choice = ThreadChoice()
    assert run(choice, 1000, all_ms=20, one_ms=40) >= 980
    assert run(ThreadChoice(), 1000, all_ms=90, one_ms=40) <= 20


def test_a_machine_that_gets_busy_is_noticed_soon_and_one_that_gets_idle_in_time() -> None:
    choice = ThreadChoice()
    run(choice, 100, all_ms=20, one_ms=40)
    assert run(choice, 100, all_ms=200, one_ms=45) <= 10
    assert run(choice, 600, all_ms=20, one_ms=40) >= 300


def test_one_slow_forward_changes_nothing() -> None:
    choice = ThreadChoice()
    run(choice, 10, all_ms=20, one_ms=40)
    choice.took(1, True, 5.0)
    assert choice.uses_all(1)


def test_few_rows_and_many_are_apart() -> None:
    choice = ThreadChoice()
    run(choice, 50, all_ms=40, one_ms=30, rows=1)
    run(choice, 50, all_ms=300, one_ms=500, rows=128)
    assert not choice.uses_all(1)
    assert choice.uses_all(128)


def test_threads_are_as_before_after_a_forward_also_one_that_fails() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        choice = ThreadChoice()
        seen: set[int] = set()
        for _ in range(5):
            with choice.for_rows(1):
                seen.add(torch.get_num_threads())
            assert torch.get_num_threads() == 3
        assert seen == {1, 3}
        with pytest.raises(ZeroDivisionError), choice.for_rows(1):
            raise ZeroDivisionError
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(not has_7_bits(Precision.INT8), reason="this machine does not choose threads")
def test_in_int8_the_number_of_threads_changes_no_bit() -> None:
    checkpoint = tiny_checkpoint(width=576, heads=9, kv_heads=3, head_dim=64, layers=4, scale=0.05)
    network, ids = Decoder(checkpoint, Precision.INT8), random_ids(700, 400)
    network._threads = None
    before = torch.get_num_threads()
    found: list[Tensor] = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(fed_in_slices(network, ids, [128, 128, 100, 1, 5, 16, 64, 2, 128, 128]))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)
