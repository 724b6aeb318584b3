"""What a beam search holds: beginnings of an infill, those that end, and infills that were judged by the text behind.

Knows how their scores are weighed; which are followed, `beams` knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from torch import Tensor

from model.decoding.open_gap import OpenGap

TEXT_WEIGHT = 0.5  # of the rows that follow the left stack, against those of the gap
LENGTH_REWARD_NATS = 0.4  # a token: what is likeliest is too short (docs/experiments.md)
_Number = TypeVar("_Number", float, Tensor)


def weighted(by_gap: _Number, by_text: _Number) -> _Number:
    """Return a score, by log-probabilities of the gap's rows and of those that follow the left stack."""
    return (1 - TEXT_WEIGHT) * by_gap + TEXT_WEIGHT * by_text


def score_of(by_gap: float, by_text: float, infill_tokens: int) -> float:
    """Return the score of an infill or of its beginning.

    Each token more makes a text less likely, so the likeliest infill is short, or empty, and what programmers write is
    neither; a reward for each token mends that (Murray & Chiang, arXiv 1808.10006, section 3).
    """
    return weighted(by_gap, by_text) + LENGTH_REWARD_NATS * infill_tokens


@dataclass(frozen=True)
class Beam:
    """A beginning of an infill, with the rows in the tree of all its tokens but the last, which is not fed yet."""

    gap: OpenGap
    gap_logprob: float = 0.0  # of its tokens together, by the gap's rows
    text_logprobs: tuple[float, ...] = ()  # of each token, by the rows that follow the left stack
    gap_rows: tuple[int, ...] = ()  # `<infill>` is the first
    text_rows: tuple[int, ...] = ()
    is_greedy: bool = False  # what greedy decoding makes of the gap

    @property
    def score(self) -> float:
        return score_of(self.gap_logprob, sum(self.text_logprobs), self.gap.known_tokens)

    def renumbered(self, numbers: dict[int, int]) -> Beam:
        return replace(
            self,
            gap_rows=tuple(numbers[row] for row in self.gap_rows),
            text_rows=tuple(numbers[row] for row in self.text_rows),
        )


@dataclass(frozen=True)
class Ending:
    """A beam that has ended and is to be judged by the text behind it.

    `ids` are the tokens of infill and text behind, read as one text. The first
    `same` are the infill's own; all of its tokens, unless the two run together.
    """

    beam: Beam
    ids: Sequence[int]
    same: int
    first_logprob: float | None  # of the token behind those, where the search knows it already

    @property
    def score(self) -> float:
        """As far as it is known: what is not known yet costs something."""
        return self.beam.score + weighted(0.0, self.first_logprob or 0.0)

    @property
    def gap_logprob(self) -> float:
        return self.beam.gap_logprob


@dataclass(frozen=True)
class JudgedInfill:
    """A beam that has ended, and how well it does: alone, and with the text behind it."""

    gap: OpenGap
    gap_logprob: float  # `<eoi>` included
    score: float
    text_logprob: float  # of its tokens, by the rows that follow the left stack
    behind_logprob: float  # of the text behind, given this infill
    rest_logprob: float  # of that text but for its first token
    is_greedy: bool
