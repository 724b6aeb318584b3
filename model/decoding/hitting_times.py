"""Random orders: when each position of a gap becomes known, drawn as its order policy has it."""

from __future__ import annotations

import torch
from torch import Tensor

from model.api.policy import OrderPolicy


def hitting_times(policy: OrderPolicy, count: int, generator: torch.Generator) -> Tensor:
    """Return a time [count] float64 for ranks 1, 2, ...; positions are revealed by ascending time.

    The window's is the closed form that the first-hitting times of arXiv 2607.01775 tend to for long sequences.
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
