"""From logits to a distribution, and from that to a token."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from model.api.types import Sampling

_LEAST_TEMPERATURE = 1e-6  # colder than this float32 cannot tell
# Greedy decoding is to find the likeliest infill. Its next token and `<eoi>` are no equals in that: `<eoi>` is a whole
# infill, the token only the first of a further line, which seldom has a fifth of the probability when it is complete.
END_PROBABILITY = 0.2
END_LOG_PROBABILITY = math.log(END_PROBABILITY)
_NUCLEUS_TOKENS = 256  # top-p mostly keeps fewer: to look for them there saves sorting a vocabulary


def log_probabilities(logits: Tensor, allowed: Tensor) -> Tensor:
    """Return log-probabilities [..., V] over the allowed tokens; the others have -inf."""
    return logits.masked_fill(~allowed, -torch.inf).log_softmax(-1)


def shaped(log_probs: Tensor, sampling: Sampling) -> Tensor:
    """Return the probabilities [V] that `sampling` draws from: temperature first, then top-p.

    Top-p keeps the smallest set of most probable tokens that holds at least
    that much (Holtzman et al., arXiv 1904.09751), one of them at least.
    """
    assert sampling.temperature > 0, "greedy decoding draws from nothing"
    # The likeliest token stands at 0, where no temperature moves it.
    probs = ((log_probs - log_probs.max()) / max(sampling.temperature, _LEAST_TEMPERATURE)).softmax(-1)
    if sampling.top_p == 1:
        return probs
    ordered, order = probs.topk(min(_NUCLEUS_TOKENS, probs.shape[-1]))
    if float(ordered.sum()) < sampling.top_p:
        ordered, order = probs.sort(descending=True)
    before = ordered.cumsum(-1) - ordered
    before[0] = -1  # kept however small top_p is
    kept = before < sampling.top_p
    nucleus = torch.zeros_like(probs).index_put_((order[kept],), ordered[kept])
    return nucleus / nucleus.sum()


def draw(log_probs: Tensor, sampling: Sampling, generator: torch.Generator) -> int:
    """Draw a token from `log_probs` [V]: the likeliest if greedy, which leaves the generator alone."""
    if sampling.temperature == 0:
        return int(log_probs.argmax())
    return draw_from(shaped(log_probs, sampling), generator)


def draw_next(log_probs: Tensor, eoi_id: int, sampling: Sampling, generator: torch.Generator) -> int:
    """Draw what comes next in a gap from a clean row's `log_probs` [V]; greedy ends the gap at `END_PROBABILITY`."""
    if sampling.temperature == 0 and float(log_probs[eoi_id]) >= END_LOG_PROBABILITY:
        return eoi_id
    return draw(log_probs, sampling, generator)


def draw_from(weights: Tensor, generator: torch.Generator) -> int:
    """Draw an index in proportion to `weights` [V]; one without weight is never drawn.

    By one random number, against one for each index in torch.multinomial.
    """
    cumulative = weights.cumsum(-1, dtype=torch.float64)
    drawn = torch.rand((), dtype=torch.float64, generator=generator) * cumulative[-1]
    return int(torch.searchsorted(cumulative, drawn, right=True))
