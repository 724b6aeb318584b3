"""Left-to-right infill with the clean head, one token of every open gap per forward.

Set n is the n-th token of every open gap, and ranks are the order keys: the row
of rank r sees the rows < r of every gap. This is the plain path that verified
decoding must reproduce.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from model.api.types import Sampling
from model.decoding.gap_rows import GapRow, GapRows
from model.decoding.open_gap import OpenGap
from model.decoding.sampling import draw_next, log_probabilities


def first_rows(gaps: Sequence[OpenGap], infill_id: int | None) -> list[GapRow]:
    """Return the `<infill>` rows that open `gaps`; none for a model without: the text's last row opens its one gap."""
    assert infill_id is not None or len(gaps) == 1, "only an adapted model fills several gaps jointly"
    return [] if infill_id is None else [gap.row(0, infill_id, key=0) for gap in gaps]


def fill_left_to_right(
    rows: GapRows,
    gaps: Sequence[OpenGap],
    infill_id: int | None,
    sampling: Sampling,
    generator: torch.Generator,
    after_forward: Callable[[], bool],
) -> None:
    """Fill `gaps` jointly until all have stopped or `after_forward` returns False.

    Every revealed token is fed as long as a gap is open, the last one of an
    ended gap too, so that the others can see it.
    """
    open_gaps = [gap for gap in gaps if gap.stop is None]
    pending = first_rows(open_gaps, infill_id) if open_gaps else []
    while open_gaps:
        logits = rows.feed(pending, range(len(open_gaps)) if pending else None)
        for gap, gap_logits in zip(open_gaps, logits, strict=True):
            log_probs = log_probabilities(gap_logits, gap.allowed())
            rank, token_id = gap.frontier, draw_next(log_probs, gap.spelling.vocabulary.eoi_id, sampling, generator)
            gap.reveal(rank, token_id, log_probs)
            if rows.recorder is not None:
                rows.recorder.reveal(gap.index, rank, token_id, log_probs, "clean")
        rows.commit(range(len(pending)))
        # Gaps that just ended have a row to feed but need no logits: they come last.
        ordered = sorted(open_gaps, key=lambda gap: gap.stop is not None)
        pending = [gap.clean_row(max(gap.ids), key=max(gap.ids)) for gap in ordered]
        open_gaps = [gap for gap in ordered if gap.stop is None]
        if not after_forward():
            return
