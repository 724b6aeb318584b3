"""Verified decoding: left to right, several tokens per forward (docs/design.md, section 4).

    rows = [pending token f, drafts f+1 .. f+k]  +  mask rows for the next drafts

The clean row at i says what stands at i+1, so one forward tells how much of a
draft is right. The longest right prefix and the clean head's own next token are
kept. Greedy answers equal those of `fill_left_to_right` whatever the drafts
were; drawn ones follow the same distribution (rejection rule of Leviathan et
al., arXiv 2211.17192, section 2.3).

Rows go rank by rank over all gaps, so what is kept is always a prefix of what
was fed; a draft that is wrong in one gap ends the others' at the same rank,
because their later rows saw it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from model.decoding.decode import Decode
from model.decoding.drafts import Draft
from model.decoding.gap_row import GapRow
from model.decoding.left_to_right import first_rows
from model.decoding.open_gap import OpenGap
from model.decoding.sampling import draw, draw_from, draw_next, log_probabilities, shaped
from model.decoding.widths import WidthPlanner, Widths


def fill_verified(decode: Decode) -> list[OpenGap]:
    """Fill the gaps jointly."""
    rows, planner, text_drafts = decode.rows, decode.planner, decode.drafts
    assert text_drafts is not None, "verified decoding is nothing without drafts"
    open_gaps = decode.open_gaps
    pending = first_rows(open_gaps, decode.infill_id) if open_gaps else []
    mask_drafts: dict[int, list[Draft]] = {}
    while open_gaps:
        forward = _Forward(open_gaps, pending)
        if pending:  # without, the text's last row opens the gap and goes alone
            drafts = {}
            for gap in open_gaps:
                guesses = _likelier(planner, text_drafts.propose(gap), mask_drafts.get(gap.index, []))
                # The last token that is wanted needs no draft: the row before it tells.
                drafts[gap.index] = guesses[: max(0, gap.last_wanted_rank - 1 - forward.rank)]
            forward.add_drafts(drafts, _widths(planner, open_gaps, drafts), decode.mask_id)
        logits = rows.feed(forward.rows, forward.logits_at if pending else None)
        planner.forward_took(rows.last_forward_rows, rows.last_forward_s)
        accepted = _reveal(decode, forward, logits)
        kept = sum(row.key is not None and row.rank <= forward.rank + accepted for row in forward.rows)
        rows.commit(range(kept))
        mask_drafts = _mask_drafts(decode, forward, accepted, logits)
        frontier_rank = forward.rank + accepted + 1
        pending = [
            gap.clean_row(frontier_rank, key=frontier_rank)
            for gap in sorted(open_gaps, key=lambda gap: gap.stop is not None)
            if frontier_rank in gap.ids  # one that ended earlier did so with a draft, whose row is committed
        ]
        open_gaps = [gap for gap in open_gaps if gap.stop is None]
        if not decode.after_forward():
            break
    return []


class _Forward:
    """The rows of one verified forward, and where the logits of each are."""

    def __init__(self, gaps: Sequence[OpenGap], pending: Sequence[GapRow]) -> None:
        self.gaps = list(gaps)
        self.rank = gaps[0].frontier - 1  # of the pending rows, the same in all open gaps
        self.rows = list(pending)
        self.drafts: dict[int, list[Draft]] = {gap.index: [] for gap in gaps}
        self.width = 0
        self.clean_at = {(gap.index, self.rank): index for index, gap in enumerate(gaps)}  # (gap, rank) -> logits row
        self.masks_at: dict[tuple[int, int], list[int]] = {}  # (gap, accepted) -> logits rows, by rank
        # The pending rows of ended gaps come last and need no logits.
        self.logits_at = list(range(len(gaps)))

    def add_drafts(self, drafts: dict[int, list[Draft]], widths: Widths, mask_id: int | None) -> None:
        """Add draft rows, rank by rank, then the mask rows for every frontier that may come of them."""
        self.width = widths.drafts
        for gap in self.gaps:
            self.drafts[gap.index] = _until_eoi(drafts[gap.index][: widths.drafts], gap.spelling.vocabulary.eoi_id)
        for step in range(widths.drafts):
            for gap in self.gaps:
                for draft in self.drafts[gap.index][step : step + 1]:
                    rank = self.rank + step + 1
                    self.clean_at[gap.index, rank] = self._add(gap.row(rank, draft.token_id, rank, draft.source))
        if mask_id is None:
            return
        for accepted in range(widths.drafts + 1):
            for gap in self.gaps:
                right, frontier = self.drafts[gap.index][:accepted], self.rank + accepted + 1
                if len(right) < accepted or any(draft.token_id == gap.spelling.vocabulary.eoi_id for draft in right):
                    continue  # the gap cannot get so far
                self.masks_at[gap.index, accepted] = [
                    self._add(gap.mask_row(rank, mask_id, sees_below=frontier))
                    for rank in range(frontier + 1, min(frontier + widths.masks, gap.last_wanted_rank - 1) + 1)
                ]

    def _add(self, row: GapRow) -> int:
        self.rows.append(row)
        self.logits_at.append(len(self.rows) - 1)
        return len(self.logits_at) - 1


def _until_eoi(drafts: list[Draft], eoi_id: int) -> list[Draft]:
    ends = [index for index, draft in enumerate(drafts, start=1) if draft.token_id == eoi_id]
    return drafts[: ends[0]] if ends else drafts


def _likelier(planner: WidthPlanner, text_drafts: list[Draft], mask_drafts: list[Draft]) -> list[Draft]:
    """Return the drafts of which more are expected to be right."""
    return max(
        (text_drafts, mask_drafts),
        key=lambda drafts: planner.expected_tokens([[draft.kind for draft in drafts]])[-1],
    )


def _widths(planner: WidthPlanner, gaps: Sequence[OpenGap], drafts: dict[int, list[Draft]]) -> Widths:
    """Ask the planner; a rank is drafted in all open gaps or in none, but for gaps whose drafts say they end before.

    What was drawn must not decide whether it is verified, or else the drafts
    that are verified are not distributed as they were drawn.
    """
    lengths = []
    for gap in gaps:
        guesses = drafts[gap.index]
        ends = bool(guesses) and guesses[-1].probs is None and guesses[-1].token_id == gap.spelling.vocabulary.eoi_id
        lengths.append((len(guesses), ends))
    open_ended = [length for length, ends in lengths if not ends]
    length = min(open_ended) if open_ended else max(length for length, _ in lengths)
    return planner.choose([[draft.kind for draft in drafts[gap.index][:length]] for gap in gaps])


def _reveal(decode: Decode, forward: _Forward, logits: Tensor) -> int:
    """Reveal what the forward decided and return how many drafted ranks were right in every gap."""
    for step in range(forward.width + 1):
        agreed = step < forward.width
        for gap in forward.gaps:
            if gap.stop is not None:
                continue
            rank, drafts = forward.rank + step + 1, forward.drafts[gap.index]
            log_probs = gap.next_log_probs(logits[forward.clean_at[gap.index, rank - 1]])
            draft = drafts[step] if step < len(drafts) else None
            token_id = _drawn_or_verified(decode, log_probs, draft, gap.spelling.vocabulary.eoi_id)
            decode.reveal(gap, rank, token_id, log_probs)
            if draft is None:
                agreed = False
                continue
            right = token_id == draft.token_id
            decode.planner.draft_was(draft.kind, step + 1, right)
            # Rows behind a gap's end are not part of the gap, and the others saw them.
            agreed = agreed and right and (gap.stop is None or len(drafts) == step + 1)
        if not agreed:
            return step
    return forward.width


def _drawn_or_verified(decode: Decode, log_probs: Tensor, draft: Draft | None, eoi_id: int) -> int:
    """Draw a token from `log_probs` [V], by way of `draft` if there is one: the distribution is the same."""
    sampling, generator = decode.sampling, decode.generator
    if draft is None or sampling.temperature == 0:
        return draw_next(log_probs, eoi_id, sampling, generator)
    probs = shaped(log_probs, sampling)
    drafted = 1.0 if draft.probs is None else float(draft.probs[draft.token_id])
    if float(torch.rand((), generator=generator)) * drafted < float(probs[draft.token_id]):
        return draft.token_id
    if draft.probs is not None:
        rest = (probs - draft.probs).clamp_(min=0)
    else:
        rest = probs.index_fill(0, torch.tensor(draft.token_id), 0)
    return draw_from(rest, generator) if bool(rest.any()) else draft.token_id  # they differ by rounding only


def _mask_drafts(decode: Decode, forward: _Forward, accepted: int, logits: Tensor) -> dict[int, list[Draft]]:
    """Return the drafts for the next forward from the mask rows that stood where the frontier is now.

    Drawn ones go on behind an `<eoi>`, so that their number says nothing about them.
    """
    sampling, generator = decode.sampling, decode.generator
    found: dict[int, list[Draft]] = {}
    for gap in forward.gaps:
        if gap.stop is not None:
            continue
        spelling = gap.spelling.copy()
        drafts = found[gap.index] = []
        for index in forward.masks_at.get((gap.index, accepted), []):
            log_probs = log_probabilities(logits[index], gap.allowed_after(spelling))
            if sampling.temperature == 0:
                drafts.append(Draft(draw(log_probs, sampling, generator), "mask"))
                if drafts[-1].token_id == spelling.vocabulary.eoi_id:
                    break
            else:
                probs = shaped(log_probs, sampling)
                drafts.append(Draft(draw_from(probs, generator), "mask", probs))
            spelling.push(drafts[-1].token_id)
    return found
