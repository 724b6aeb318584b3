"""Packed rows see what the slow, obvious examples see, and train alike."""

from __future__ import annotations

import importlib
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from model.training.rows import NO_TARGET, PackedRows, RowKind
from model.training.visibility import block_mask, dense_mask, masked_rows
from tests.model.tiny import tiny_checkpoint
from tests.training.tiny_training import SMALL, BuiltWindow, built_window, row_losses, slow_example, trainer_network


def dense(unit: PackedRows) -> torch.Tensor:
    return dense_mask(torch.from_numpy(unit.sees)[None])


def seen_rows(unit: PackedRows, mask: torch.Tensor, row: int) -> list[tuple[int, int]]:
    """Return what `row` sees as (position id, token id), sorted."""
    seen = mask[0, row].nonzero()[:, 0].numpy()
    return sorted(zip(unit.position_ids[seen].tolist(), unit.token_ids[seen].tolist(), strict=True))


@pytest.mark.parametrize("seed", range(6))
def test_gap_rows_see_what_the_slow_example_says(seed: int) -> None:
    built = built_window(seed)
    mask = dense(built.unit)
    assert len(built.groups) > 5
    assert any(len(group.gap_ids) > 1 for group, _ in built.groups)
    for group, gap_rows in built.groups:
        slow = slow_example(built, group, gap_rows)
        for row, index in zip(gap_rows, slow.at, strict=True):
            seen = slow.rows.sees[index]
            expected = sorted((slow.rows.position_ids[other], slow.rows.token_ids[other]) for other in seen)
            assert seen_rows(built.unit, mask, row) == expected


def test_some_gaps_cut_the_shared_left_island() -> None:
    """The tests above are about something: a gap that starts inside a long pre-token has left rows of its own."""
    for seed in range(40):
        built = built_window(seed)
        longest = max((group.left_ids for group in built.window.groups), key=len)
        if any(group.left_ids != longest[: len(group.left_ids)] for group in built.window.groups):
            return
    pytest.fail("no gap had a tail of its own")


def test_island_rows_see_their_own_chain_only() -> None:
    built = built_window(1)
    unit, mask = built.unit, dense(built.unit)
    sinks = [row for row in range(unit.used) if unit.token_ids[row] == 0]
    first_sink, second_sink = sinks[:2]
    for row in range(first_sink, second_sink):
        assert mask[0, row].nonzero()[:, 0].tolist() == list(range(first_sink, row + 1))
    right = sinks[len(built.window.islands)]
    assert mask[0, right + 5].nonzero()[:, 0].tolist() == list(range(right, right + 6))


@pytest.mark.parametrize("right_ids", [20, 600])
def test_a_long_right_island_shares_no_position_with_context_islands(right_ids: int) -> None:
    unit = built_window(1, replace(SMALL, right_ids=right_ids)).unit
    below = unit.position_ids[unit.position_ids < 0]
    assert len(below) > 100
    assert len(set(below.tolist())) == len(below)


def test_padding_sees_itself_and_is_seen_by_none() -> None:
    built = built_window(2)
    unit, mask = built.unit, dense(built.unit)
    assert unit.used < unit.rows
    assert bool((mask[0, unit.used :, :] == torch.eye(unit.rows, dtype=torch.bool)[unit.used :]).all())
    assert not mask[0, : unit.used, unit.used :].any()
    assert (unit.targets[unit.used :] == NO_TARGET).all()


def gap_targets(built: BuiltWindow) -> np.ndarray:
    return np.flatnonzero((built.unit.kinds == RowKind.GAP_NEXT) | (built.unit.kinds == RowKind.MASK))


@pytest.mark.parametrize("seed", range(2))
def test_packed_gaps_train_like_separate_examples(seed: int) -> None:
    """The same losses, and the same gradients of their sum, as one example after the other built the slow way."""
    built, checkpoint = built_window(seed), tiny_checkpoint(seed=seed)
    unit = built.unit
    packed = trainer_network(checkpoint).double()
    packed.compute_dtype = torch.float64
    wanted = gap_targets(built)
    losses = row_losses(packed, unit, dense(unit), wanted)
    losses.sum().backward()
    loss_of = dict(zip(wanted.tolist(), losses.tolist(), strict=True))

    separate = trainer_network(checkpoint).double()
    separate.compute_dtype = torch.float64
    for group, gap_rows in built.groups:
        slow = slow_example(built, group, gap_rows)
        token_ids, position_ids = torch.tensor([slow.rows.token_ids]), torch.tensor([slow.rows.position_ids])
        hidden = separate(token_ids, position_ids, slow.mask())[0, slow.at]
        with_target = unit.targets[gap_rows] != NO_TARGET
        targets = torch.from_numpy(unit.targets[gap_rows][with_target].astype(np.int64))
        logits = hidden[with_target] @ separate.head_weight.T
        each = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
        expected = torch.tensor([loss_of[row] for row in gap_rows[with_target].tolist()], dtype=torch.float64)
        torch.testing.assert_close(each, expected, atol=1e-5, rtol=1e-5)  # angles are rounded to float32
        each.sum().backward()
    for (name, one), other in zip(packed.named_parameters(), separate.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        error = (one.grad - other.grad).norm() / other.grad.norm()
        assert float(error) < 1e-5, name


@pytest.mark.parametrize("count", [7, 64, 4096])
def test_rows_against_the_keys_they_see_equal_dense_attention(count: int) -> None:
    """Losses and gradients agree, also for two units at once."""
    units = [built_window(seed).unit for seed in (3, 4)]
    sees = torch.from_numpy(np.stack([unit.sees for unit in units]))
    token_ids, position_ids = (
        torch.from_numpy(np.stack([getattr(unit, name) for unit in units]).astype(np.int64))
        for name in ("token_ids", "position_ids")
    )
    parts = masked_rows(sees, torch.float64, count)
    assert all(part.bias.shape[1] <= sees.shape[1] for unit in parts for part in unit)
    results = []
    for mask in (dense_mask(sees), parts):
        network = trainer_network(tiny_checkpoint()).double()
        network.compute_dtype = torch.float64
        hidden = network(token_ids, position_ids, mask)
        hidden.pow(2).mean().backward()
        results.append([hidden.detach(), *(weight.grad for weight in network.parameters())])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-7)


def test_rows_see_no_further_than_their_window() -> None:
    """What makes it fast: of two windows in a unit, the second one's rows need no keys of the first."""
    sees = torch.from_numpy(built_window(3).unit.sees)[None]
    mask, (parts,) = dense_mask(sees)[0], masked_rows(sees, torch.float32, 16)
    for part in parts:
        outside = mask[part.rows].clone()
        outside[:, part.keys] = False
        assert not outside.any()
        assert bool(mask[part.rows, part.keys][:, [0, -1]].any(0).all())


def test_flex_attention_equals_dense_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses and gradients agree.

    FlexAttention runs uncompiled here. On a CPU it refuses to go backwards, which
    only its compiled form cannot: the refusal is taken away.
    """
    flex = importlib.import_module("torch.nn.attention.flex_attention")
    monkeypatch.setattr(flex, "_validate_device", lambda *_: None)
    config = SMALL.__class__(**{**SMALL.__dict__, "unit_rows": 1280})
    built, checkpoint = built_window(3, config), tiny_checkpoint()
    wanted = gap_targets(built)
    gradients = []
    for make in (dense_mask, block_mask):
        network = trainer_network(checkpoint)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # uncompiled FlexAttention says that it is slow
            losses = row_losses(network, built.unit, make(torch.from_numpy(built.unit.sees)[None]), wanted)
            losses.mean().backward()
        gradients.append([losses.detach(), *(weight.grad for weight in network.parameters())])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=2e-4, rtol=2e-4)
