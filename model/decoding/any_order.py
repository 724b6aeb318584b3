"""Infill by mask rows, in the orders of block, window and uniform policies.

Every forward feeds the tokens revealed by the one before it as clean rows, in
ascending position, beside mask rows for the positions asked about next: one
forward both commits and predicts (DESIGN section 1).

`<eoi>` is revealed at the frontier only, so a position whose row says `<eoi>`
while something before it is unknown waits. Until the held-back piece and any
UTF-8 sequence begun are spelled, nothing but the frontier is revealed; where
something behind the frontier is known already, only whole characters are put
before it. Tokens revealed behind the end of a gap are unseen from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.api.types import Sampling
from model.decoding.gap_rows import UNSEEN, GapRows
from model.decoding.left_to_right import first_rows
from model.decoding.open_gap import OpenGap
from model.decoding.policies import OrderPolicy, RevealRule
from model.decoding.sampling import draw, log_probabilities

_LEAST_PROBABILITY = 1e-12  # of a length


@dataclass(frozen=True)
class _Proposal:
    """What one mask row would put at `rank`."""

    rank: int
    token_id: int
    log_probs: Tensor  # [V]

    @property
    def probability(self) -> float:
        return float(self.log_probs[self.token_id].exp())


def fill_any_order(
    rows: GapRows,
    gaps: Sequence[OpenGap],
    infill_id: int,
    mask_id: int,
    policy: OrderPolicy,
    rule: RevealRule,
    sampling: Sampling,
    generator: torch.Generator,
    after_forward: Callable[[], bool],
) -> None:
    """Fill `gaps` jointly until all have stopped or `after_forward` returns False."""
    times = [policy.hitting_times(gap.last_rank + 1, generator) for gap in gaps]
    clean = first_rows(gaps, infill_id)
    next_key = 1
    fresh: list[tuple[OpenGap, int]] = []
    for gap in gaps:
        if gap.end_rank is not None and gap.end_rank <= gap.last_rank:  # a length that is told is known from the start
            gap.place(gap.end_rank, gap.spelling.vocabulary.eoi_id, 0.0)
            fresh.append((gap, gap.end_rank))
    while any(gap.stop is None for gap in gaps):
        for gap, rank in sorted(fresh, key=lambda revealed: (revealed[0].index, revealed[1])):
            clean.append(gap.clean_row(rank, next_key))
            next_key += 1
        asked = [(gap, rank) for gap in gaps if gap.stop is None for rank in _asked(gap, policy)]
        masks = [gap.mask_row(rank, mask_id, UNSEEN) for gap, rank in asked]
        logits = rows.feed([*clean, *masks], range(len(clean), len(clean) + len(masks)))
        fresh = []
        for gap in [gap for gap in gaps if gap.stop is None]:
            mine = [index for index, (other, _) in enumerate(asked) if other is gap]
            ranks = [asked[index][1] for index in mine]
            if policy.kind == "uniform" and gap.end_rank is None:
                _draw_length(gap, logits[mine], sampling, generator)
                if rows.recorder is not None:
                    rows.recorder.reveal_end(gap.index, gap.end_rank or 0, gap.logprobs[gap.end_rank or 0])
                fresh.append((gap, gap.end_rank or 0))
                continue
            proposals = [
                _propose(gap, rank, logits[index], sampling, generator) for rank, index in zip(ranks, mine, strict=True)
            ]
            for proposal in _chosen(gap, proposals, rule, times[gap.index]):
                if gap.stop is None:
                    gap.reveal(proposal.rank, proposal.token_id, proposal.log_probs)
                    fresh.append((gap, proposal.rank))
                    _record(rows, gap, proposal)
        rows.commit(range(len(clean)))
        for gap in gaps:
            if gap.stop is not None:  # what was revealed behind its end is not part of it
                rows.drop_behind(gap.index, gap.frontier if gap.stop == "eoi" else gap.frontier - 1)
        clean = []
        if not after_forward():
            return


def _asked(gap: OpenGap, policy: OrderPolicy) -> list[int]:
    """Return the ranks that get mask rows: those of the policy that are wanted and not known yet."""
    asks_for_end = policy.kind == "uniform" and gap.end_rank is None  # which may stand behind the last token
    last = gap.last_wanted_rank + asks_for_end
    return [
        rank for rank in policy.asked(gap.frontier, gap.end_rank, gap.last_rank) if rank <= last and rank not in gap.ids
    ]


def _propose(gap: OpenGap, rank: int, logits: Tensor, sampling: Sampling, generator: torch.Generator) -> _Proposal:
    """Draw a token for `rank` from its mask row's logits [V]."""
    whole = gap.spelling.vocabulary.whole
    if rank > gap.frontier:
        allowed = whole
    elif gap.spelling.is_settled and any(known > rank for known in gap.ids):
        allowed = gap.allowed() & whole  # a character begun here might need a place that is taken
    else:
        allowed = gap.allowed()
    if gap.end_rank is not None:
        allowed = allowed.clone()
        allowed[gap.spelling.vocabulary.eoi_id] = False
    log_probs = log_probabilities(logits, allowed)
    return _Proposal(rank, draw(log_probs, sampling, generator), log_probs)


def _chosen(gap: OpenGap, proposals: list[_Proposal], rule: RevealRule, times: Tensor) -> list[_Proposal]:
    """Return the proposals to reveal now, ascending; at least one."""
    frontier, eoi_id = proposals[0], gap.spelling.vocabulary.eoi_id
    assert frontier.rank == gap.frontier, "the frontier is always asked about"
    if not gap.spelling.is_settled:
        return [frontier]
    able = [proposal for proposal in proposals if proposal.rank == gap.frontier or proposal.token_id != eoi_id]
    if rule.kind == "first_hitting":
        chosen = [min(able, key=lambda proposal: float(times[proposal.rank - 1]))]
    else:
        chosen = [proposal for proposal in able if proposal.probability >= rule.threshold]
        chosen = chosen or [max(able, key=lambda proposal: proposal.probability)]
    if chosen[0] is frontier and not bool(gap.spelling.vocabulary.whole[frontier.token_id]):
        return [frontier]  # the rest of the character comes first
    if chosen[0] is frontier and frontier.token_id == eoi_id:
        return [frontier]
    return chosen


def _draw_length(gap: OpenGap, logits: Tensor, sampling: Sampling, generator: torch.Generator) -> None:
    """Draw where `<eoi>` stands from mask rows at ranks 1, 2, ..., logits [W, V], and reveal it there."""
    eoi_id = gap.spelling.vocabulary.eoi_id
    log_probs = ending_distribution(logits, eoi_id, may_be_empty=gap.spelling.is_settled)
    index = draw(log_probs, sampling, generator)
    gap.end_rank = index + 1
    gap.place(gap.end_rank, eoi_id, float(log_probs[index]))


def ending_distribution(logits: Tensor, eoi_id: int, may_be_empty: bool) -> Tensor:
    """Return the log-probabilities [W] of `<eoi>` standing at ranks 1, 2, ..., from their mask rows' logits [W, V].

    Rows past the end say `<eoi>` too, so P(<eoi>) at rank r is the probability
    that the gap ends at r or before: its increments are the distribution of
    the end. What is left over belongs to the last rank asked about; no end is
    impossible, but that the held-back piece takes a token at least.
    """
    ended = logits.double().softmax(-1)[:, eoi_id].cummax(0).values
    ended[-1] = 1.0
    ends = ended.diff(prepend=ended.new_zeros(1)).clamp_(min=_LEAST_PROBABILITY)
    if not may_be_empty and len(ends) > 1:
        ends[0] = 0.0
    return (ends / ends.sum()).log()


def _record(rows: GapRows, gap: OpenGap, proposal: _Proposal) -> None:
    if rows.recorder is not None:
        rows.recorder.reveal(gap.index, proposal.rank, proposal.token_id, proposal.log_probs, "mask")
