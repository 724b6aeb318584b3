"""Random orders: when each position of a gap becomes known, drawn as its order policy has it."""

from __future__ import annotations

import torch
from torch import Tensor

from model.api.policy import OrderPolicy


def hitting_times(policy: OrderPolicy, count: int, generator: torch.Generator) -> Tensor:
    """Return a time [count] float64 for ranks 1, 2, ...; positions are revealed by ascending time.

    The window's is the closed form that `first_hitting_times` tends to for long sequences.
    """
    ranks = torch.arange(1, count + 1, dtype=torch.float64)
    if policy.kind == "left_to_right":
        return ranks
    uniform = torch.rand(count, generator=generator, dtype=torch.float64)
    match policy.kind:
        case "block":
            return (ranks - 1).div(policy.size, rounding_mode="floor") + uniform
        case "window":
            return ranks + policy.size * uniform**3
        case _:
            return uniform


def first_hitting_times(length: int, size: int, generator: torch.Generator) -> Tensor:
    """Return the paper's staggered first-hitting times [length] float64 for window(S); revealed by descending time.

    arXiv 2607.01775: T_i = loc_i + w (1 - exp(-e / c)) with e ~ Exp(1),
    w = S / (L + S - 1), area = D / (2 L), c = area / (w - area), S = 2 D, and
    loc falling linearly from 1 - w to 0. It needs the length, which an editor
    does not know; it is here as the yardstick of `hitting_times`.
    """
    width = size / (length + size - 1)
    area = (size / 2) / (2 * length)
    scale = area / (width - area)
    location = torch.linspace(1 - width, 0, length, dtype=torch.float64)
    exponential = torch.empty(length, dtype=torch.float64).exponential_(1, generator=generator)
    return location + width * (1 - torch.exp(-exponential / scale))
