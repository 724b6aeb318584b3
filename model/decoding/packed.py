"""Likelihood of many gaps of one file at once, on one encoding of the file.

The text is encoded once as left stack and once as right stack whose chunks end
at every gap; each gap sees the left rows before it and the right chunks behind
it (docs/design.md, section 7 packs training examples the same way). This equals scoring
each gap by itself between the same seams.

The left stack grows from gap to gap, so that rows of gaps have no slots beside
them that they cannot see; and where a gap's text is the file's own, the left stack's
rows are those that say how it reads as text.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

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

    @property
    def text_rows(self) -> range:
        """Which left rows predict the gap's tokens as text, if the file's own tokens are these."""
        return range(self.left_rows - 1, self.left_rows - 1 + len(self.ids))

    def stands_in(self, left_ids: Sequence[int]) -> bool:
        """Whether the left rows that predict the gap's tokens hold these tokens: all but the last, which none needs."""
        return list(left_ids[self.left_rows : self.text_rows.stop]) == self.ids[:-1]


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
        known = self._capabilities = parts.capabilities
        self._as_text = as_text or not known.adapted  # such a model reads on, whatever it is asked
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
        left = encode(self._tokenizer, text[begin : gaps[-1].end])
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
        room = len(left_ids) + SLICE_ROWS + 2 * max(len(gap.ids) + 1 for gap in present.values())
        cache = self._network.new_cache(sum(map(len, chunks)) + 1, room)
        self._push_right(cache, chunks, cancelled)
        scores: dict[int, GapScore] = {}
        for indices in _batches({index: len(gap.ids) + 1 for index, gap in present.items()}):
            batch = [present[index] for index in indices]
            scores.update(zip(indices, self._score_batch(cache, batch, left_ids, cancelled), strict=True))
        self.rows_computed += cache.rows
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

    def _push_right(self, cache: KVCache, chunks: Sequence[list[int]], cancelled: Callable[[], bool]) -> None:
        for together in _slices(chunks) if self._capabilities.adapted else []:
            _go_on(cancelled)
            push_right(self._network, cache, together, self._capabilities.sink_id)

    def _push_left(
        self, cache: KVCache, ids: Sequence[int], wanted: Sequence[int], cancelled: Callable[[], bool]
    ) -> dict[int, Tensor]:
        """Push `ids` on the left stack, and return the logits [V] of those of its rows that are `wanted`, by row."""
        logits: dict[int, Tensor] = {}
        for begin, end in _even_slices(len(ids)):
            _go_on(cancelled)
            first = cache.left_rows
            rows = [row for row in wanted if first <= row < first + end - begin]
            found = push_left(self._network, cache, ids[begin:end], [row - first for row in rows] or None)
            if found is not None:
                logits.update(zip(rows, found, strict=True))
        return logits

    def _score_batch(
        self, cache: KVCache, batch: Sequence[_PackedGap], left_ids: Sequence[int], cancelled: Callable[[], bool]
    ) -> list[GapScore]:
        """Return the scores of `batch`: what stands before its gaps is pushed, then all their rows are fed in one."""
        pushed = cache.left_rows
        read = [self._as_text and gap.text_rows.start >= pushed and gap.stands_in(left_ids) for gap in batch]
        wanted = {row for gap, is_read in zip(batch, read, strict=True) if is_read for row in gap.text_rows}
        needed = max(pushed, *(gap.left_rows for gap in batch), *(row + 1 for row in wanted))
        text_logits = self._push_left(cache, left_ids[pushed:needed], sorted(wanted), cancelled)
        chains = [
            chain for gap, is_read in zip(batch, read, strict=True) for chain in self._chains(gap, left_ids, is_read)
        ]
        _go_on(cancelled)
        fed = iter(self._feed(cache, chains))
        scores = []
        for gap, is_read in zip(batch, read, strict=True):
            own = next(fed) if self._capabilities.adapted else None
            text = None
            if self._as_text:
                text = torch.stack([text_logits[row] for row in gap.text_rows]) if is_read else next(fed)
            scores.append(self._gap_score(gap, own, text))
        return scores

    def _gap_score(self, gap: _PackedGap, own: Tensor | None, text: Tensor | None) -> GapScore:
        """Return the score of a gap from logits: of its own rows, if the model has such, and as text, if asked for."""
        if own is None:
            assert text is not None
            score = clean_score(self._vocabulary, gap.held_back, gap.ids, text, stops=False)
            return replace(score, as_text=score.tokens)
        score = clean_score(self._vocabulary, gap.held_back, gap.ids, own, stops=True)
        if text is None:
            return score
        as_text = text_scores(self._vocabulary, gap.held_back, gap.ids, text, self._capabilities.sink_id)
        return replace(score, as_text=as_text)

    def _chains(self, gap: _PackedGap, left_ids: Sequence[int], is_read: bool) -> Iterator[_Chain]:
        """Yield the rows of `gap`: those of the gap itself, then those of its text as text, if left rows are not."""
        if (infill_id := self._capabilities.infill_id) is not None:
            yield _Chain([infill_id, *gap.ids], gap.left_rows, gap.left_rows, gap.right_rows)
        if self._as_text and not is_read:
            before = gap.left_rows - 1  # this row is fed again
            yield _Chain([left_ids[before], *gap.ids[:-1]], before, before, 0)

    def _feed(self, cache: KVCache, chains: Sequence[_Chain]) -> list[Tensor]:
        """Feed `chains` beside each other and return the logits [rows, V] of each."""
        if not chains:
            return []
        ids = [token_id for chain in chains for token_id in chain.ids]
        position_ids = [chain.first_id + n for chain in chains for n in range(len(chain.ids))]
        right_rows = max(chain.right_rows for chain in chains)
        see_begin = cache.right_end - right_rows if right_rows else cache.left_begin
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
        return list(logits.split([len(chain.ids) for chain in chains]))


def _batches(rows: Mapping[int, int]) -> Iterator[list[int]]:
    """Yield the keys of `rows` in parts that have `SLICE_ROWS` rows, or as few more as can be."""
    batch: list[int] = []
    for key in rows:
        batch.append(key)
        if sum(rows[each] for each in batch) >= SLICE_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


def _even_slices(rows: int) -> Iterator[tuple[int, int]]:
    """Yield where slices of `rows` rows begin and end, all about as long and none longer than `SLICE_ROWS`."""
    count = -(-rows // SLICE_ROWS)
    if count:
        yield from pairwise(rows * number // count for number in range(count + 1))


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
