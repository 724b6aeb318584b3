"""From logits to a distribution, and from that to a token."""

from __future__ import annotations

import torch
from torch import Tensor

from model.api.types import Sampling


def log_probabilities(logits: Tensor, allowed: Tensor) -> Tensor:
    """Return log-probabilities [..., V] over the allowed tokens; the others have -inf."""
    return logits.masked_fill(~allowed, -torch.inf).log_softmax(-1)


def shaped(log_probs: Tensor, sampling: Sampling) -> Tensor:
    """Return the probabilities [V] that `sampling` draws from: temperature first, then top-p.

    Top-p keeps the smallest set of most probable tokens that holds at least
    that much (Holtzman et al., arXiv 1904.09751). Temperature 0 is the most
    probable token alone, the lowest id among equals.
    """
    if sampling.temperature == 0:
        greedy = torch.zeros_like(log_probs)
        greedy[log_probs.argmax()] = 1
        return greedy
    probs = (log_probs / sampling.temperature).softmax(-1)
    if sampling.top_p < 1:
        ordered, order = probs.sort(descending=True, stable=True)
        before = ordered.cumsum(-1) - ordered
        probs = probs.index_fill(-1, order[before >= sampling.top_p], 0)
        probs = probs / probs.sum()
    return probs


def draw(log_probs: Tensor, sampling: Sampling, generator: torch.Generator) -> int:
    """Draw a token from `log_probs` [V]. Greedy drawing leaves the generator alone."""
    if sampling.temperature == 0:
        return int(log_probs.argmax())
    return int(torch.multinomial(shaped(log_probs, sampling), 1, generator=generator))
