"""Small windows on one text, and the rows that they are to hold, built from nothing."""

from __future__ import annotations

from itertools import pairwise

import torch

from model.api.types import Gap
from model.checkpoint.tokenization import ByteTokenizer
from model.decoding.gap_row import GapRow
from model.decoding.gap_rows import GapRows
from model.network.decoder import Decoder
from model.network.linear import Precision
from model.sessions.geometry import WindowLimits
from model.sessions.islands import IslandStore
from model.sessions.seams import shared_break
from model.sessions.session import SessionParts
from model.sessions.window import Window
from tests.model.reference import RowList, dense_logits
from tests.model.tiny import INFILL, SINK, tiny_checkpoint

SMALL = WindowLimits(
    left_rows=60, left_min=20, left_max=90, right_rows=50, right_min=12, right_max=80, chunk_rows=16, island_rows=60,
    middle_rows=24, right_ids=100, gap_ids=128, joint_gap_ids=32,
)  # fmt: skip


SMALLER = WindowLimits(
    left_rows=24, left_min=6, left_max=36, right_rows=20, right_min=5, right_max=34, chunk_rows=8, island_rows=60,
    middle_rows=24, right_ids=100, gap_ids=128, joint_gap_ids=32,
)  # fmt: skip


STANDARD_TEXT = '''\
def greet(names: list[str]) -> str:
    """Say hello 👋 to everyone — naïvely."""
    if not names:
        return "nobody"
    parts = []
    for index, name in enumerate(names):
        parts.append(f"{index + 1}: {name!r}")
    return ", ".join(parts)\r
\r
class Café:\r
    \tprice = 12345\r


    def open(self):
        self.état = "ouvert"   # it's, we're
'''


def parts(checkpoint=None, full=SMALL, near=SMALLER) -> SessionParts:
    checkpoint = checkpoint or tiny_checkpoint()
    network = Decoder(checkpoint, Precision.FLOAT32)
    tokenizer = ByteTokenizer(checkpoint.tokenizer, checkpoint.config.vocab_size)
    islands = IslandStore(network, tokenizer, checkpoint.capabilities, 2**20, 30)
    return SessionParts(network, tokenizer, checkpoint.capabilities, islands, full, near)


# Trained networks know the right stack by these ids, so the number is said here once more: the sink row, its first, has
# the last id below the left stack's.
RIGHT_SINK_ID = -1


def reference_rows(window: Window, text: str, gaps: list[Gap]) -> tuple[RowList, list[int]]:
    """Build all rows of `window` from text, gaps and seams alone; return them with the context's indices."""
    encode = window.tokenizer.encode
    rows = RowList()
    seen: list[int] = []
    total = sum(island.rows for island in window.context)
    for island in window.context:
        seen += rows.add_chain(list(island.ids), -window.limits.right_ids - total, [])
        total -= island.rows
    cut = gaps[0].start - len(window.layout.held_back[0])
    left = window.header_ids + encode(text[window.begin_char : cut])
    seen += rows.add_chain(left, 0, [])
    begin = len(left)
    for index, (gap, following) in enumerate(pairwise(gaps)):
        end = gap.end - len(shared_break(text, gap.start, gap.end))
        between = text[end : following.start - len(window.layout.held_back[index + 1])]
        spans = [span.text for span in window.middles[index]]
        assert between.startswith(spans[0] if spans else "")
        assert between.endswith(spans[-1] if spans else "")
        assert len(spans) > 1 or "".join(spans) == between
        begin += window.limits.joint_gap_ids
        for span in spans:
            chain = rows.add_chain([SINK, *encode(span)], begin, [])
            seen, begin = seen + chain, begin + len(chain)
    right: list[int] = [rows.add(SINK, RIGHT_SINK_ID, [])]
    end_char, last_id = window.end_char, RIGHT_SINK_ID
    for chunk in window.right:
        assert text[end_char - len(chunk.text) : end_char] == chunk.text
        ids = encode(chunk.text)
        right += rows.add_chain(ids, last_id - len(ids), list(right))
        end_char, last_id = end_char - len(chunk.text), last_id - len(ids)
    last = gaps[-1]
    assert end_char == last.end - len(shared_break(text, last.start, last.end)), "the right stack begins at the seam"
    return rows, seen + right


def check_window(window: Window, checkpoint, text: str, gaps: list[Gap], tolerance: float = 1e-4) -> None:
    """The logits of each gap's `<infill>` row equal the reference's."""
    rows, context = reference_rows(window, text, gaps)
    feed = [GapRow(INFILL, window.gap_first_id(index), 0, 0) for index in range(len(gaps))]
    expected_at = [rows.add(INFILL, row.position_id, context) for row in feed]
    window.encode()
    found = GapRows(window).feed(feed)
    expected = dense_logits(checkpoint, rows)[expected_at]
    spread = float(expected.std())
    torch.testing.assert_close(found.double(), expected, atol=tolerance * max(1, spread), rtol=tolerance)
