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
from model.decoding.sampling import draw, log_probabilities


def fill_left_to_right(
    rows: GapRows,
    gaps: Sequence[OpenGap],
    infill_id: int | None,
    sampling: Sampling,
    after_forward: Callable[[], bool],
) -> None:
    """Fill `gaps` jointly until all have stopped or `after_forward` returns False.

    `infill_id` None is a model without `<infill>`: one gap only, begun by the
    last row of the text. Every revealed token is fed as long as a gap is open,
    the last one of an ended gap too, so that the others can see it.
    """
    assert infill_id is not None or len(gaps) == 1, "only an adapted model fills several gaps jointly"
    generator = torch.Generator().manual_seed(sampling.seed)
    pending = [] if infill_id is None else [GapRow(infill_id, gap.position_id(0), 0, 0) for gap in gaps]
    open_gaps = list(gaps)
    while open_gaps:
        logits = rows.feed(pending, range(len(open_gaps)) if pending else None)
        rows.commit(len(pending))
        for gap, gap_logits in zip(open_gaps, logits, strict=True):
            log_probs = log_probabilities(gap_logits, gap.spelling.allowed())
            token_id = draw(log_probs, sampling, generator)
            gap.take(token_id, float(log_probs[token_id]))
        # Gaps that just ended have a row to feed but need no logits: they come last.
        ordered = sorted(open_gaps, key=lambda gap: gap.stop is not None)
        pending = [
            GapRow(gap.ids[-1], gap.position_id(len(gap.ids)), len(gap.ids), len(gap.ids)) for gap in ordered
        ]
        open_gaps = [gap for gap in ordered if gap.stop is None]
        if not after_forward():
            return
