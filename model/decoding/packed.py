"""Likelihood of many gaps of one file at once, on one encoding of the file.

The text is encoded once as left stack and once as right stack whose chunks end
at every gap; each gap sees the left rows before it and the right chunks behind
it (docs/design.md, section 7 packs training examples the same way). This equals scoring
each gap by itself between the same seams.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from model.api.types import Gap, GapScore
from model.decoding.likelihood import clean_score
from model.decoding.spelling import Vocabulary
from model.errors import Cancelled
from model.network.decoder import rows_at
from model.network.kv_cache import KVCache
from model.sessions.seams import Encoded, Layout, chunks_between, encode, header_ids, lay_out, rows_seen_from
from model.sessions.session import SessionParts
from model.sessions.stacks import push_left, push_right

GROUP_CHARS = 4000  # gaps within so much text share an encoding
CONTEXT_CHARS = 3000  # text on each side of a group that its gaps see
SLICE_ROWS = 256


@dataclass(frozen=True)
class _PackedGap:
    """One gap: its tokens, and which of the context rows it sees."""

    held_back: str
    ids: list[int]
    left_rows: int  # it sees the first so many left rows
    right_rows: int  # and the first so many right rows, the farthest


class PackedScorer:
    """Scores gaps of one text by the clean head, left to right."""

    def __init__(self, parts: SessionParts, vocabulary: Vocabulary, path: str) -> None:
        known = self._capabilities = parts.capabilities
        self._network, self._tokenizer, self._vocabulary = parts.network, parts.tokenizer, vocabulary
        self._geometry = parts.full.geometry
        self._header = header_ids(parts.tokenizer, known.sink_id, known.filename_id, path, self._geometry.path_tokens)
        self.rows_computed = 0

    def score(
        self, text: str, gaps: Sequence[Gap], texts: Sequence[str], cancelled: Callable[[], bool]
    ) -> list[GapScore | None]:
        """Return a score for each of `gaps` (ascending) of the readable `text`. Raises Cancelled between forwards.

        None stands for a gap that has to be scored by itself: the tokens of
        the whole text run across its beginning, or it does not fit.
        """
        scores: list[GapScore | None] = []
        begin = 0
        for end in range(1, len(gaps) + 1):
            if end == len(gaps) or gaps[end].end - gaps[begin].start > GROUP_CHARS:
                scores += self._score_group(text, gaps[begin:end], texts[begin:end], cancelled)
                begin = end
        return scores

    def _score_group(
        self, text: str, gaps: Sequence[Gap], texts: Sequence[str], cancelled: Callable[[], bool]
    ) -> list[GapScore | None]:
        first = max(0, gaps[0].start - CONTEXT_CHARS)  # or a line above, if one begins not far from there
        begin = (text.rfind("\n", max(0, first - CONTEXT_CHARS), first) + 1) or first
        left = encode(self._tokenizer, text[begin : gaps[-1].start])
        layouts = [lay_out(self._tokenizer, text, [(gap.start, gap.end)]) for gap in gaps]
        chunks, right_rows = self._right_chunks(text, [layout.end for layout in layouts])
        packed = [
            self._pack(layout, layout.cut - begin, left, given, right_rows[layout.end])
            for layout, given in zip(layouts, texts, strict=True)
        ]
        present = {index: gap for index, gap in enumerate(packed) if gap}
        reach = [gap.left_rows + gap.right_rows + len(gap.ids) + 2 for gap in present.values()]
        if not reach or max(reach) > self._network.config.context_length:
            return [None] * len(gaps)
        left_ids, longest = self._header + left.ids, max(len(gap.ids) + 1 for gap in present.values())
        cache = self._encode(chunks, left_ids, SLICE_ROWS + longest, cancelled)
        scores: dict[int, GapScore] = {}
        waiting: dict[int, _PackedGap] = {}
        for index, gap in present.items():
            waiting[index] = gap
            if sum(len(other.ids) + 1 for other in waiting.values()) >= SLICE_ROWS or index == max(present):
                found = self._score_batch(cache, list(waiting.values()), left_ids)
                scores.update(zip(waiting, found, strict=True))
                waiting = {}
                _go_on(cancelled)
        return [scores.get(index) for index in range(len(gaps))]

    def _right_chunks(self, text: str, gap_ends: Sequence[int]) -> tuple[list[list[int]], dict[int, int]]:
        """Return the chunks behind the gaps, farthest first, and how many rows a gap sees by where it ends."""
        if not self._capabilities.infill:
            return [], dict.fromkeys(gap_ends, 0)
        last = max(gap_ends)
        end = min(len(text), last + CONTEXT_CHARS)
        if end < len(text):
            newline = text.rfind("\n", last, end)
            end = newline if newline >= 0 else end
        chunks = chunks_between(self._tokenizer, text, {*gap_ends, end}, self._geometry.chunk_tokens)
        return [ids for _, ids in chunks], rows_seen_from(chunks, end)

    def _pack(self, layout: Layout, cut: int, left: Encoded, given: str, right_rows: int) -> _PackedGap | None:
        """Return the gap of `layout`, the left of which ends at `cut` in the text of `left`."""
        token = bisect_left(left.starts, cut)
        if token < len(left.ids) and not (left.starts[token] == cut and left.begins_pre_token[token]):
            return None
        if token == len(left.ids) and cut != len(left.text):
            return None
        ids = layout.gap_ids(self._tokenizer, 0, given)
        return _PackedGap(layout.held_back[0], ids, len(self._header) + token, right_rows)

    def _encode(
        self, chunks: Sequence[list[int]], left_ids: Sequence[int], room: int, cancelled: Callable[[], bool]
    ) -> KVCache:
        """Return a cache with both stacks in it, and room for so many rows of gaps."""
        cache = self._network.new_cache(sum(map(len, chunks)) + 1, len(left_ids) + room)
        for begin in range(0, len(left_ids), SLICE_ROWS):
            _go_on(cancelled)
            push_left(self._network, cache, left_ids[begin : begin + SLICE_ROWS])
        for chunk in [[], *chunks] if self._capabilities.infill else []:  # the sink row first, by itself
            _go_on(cancelled)
            push_right(self._network, cache, chunk, self._capabilities.sink_id)
        self.rows_computed += cache.rows
        return cache

    def _score_batch(self, cache: KVCache, batch: Sequence[_PackedGap], left_ids: Sequence[int]) -> list[GapScore]:
        """Feed all rows of `batch` in one forward and return its scores."""
        infill, infill_id = self._capabilities.infill, self._capabilities.infill_id
        before = 0 if infill else 1  # without <infill>, the last row before the gap is fed again in its place
        ids: list[int] = []
        position_ids: list[int] = []
        rows = sum(len(gap.ids) + 1 for gap in batch)
        see_begin = cache.right_begin if infill else cache.left_begin
        visible = torch.zeros(rows, cache.left_end + rows - see_begin, dtype=torch.bool)
        for gap in batch:
            first = left_ids[gap.left_rows - 1] if infill_id is None else infill_id
            own = slice(len(ids), len(ids) + len(gap.ids) + 1)
            first_id = gap.left_rows - before
            position_ids += range(first_id, first_id + len(gap.ids) + 1)
            ids += [first, *gap.ids]
            if infill:
                visible[own, cache.right_end - gap.right_rows - see_begin : cache.right_end - see_begin] = True
            left = cache.left_begin - see_begin
            visible[own, left : left + gap.left_rows - before] = True
            chain = cache.left_end - see_begin
            causal = torch.ones(len(gap.ids) + 1, len(gap.ids) + 1, dtype=torch.bool).tril()
            visible[own, chain + own.start : chain + own.stop] = causal
        fed = rows_at(cache.left_end, see_begin, ids, position_ids, visible)
        logits = self._network.forward(fed, cache, list(range(rows)))
        self.rows_computed += rows
        assert logits is not None
        scores, begin = [], 0
        for gap in batch:
            own_logits = logits[begin : begin + len(gap.ids) + 1]
            scores.append(clean_score(self._vocabulary, gap.held_back, gap.ids, own_logits, stops=infill))
            begin += len(gap.ids) + 1
        return scores


def _go_on(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise Cancelled("the request was cancelled")
