"""Further candidates for one gap: continuations that part from the answer where it was least certain.

They share the context and the beginning of the answer, which are in the cache,
and are decoded side by side, one row of each per forward.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from model.api.types import Sampling
from model.decoding.gap_rows import GapRow, GapRows
from model.decoding.open_gap import OpenGap
from model.decoding.sampling import draw, log_probabilities


def fill_branches(
    rows: GapRows,
    answer: OpenGap,
    count: int,
    sampling: Sampling,
    generator: torch.Generator,
    after_forward: Callable[[], bool],
) -> list[OpenGap]:
    """Return at most `count` other infills of `answer`'s gap, all texts different, the likeliest first.

    `rows` hold the committed rows of `answer`, filled left to right.
    """
    branches = [_Branch(answer, rank, number) for number, rank in enumerate(_least_certain(answer, count), start=1)]
    pending = [branch for branch in branches if branch.gap.stop is None]
    while pending:
        logits = rows.feed([branch.pending_row() for branch in pending])
        for branch, branch_logits in zip(pending, logits, strict=True):
            log_probs = log_probabilities(branch_logits, branch.gap.allowed())
            branch.gap.reveal(branch.gap.frontier, draw(log_probs, sampling, generator), log_probs)
        rows.commit(len(pending))
        pending = [branch for branch in pending if branch.gap.stop is None]
        if not after_forward():
            break
    different: dict[str, OpenGap] = {}
    # Those that time cut short come last: what they lack would make them less likely.
    for gap in sorted((branch.gap for branch in branches), key=lambda gap: (not gap.stop, -sum(gap.logprobs.values()))):
        if gap.text() != answer.text():
            different.setdefault(gap.text(), gap)
    return list(different.values())


class _Branch:
    """The answer up to `rank`, its second choice there, and what follows."""

    def __init__(self, answer: OpenGap, rank: int, number: int) -> None:
        self._rank, self._number = rank, number
        self.gap = answer.branch_at(rank)
        self.gap.place(rank, *answer.runners_up[rank])

    def pending_row(self) -> GapRow:
        rank = max(self.gap.ids)
        row = self.gap.clean_row(rank, key=rank)
        return replace(row, branch=self._number, shares_below=self._rank)


def _least_certain(answer: OpenGap, count: int) -> Sequence[int]:
    """Return the ranks at which the second choice came closest to the first, closest first."""
    margins = {
        rank: answer.logprobs[rank] - second_logprob
        for rank, (_, second_logprob) in answer.runners_up.items()
        if second_logprob > -float("inf")
    }
    return sorted(margins, key=lambda rank: margins[rank])[:count]
