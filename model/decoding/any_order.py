"""Infill by mask rows, in the orders of block, window and uniform policies.

Every forward feeds the tokens revealed by the one before it as clean rows, in
ascending position, beside mask rows for the positions asked about next: one
forward both commits and predicts (docs/design.md, section 1).

`<eoi>` is revealed at the frontier only, so a position whose row says `<eoi>`
while something before it is unknown waits. Until the held-back piece and any
UTF-8 sequence begun are spelled, nothing but the frontier is revealed; where
something behind the frontier is known already, only whole characters are put
before it. Tokens revealed behind the end of a gap are unseen from then on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from model.api.policy import OrderPolicy, RevealRule
from model.decoding.decode import Decode
from model.decoding.gap_row import UNSEEN
from model.decoding.hitting_times import hitting_times
from model.decoding.left_to_right import first_rows
from model.decoding.open_gap import OpenGap
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


def fill_any_order(decode: Decode) -> list[OpenGap]:
    """Fill the gaps jointly."""
    rows, gaps = decode.rows, decode.gaps
    assert decode.mask_id is not None, "only an adapted model has mask rows"
    times = [hitting_times(decode.policy, gap.last_rank + 1, decode.generator) for gap in gaps]
    clean, next_key = first_rows(gaps, decode.infill_id), 1
    fresh = _told_ends(gaps)
    while decode.open_gaps:
        fresh.sort(key=lambda revealed: (revealed[0].index, revealed[1]))
        clean += [gap.clean_row(rank, key) for key, (gap, rank) in enumerate(fresh, next_key)]
        next_key += len(fresh)
        asked = [(gap, rank) for gap in decode.open_gaps for rank in _asked(gap, decode.policy)]
        masks = [gap.mask_row(rank, decode.mask_id, UNSEEN) for gap, rank in asked]
        logits = rows.feed([*clean, *masks], range(len(clean), len(clean) + len(masks)))
        fresh = []
        for gap in decode.open_gaps:
            mine = [index for index, (other, _) in enumerate(asked) if other is gap]
            ranks = [asked[index][1] for index in mine]
            fresh += [(gap, rank) for rank in _reveal(decode, gap, ranks, logits[mine], times[gap.index])]
        rows.commit(range(len(clean)))
        for gap in gaps:
            if gap.stop is not None:  # what was revealed behind its end is not part of it
                rows.drop_behind(gap.index, gap.frontier if gap.stop == "eoi" else gap.frontier - 1)
        clean = []
        if not decode.after_forward():
            break
    return []


def _told_ends(gaps: Sequence[OpenGap]) -> list[tuple[OpenGap, int]]:
    """Reveal where gaps end whose length is told, and return these ends: they are known from the start."""
    told = [(gap, gap.end_rank) for gap in gaps if gap.end_rank is not None and gap.end_rank <= gap.last_rank]
    for gap, end_rank in told:
        gap.place(end_rank, gap.spelling.vocabulary.eoi_id, 0.0)
    return told


def _asked(gap: OpenGap, policy: OrderPolicy) -> list[int]:
    """Return the ranks that get mask rows: those of the policy that are wanted and not known yet."""
    asks_for_end = policy.kind == "uniform" and gap.end_rank is None  # which may stand behind the last token
    last = gap.last_wanted_rank + asks_for_end
    return [
        rank for rank in policy.asked(gap.frontier, gap.end_rank, gap.last_rank) if rank <= last and rank not in gap.ids
    ]


def _reveal(decode: Decode, gap: OpenGap, ranks: Sequence[int], logits: Tensor, times: Tensor) -> list[int]:
    """Reveal what the mask rows at `ranks` say, from their logits [n, V], and return the ranks that became known."""
    if decode.policy.kind == "uniform" and gap.end_rank is None:
        end_rank = _draw_length(decode, gap, logits)
        if decode.rows.recorder is not None:
            decode.rows.recorder.reveal_end(gap.index, end_rank, gap.logprobs[end_rank])
        return [end_rank]
    proposals = [_propose(decode, gap, *asked) for asked in zip(ranks, logits, strict=True)]
    revealed = []
    for proposal in _chosen(gap, proposals, decode.rule, times):
        if gap.stop is None:
            decode.reveal(gap, proposal.rank, proposal.token_id, proposal.log_probs, "mask")
            revealed.append(proposal.rank)
    return revealed


def _propose(decode: Decode, gap: OpenGap, rank: int, logits: Tensor) -> _Proposal:
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
    return _Proposal(rank, draw(log_probs, decode.sampling, decode.generator), log_probs)


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


def _draw_length(decode: Decode, gap: OpenGap, logits: Tensor) -> int:
    """Draw at which rank `<eoi>` stands from mask rows at ranks 1, 2, ..., logits [W, V], and reveal it there."""
    eoi_id = gap.spelling.vocabulary.eoi_id
    log_probs = ending_distribution(logits, eoi_id, may_be_empty=gap.spelling.is_settled)
    index = draw(log_probs, decode.sampling, decode.generator)
    gap.end_rank = index + 1
    gap.place(gap.end_rank, eoi_id, float(log_probs[index]))
    return gap.end_rank


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
