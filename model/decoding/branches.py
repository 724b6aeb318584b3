"""Several different infills of one gap: the answer, and branches that part from it where it was least certain.

They are decoded side by side, several tokens of each per forward, and share
the context and what stands before they part. Each checks drafts like `verified`
does, but none waits for another. What one has found makes drafts for the
others: much of it mostly comes again.

A candidate is what one-token decoding makes of its beginning, whatever the
drafts were and however the others fared: a token is drawn without the draft
and then compared with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from model.decoding.decode import Decode
from model.decoding.drafts import Draft, TextDrafts
from model.decoding.gap_row import GapRow
from model.decoding.open_gap import OpenGap
from model.decoding.sampling import draw_next, log_probabilities
from model.decoding.widths import WidthPlanner, Widths


def fill_candidates(decode: Decode) -> list[OpenGap]:
    """Fill the one gap and return at most `decode.candidates` other infills of it, all texts different.

    The likeliest comes first. Without `decode.drafts` every forward reveals one
    token of each.
    """
    rows, planner = decode.rows, decode.planner
    (answer,) = decode.gaps
    first = _Candidate(answer, 0, decode.generator)
    branches: list[_Candidate] = []
    while going := [each for each in (first, *branches) if each.gap.stop is None]:
        if decode.drafts is not None and (answer.frontier > 1 or decode.infill_id is not None):
            for each in going:
                others = [other.gap for other in (first, *branches) if other is not each]
                each.propose(decode.drafts, others, planner)
            widths = planner.choose_each([[draft.kind for draft in each.drafts] for each in going])
        else:  # no drafts are wanted, or the text's last row opens the gap and goes alone
            widths = [Widths(0, 0)] * len(going)
        fed: list[GapRow] = []
        for each, width in zip(going, widths, strict=True):
            each.add_clean_rows(fed, width.drafts, decode.infill_id)
        if decode.mask_id is not None:
            for each, width in zip(going, widths, strict=True):
                each.add_mask_rows(fed, width.masks, decode.mask_id)
        logits = rows.feed(fed)
        planner.forward_took(rows.last_forward_rows, rows.last_forward_s)
        kept = [index for each in going for index in each.reveal(decode, logits)]
        rows.commit(kept if fed else [])
        if answer.stop is not None:
            rows.recorder = None  # a trace is of the answer only
        branches = _parted(answer, branches, decode.candidates, decode.generator.initial_seed())
        if not decode.after_forward():
            break
    return _different([branch.gap for branch in branches], answer)


def _parted(answer: OpenGap, branches: Sequence[_Candidate], count: int, seed: int) -> list[_Candidate]:
    """Return the branches from where the answer is least certain so far: of `branches` those still there, and new ones.

    What is among the least certain in the end was so ever since it was known,
    so none is started twice, and the answer need not be finished first.
    """
    found = {branch.parted: branch for branch in branches}
    parted = []
    for rank in _least_certain(answer, count):
        if rank not in found:
            own = torch.Generator().manual_seed((seed + rank) % 2**64)
            found[rank] = _Candidate(answer.branch_at(rank), rank, own)
            found[rank].gap.place(rank, *answer.runners_up[rank])
        parted.append(found[rank])
    return parted


@dataclass
class _Candidate:
    """The answer, or a branch: the answer before rank `parted`, its second choice there, and what follows.

    That rank also tells the rows of branches apart; the answer has 0.
    """

    gap: OpenGap
    parted: int
    generator: torch.Generator
    drafts: list[Draft] = field(default_factory=list)  # of the next or running forward
    mask_drafts: list[Draft] = field(default_factory=list)
    clean_at: list[int] = field(default_factory=list)  # the pending row and the drafts' among those fed
    masks_at: list[list[int]] = field(default_factory=list)  # the mask rows among them, by drafts accepted

    def propose(self, text_drafts: TextDrafts, others: Sequence[OpenGap], planner: WidthPlanner) -> None:
        """Guess what comes next, from the text and `others` or from mask rows, whichever is more likely right."""
        guesses = [
            drafts[: self.gap.drafts_wanted([draft.token_id for draft in drafts])]
            for drafts in (text_drafts.propose(self.gap, others), self.mask_drafts)
        ]
        self.drafts = max(guesses, key=lambda drafts: planner.expected_tokens([[draft.kind for draft in drafts]])[-1])

    def add_clean_rows(self, fed: list[GapRow], drafts: int, infill_id: int | None) -> None:
        """Add the row of the last token known, and those of the first `drafts` drafts, to what is fed."""
        self.drafts = self.drafts[:drafts]
        rank = self.gap.frontier - 1
        self.clean_at = list(range(len(fed), len(fed) + 1 + drafts))
        self.masks_at = []
        if rank:
            fed.append(self._own(self.gap.clean_row(rank, key=rank)))
        elif infill_id is not None:
            fed.append(self.gap.row(0, infill_id, key=0))
        for ahead, draft in enumerate(self.drafts, start=rank + 1):
            fed.append(self._own(self.gap.row(ahead, draft.token_id, ahead, draft.source)))

    def add_mask_rows(self, fed: list[GapRow], masks: int, mask_id: int) -> None:
        """Add `masks` mask rows behind every rank that may be the last known after the forward."""
        for last in range(self.gap.frontier, self.gap.frontier + len(self.drafts) + 1):
            ranks = range(last + 1, min(last + masks, self.gap.last_wanted_rank - 1) + 1)
            self.masks_at.append(list(range(len(fed), len(fed) + len(ranks))))
            fed += [self._own(self.gap.mask_row(rank, mask_id, sees_below=last)) for rank in ranks]

    def reveal(self, decode: Decode, logits: Tensor) -> list[int]:
        """Reveal what the forward decided and return which rows are right, of those fed."""
        accepted = 0
        for index in self.clean_at:
            rank, log_probs = self.gap.frontier, self.gap.next_log_probs(logits[index])
            token_id = draw_next(log_probs, self.gap.spelling.vocabulary.eoi_id, decode.sampling, self.generator)
            if self.parted:
                self.gap.reveal(rank, token_id, log_probs)
            else:
                decode.reveal(self.gap, rank, token_id, log_probs)
            if accepted == len(self.drafts):
                break
            right = token_id == self.drafts[accepted].token_id
            decode.planner.draft_was(self.drafts[accepted].kind, accepted + 1, right)
            if not right:
                break
            accepted += 1
        self._read_masks(logits, self.masks_at[accepted] if self.masks_at else [])
        return self.clean_at[: accepted + 1]

    def _read_masks(self, logits: Tensor, masks_at: Sequence[int]) -> None:
        self.drafts, self.mask_drafts, spelling = [], [], self.gap.spelling.copy()
        for index in masks_at:
            likeliest = int(log_probabilities(logits[index], self.gap.allowed_after(spelling)).argmax())
            if self.gap.stop is not None or likeliest == spelling.vocabulary.eoi_id:
                return
            self.mask_drafts.append(Draft(likeliest, "mask"))
            spelling.push(likeliest)

    def _own(self, row: GapRow) -> GapRow:
        return replace(row, branch=self.parted, shares_below=self.parted)


def _least_certain(answer: OpenGap, count: int) -> Sequence[int]:
    """Return the ranks at which the second choice came closest to the first, closest first."""
    margins = {
        rank: answer.logprobs[rank] - second_logprob
        for rank, (_, second_logprob) in answer.runners_up.items()
        if second_logprob > -float("inf")
    }
    return sorted(margins, key=lambda rank: margins[rank])[:count]


def _different(branches: Sequence[OpenGap], answer: OpenGap) -> list[OpenGap]:
    """Return `branches` of other texts than the answer and each other, the likeliest first."""
    different: dict[str, OpenGap] = {}
    # Those that time cut short come last: what they lack would make them less likely.
    for gap in sorted(branches, key=lambda gap: (not gap.stop, -sum(gap.logprobs.values()))):
        if gap.text() != answer.text():
            different.setdefault(gap.text(), gap)
    return list(different.values())
