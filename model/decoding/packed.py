"""Likelihood of many gaps of one file at once, on one encoding of the file.

The text is encoded once as left stack and once as right stack whose chunks end
at every gap; each gap sees the left rows before it and the right chunks behind
it (docs/design.md, section 7 packs training examples the same way). This equals scoring
each gap by itself between the same seams.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from model.api.types import Gap, GapScore
from model.decoding.likelihood import clean_score, text_scores
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


@dataclass(frozen=True)
class _Chain:
    """Rows that each see those before them, and so many rows of the context."""

    ids: list[int]
    first_id: int  # position id of the first; the others follow
    left_rows: int
    right_rows: int


class PackedScorer:
    """Scores gaps of one text by the clean head, left to right; `as_text`, also as text that knows of no gap."""

    def __init__(self, parts: SessionParts, vocabulary: Vocabulary, path: str, as_text: bool = False) -> None:
        self._as_text = as_text
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
        left_ids = self._header + left.ids
        rows = {index: sum(len(chain.ids) for chain in self._chains(gap, left_ids)) for index, gap in present.items()}
        cache = self._encode(chunks, left_ids, SLICE_ROWS + max(rows.values()), cancelled)
        scores: dict[int, GapScore] = {}
        waiting: dict[int, _PackedGap] = {}
        for index, gap in present.items():
            waiting[index] = gap
            if sum(rows[other] for other in waiting) >= SLICE_ROWS or index == max(present):
                found = self._score_batch(cache, list(waiting.values()), left_ids)
                scores.update(zip(waiting, found, strict=True))
                waiting = {}
                _go_on(cancelled)
        return [scores.get(index) for index in range(len(gaps))]

    def _right_chunks(self, text: str, gap_ends: Sequence[int]) -> tuple[list[list[int]], dict[int, int]]:
        """Return the chunks behind the gaps, farthest first, and how many rows a gap sees by where it ends."""
        if not self._capabilities.adapted:
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
        for together in _slices(chunks) if self._capabilities.adapted else []:
            _go_on(cancelled)
            push_right(self._network, cache, together, self._capabilities.sink_id)
        self.rows_computed += cache.rows
        return cache

    def _score_batch(self, cache: KVCache, batch: Sequence[_PackedGap], left_ids: Sequence[int]) -> list[GapScore]:
        """Feed all rows of `batch` in one forward and return its scores."""
        adapted = self._capabilities.adapted
        chains = [chain for gap in batch for chain in self._chains(gap, left_ids)]
        logits = iter(self._feed(cache, chains).split([len(chain.ids) for chain in chains]))
        scores = []
        for gap in batch:
            score = clean_score(self._vocabulary, gap.held_back, gap.ids, next(logits), stops=adapted)
            if self._as_text and adapted:
                sink_id = self._capabilities.sink_id
                as_text = text_scores(self._vocabulary, gap.held_back, gap.ids, next(logits), sink_id)
                score = replace(score, as_text=as_text)
            elif self._as_text:
                score = replace(score, as_text=score.tokens)  # such a model reads on, whatever it is asked
            scores.append(score)
        return scores

    def _chains(self, gap: _PackedGap, left_ids: Sequence[int]) -> list[_Chain]:
        """Return the rows of `gap`: those of the gap itself, then those of its text as text, if asked for."""
        # Without <infill>, the last row before the gap is fed again in its place.
        before = gap.left_rows - 1
        text = _Chain([left_ids[before], *gap.ids], before, before, 0)
        if (infill_id := self._capabilities.infill_id) is None:
            return [text]
        own = _Chain([infill_id, *gap.ids], gap.left_rows, gap.left_rows, gap.right_rows)
        return [own, text] if self._as_text else [own]

    def _feed(self, cache: KVCache, chains: Sequence[_Chain]) -> Tensor:
        """Feed `chains` beside each other and return the logits [rows, V] of all of them."""
        ids = [token_id for chain in chains for token_id in chain.ids]
        position_ids = [chain.first_id + n for chain in chains for n in range(len(chain.ids))]
        see_begin = cache.right_begin if self._capabilities.adapted else cache.left_begin
        visible = torch.zeros(len(ids), cache.left_end + len(ids) - see_begin, dtype=torch.bool)
        left, own, begin = cache.left_begin - see_begin, cache.left_end - see_begin, 0
        for chain in chains:
            end = begin + len(chain.ids)
            if chain.right_rows:
                visible[begin:end, cache.right_end - chain.right_rows - see_begin : cache.right_end - see_begin] = True
            visible[begin:end, left : left + chain.left_rows] = True
            visible[begin:end, own + begin : own + end] = torch.ones(end - begin, end - begin, dtype=torch.bool).tril()
            begin = end
        fed = rows_at(cache.left_end, see_begin, ids, position_ids, visible)
        logits = self._network.forward(fed, cache, list(range(len(ids))))
        self.rows_computed += len(ids)
        assert logits is not None
        return logits


def _slices(chunks: Sequence[list[int]]) -> Iterator[list[list[int]]]:
    """Yield chunks that are pushed together, one empty list of them at least: the sink row is wanted anyway."""
    together: list[list[int]] = []
    rows = 0
    for chunk in chunks:
        if together and rows + len(chunk) > SLICE_ROWS:
            yield together
            together, rows = [], 0
        together.append(chunk)
        rows += len(chunk)
    yield together


def _go_on(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise Cancelled("the request was cancelled")
