"""The chunked head: the same loss and gradients as torch's cross-entropy over all logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.training.batches import micro_batch
from model.training.config import OptimiserConfig
from model.training.loss import head_chunk, head_loss, row_weights
from model.training.rows import RowKind
from tests.training.tiny_training import built_window


def test_head_loss_equals_cross_entropy() -> None:
    generator = torch.Generator().manual_seed(0)
    targets = torch.randint(0, 50, (24,), generator=generator)
    weights = torch.rand(24, generator=generator)
    hidden = torch.randn(24, 8, generator=generator, requires_grad=True)
    matrix = torch.randn(50, 8, generator=generator, requires_grad=True)
    loss, row_losses, tops = head_loss(hidden, matrix, targets, weights, 6, head_chunk)
    (loss * 3).backward()
    ours = hidden.grad, matrix.grad

    hidden.grad = matrix.grad = None
    logits = hidden @ matrix.T
    each = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    ((each * weights).sum() * 3).backward()
    torch.testing.assert_close(row_losses, each.detach())
    torch.testing.assert_close(tops, logits.argmax(-1))
    torch.testing.assert_close(ours, (hidden.grad, matrix.grad))


def test_row_weights_make_means_of_each_kind() -> None:
    weights = row_weights({RowKind.MASK: 10, RowKind.GAP_NEXT: 4, RowKind.ISLAND_NEXT: 5}, OptimiserConfig())
    assert weights == [0.0, 0.1 / 5, 1 / 4, 1 / 10]


@pytest.mark.parametrize("chunk_rows", [1, 7, 64, 1000])
def test_rows_that_pad_a_chunk_weigh_nothing(chunk_rows: int) -> None:
    units = [built_window(seed).unit for seed in range(3)]
    kinds = np.concatenate([unit.kinds for unit in units])
    targets = int((kinds != RowKind.NONE).sum())
    weights = np.asarray([9, 0.5, 2, 3], np.float32)
    batch = micro_batch(units, weights, chunk_rows)
    assert len(batch.weights) % chunk_rows == 0
    assert len(batch.weights) - targets < chunk_rows
    assert batch.weights[targets:].tolist() == [0] * (len(batch.weights) - targets)
    assert batch.kinds[targets:].tolist() == [RowKind.NONE] * (len(batch.weights) - targets)
    np.testing.assert_array_equal(batch.weights[:targets], weights[kinds[kinds != RowKind.NONE]])
