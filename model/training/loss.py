"""The head and the cross-entropy of target rows, without keeping the logits.

The loss of an update is a weighted sum over its target rows, with the weights
fixed beforehand (`row_weights`), so the gradient of the logits is known as
soon as they are: each chunk of rows runs head, softmax and both head gradients
at once, and its logits are gone before the next chunk's come.

Dimensions: N target rows, C rows of a chunk, T width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from model.training.config import OptimiserConfig
from model.training.rows import RowKind

ChunkFunction = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor, Tensor]]


def row_weights(counts: dict[RowKind, int], optimiser: OptimiserConfig) -> list[float]:
    """Return the weight of a target row of each RowKind, by its number, given how many the update has of each.

    Weighted so, the sum over the update's rows is the loss of docs/design.md, section 7: the
    mean over mask rows, plus that over gap rows, plus a tenth of that over islands.
    """
    of_kind = {
        RowKind.NONE: 0.0,
        RowKind.ISLAND_NEXT: optimiser.island_next_weight,
        RowKind.GAP_NEXT: optimiser.gap_next_weight,
        RowKind.MASK: optimiser.mask_weight,
    }
    return [of_kind[kind] / max(1, counts.get(kind, 0)) for kind in RowKind]


def head_loss(
    hidden: Tensor, head_weight: Tensor, targets: Tensor, weights: Tensor, chunk_rows: int, chunk: ChunkFunction
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the weighted sum of the rows' losses, each row's loss [N] in nats, and its most probable token [N].

    `hidden` [N, T] and `targets` [N], `weights` [N] float32. N must be a multiple
    of `chunk_rows`: every chunk has the same shape. Only the sum is differentiable.
    `chunk` is `head_chunk`, compiled or not.
    """
    result: tuple[Tensor, Tensor, Tensor] = _HeadLoss.apply(hidden, head_weight, targets, weights, chunk_rows, chunk)
    return result


class _HeadLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, head_weight: Tensor, targets: Tensor, weights: Tensor, chunk_rows: int,
        chunk: ChunkFunction,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        assert hidden.shape[0] % chunk_rows == 0, "target rows must fill whole chunks"
        matrix = head_weight.to(hidden.dtype)
        hidden_grads, matrix_grad = [], torch.zeros_like(head_weight)
        losses, best = [], []
        for begin in range(0, hidden.shape[0], chunk_rows):
            rows = slice(begin, begin + chunk_rows)
            loss, top, logits_grad, hidden_grad = chunk(hidden[rows], matrix, targets[rows], weights[rows])
            matrix_grad += logits_grad.T @ hidden[rows]
            hidden_grads.append(hidden_grad)
            losses.append(loss)
            best.append(top)
        ctx.save_for_backward(torch.cat(hidden_grads), matrix_grad)
        row_losses, tops = torch.cat(losses), torch.cat(best)
        ctx.mark_non_differentiable(row_losses, tops)
        return (row_losses * weights).sum(), row_losses, tops

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        hidden_grad, matrix_grad = ctx.saved_tensors
        scale = grads[0]
        return hidden_grad * scale.to(hidden_grad.dtype), matrix_grad * scale, None, None, None, None


def head_chunk(
    hidden: Tensor, matrix: Tensor, targets: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return losses [C], most probable tokens [C], d loss / d logits [C, V] and d loss / d hidden [C, T]."""
    logits = (hidden @ matrix.T).float()
    losses = logits.logsumexp(-1) - logits.gather(1, targets[:, None])[:, 0]
    tops = logits.argmax(-1)
    gradient = logits.softmax(-1) * weights[:, None]
    gradient = gradient.scatter_add(1, targets[:, None], -weights[:, None]).to(hidden.dtype)
    return losses, tops, gradient, gradient @ matrix
