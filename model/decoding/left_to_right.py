"""Left-to-right infill with the clean head, one token of every open gap per forward.

Set n is the n-th token of every open gap, and ranks are the order keys: the row
of rank r sees the rows < r of every gap. This is the plain path that verified
decoding must reproduce.
"""

from __future__ import annotations

from collections.abc import Sequence

from model.decoding.decode import Decode
from model.decoding.gap_row import GapRow
from model.decoding.open_gap import OpenGap
from model.decoding.sampling import draw_next


def first_rows(gaps: Sequence[OpenGap], infill_id: int | None) -> list[GapRow]:
    """Return the `<infill>` rows that open `gaps`; none for a model without: the text's last row opens its one gap."""
    assert infill_id is not None or len(gaps) == 1, "only an adapted model fills several gaps jointly"
    return [] if infill_id is None else [gap.row(0, infill_id, key=0) for gap in gaps]


def fill_left_to_right(decode: Decode) -> list[OpenGap]:
    """Fill the gaps jointly.

    Every revealed token is fed as long as a gap is open, the last one of an
    ended gap too, so that the others can see it.
    """
    rows, open_gaps = decode.rows, decode.open_gaps
    pending = first_rows(open_gaps, decode.infill_id) if open_gaps else []
    while open_gaps:
        logits = rows.feed(pending, range(len(open_gaps)) if pending else None)
        for gap, gap_logits in zip(open_gaps, logits, strict=True):
            log_probs, eoi_id = gap.next_log_probs(gap_logits), gap.spelling.vocabulary.eoi_id
            decode.reveal(gap, gap.frontier, draw_next(log_probs, eoi_id, decode.sampling, decode.generator), log_probs)
        rows.commit(range(len(pending)))
        # Gaps that just ended have a row to feed but need no logits: they come last.
        ordered = sorted(open_gaps, key=lambda gap: gap.stop is not None)
        pending = [gap.clean_row(max(gap.ids), key=max(gap.ids)) for gap in ordered]
        open_gaps = [gap for gap in ordered if gap.stop is None]
        if not decode.after_forward():
            break
    return []
