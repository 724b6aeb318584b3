"""From windows of documents to packed rows (docs/design.md, section 7: many gaps on one encoding).

A window's text is encoded once as left island and once as chunked right island,
whose position ids lie below the left's; gaps hang on both. Cuts and tokens are those of sessions
(`sessions.seams`): the left of a gap is canonical up to the cut, so where a gap
cuts a pre-token the few tokens that differ from the shared left island become
rows of the gap's own.

A unit is a pure function of its windows and a seed: no state to save.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from model.checkpoint.tokenization import ByteTokenizer
from model.sessions.geometry import RIGHT_LAST_ID
from model.sessions.seams import (
    Encoded,
    chunks_between,
    common_prefix,
    encode,
    header_ids,
    lay_out,
    re_encode,
    rows_seen_from,
)
from model.training.config import ExampleConfig
from model.training.orders import GapTokens, SpecialIds, group_rows
from model.training.rows import ALWAYS, NO_TARGET, GapTable, PackedRows, RowWriter
from model.training.spans import SpanSource, draw_joint_spans, draw_span, walk_bounds


@dataclass(frozen=True)
class WindowText:
    """A stretch of a document, with snippets of other files: what one encoding is made of.

    `nodes` are syntax nodes [(begin, end)] in string indices, ascending.
    """

    path: str
    text: str
    at_start: bool  # the document begins where the text does
    at_end: bool
    nodes: Sequence[tuple[int, int]] = ()
    snippets: Sequence[tuple[str, str]] = ()  # (path, text)


@dataclass(frozen=True)
class Group:
    """Gaps that are filled jointly; most groups have one."""

    left_ids: list[int]  # the left island up to the first gap's cut
    held_back: list[str]
    middles: list[list[int]]  # tokens of the island after each gap but the last, its sink included
    gap_ids: list[list[int]]  # tokens of held-back piece and gap, then <eoi>
    spans: Sequence[tuple[int, int]]  # string indices [begin, end); an `end` may lie on a break before `begin`

    @property
    def end(self) -> int:
        """The string index at which the right island begins."""
        return self.spans[-1][1]

    @property
    def rows_at_least(self) -> int:
        """Rows that any order takes, about: a clean and a mask row for every token, and some past the end."""
        return sum(2 * len(ids) + 7 for ids in self.gap_ids) + sum(len(ids) for ids in self.middles)


@dataclass
class ExampleBuilder:
    """Builds units for one tokenizer."""

    tokenizer: ByteTokenizer
    special: SpecialIds
    config: ExampleConfig

    def unit(self, windows: Sequence[WindowText], rng: np.random.Generator) -> PackedRows:
        """Return one unit with `windows`, the room left by each going to the next, and gaps in all that is left."""
        writer = RowWriter(self.config.unit_rows)
        weights = [len(window.text) for window in windows]
        for index, window in enumerate(windows):
            share = weights[index] / max(1, sum(weights[index:]))
            WindowRows(self, window, rng, int(writer.room * share)).write(writer)
        return writer.finish(self.special.sink)

    def header(self, path: str, path_tokens: int | None = None) -> list[int]:
        """Return the sink row and, with a path, the line that names the file: of a long path, the end."""
        return header_ids(self.tokenizer, self.special.sink, self.special.filename, path, path_tokens)

    def group(self, left: Encoded, spans: Sequence[tuple[int, int]], header: Sequence[int]) -> Group:
        """Return the group of gaps at `spans` of the text with the canonical tokens `left`, cut as a session does."""
        text, tokenizer = left.text, self.tokenizer
        layout = lay_out(tokenizer, text, spans)
        middles = [[self.special.sink, *tokenizer.encode(spelled)] if spelled else [] for spelled in layout.middles]
        gap_ids = [
            [*layout.gap_ids(tokenizer, index, text[begin:end]), self.special.eoi]
            for index, (begin, end) in enumerate(spans)
        ]
        left_ids = [*header, *re_encode(tokenizer, left, text[: layout.cut]).ids]
        return Group(left_ids, layout.held_back, middles, gap_ids, layout.spans)


class WindowRows:
    """One window on its way into a unit: gaps first, then the islands they need, then all rows."""

    def __init__(self, builder: ExampleBuilder, window: WindowText, rng: np.random.Generator, room: int) -> None:
        self.builder, self.window, self.config, self.rng = builder, window, builder.config, rng
        self.room = room
        self.left = encode(builder.tokenizer, window.text)
        self.header = builder.header(
            "" if rng.random() < self.config.drop_filename else window.path, self.config.geometry.path_tokens
        )
        self.islands = [[*builder.header(path), *builder.tokenizer.encode(text)] for path, text in window.snippets]
        self.joint = bool(rng.random() < self.config.joint_window_share)
        self.groups: list[Group] = []
        self.bounds = {0, len(window.text)}  # of right chunks, in string indices
        self._draw_groups()

    def _draw_groups(self) -> None:
        """Draw gaps until the room is taken, reckoning with an extra token at every chunk bound."""
        source = self._source()
        if source is None:
            return
        gap_rows, left_end, right_begin = 0, 0, len(self.left.ids)  # the last two in tokens: what gaps see so far
        always = len(self.header) + 1 + sum(len(ids) for ids in self.islands)
        while True:
            if self.joint and self.rng.random() < self.config.joint_share:
                spans = draw_joint_spans(source, self.config, self.rng)
            else:
                spans = [draw_span(source, self.config, self.rng)]
            group = self.builder.group(self.left, spans, self.header)
            if any(len(ids) > self._longest(group) for ids in group.gap_ids):
                gap_rows += 1  # moved to the end of a very long line; counted, so that this ends
                continue
            bounds = {group.end}
            if self.rng.random() < self.config.walk_share:
                bounds.update(walk_bounds(self.window.text, group.end, self.config, self.rng))
            gap_rows += group.rows_at_least + len(bounds)
            left_end = max(left_end, len(group.left_ids))
            right_begin = min(right_begin, source.token_at(group.end))
            if always + left_end + len(self.left.ids) - right_begin + gap_rows > self.room:
                return
            self.groups.append(group)
            self.bounds |= bounds

    def _longest(self, group: Group) -> int:
        """Return how many tokens a gap of `group` may have; the engine leaves only so many ids to joint gaps."""
        return self.config.span_max + 40 if len(group.gap_ids) == 1 else self.config.joint_free_ids - 40

    def _source(self) -> SpanSource | None:
        tokens, config = len(self.left.ids), self.config
        first = 0 if self.window.at_start else min(config.left_min, tokens // 3)
        last = tokens if self.window.at_end else max(first, tokens - config.right_min)
        source = SpanSource(self.left, self.window.nodes, first, last)
        # Several tokens may spell one character: there must be something to choose in both.
        return source if last - first > 1 and source.char_of(last) - source.char_of(first) > 1 else None

    def write(self, writer: RowWriter) -> None:
        """Add all rows of the window to `writer`; groups that turn out too large for the room are left out."""
        if not self.groups or self._island_rows() > writer.room:
            return
        limit = writer.count + self.room
        context = self._write_islands(writer)
        right_begin, right_rows_from = self._write_right(writer)
        left_begin, left_ids = self._write_left(writer)
        for group in self.groups:
            tail_begin = common_prefix(left_ids, group.left_ids)
            table, middle_ids = self._group_table(group)
            extra = len(group.left_ids) - tail_begin + sum(len(ids) for ids in group.middles)
            if writer.count + extra + len(table) > limit:
                continue
            group_begin = writer.count
            left = (left_begin, left_begin + tail_begin)
            if tail := group.left_ids[tail_begin:]:
                writer.chain(tail, tail_begin, sees=left, key=ALWAYS)
            for ids, first_id in zip(group.middles, middle_ids, strict=True):
                writer.chain(ids, first_id, self.sampled_targets(ids), key=ALWAYS)
            right_end = right_begin + right_rows_from[group.end]
            writer.gap_rows(table, (context, right_end, *left), group_begin)

    def _group_table(self, group: Group) -> tuple[GapTable, list[int]]:
        """Return the group's gap rows, and the position id at which each island between its gaps begins."""
        geometry = self.config.geometry
        first_ids = geometry.gap_first_ids(len(group.left_ids), [len(ids) for ids in group.middles])
        gaps = [GapTokens(first_id, ids) for first_id, ids in zip(first_ids, group.gap_ids, strict=True)]
        middle_ids = [first_id + geometry.joint_gap_ids for first_id in first_ids[:-1]]
        return group_rows(gaps, self.builder.special, self.config, self.rng), middle_ids

    @cached_property
    def _chunks(self) -> list[tuple[int, list[int]]]:
        """The right chunks, as of `chunks_between`."""
        nearest = min(group.end for group in self.groups)
        bounds = (bound for bound in self.bounds if bound >= nearest)
        chunk_tokens = self.config.geometry.chunk_tokens
        return chunks_between(self.builder.tokenizer, self.window.text, bounds, chunk_tokens)

    @cached_property
    def _right_rows(self) -> dict[int, int]:
        """For every chunk bound, the rows of the right island from there on, its sink row included."""
        return rows_seen_from(self._chunks, len(self.window.text))

    def _island_rows(self) -> int:
        """Return the rows of all islands but those between gaps: chunks may have more tokens than was reckoned with."""
        left = max(len(group.left_ids) for group in self.groups)
        return sum(map(len, self.islands)) + max(self._right_rows.values()) + left

    def _write_right(self, writer: RowWriter) -> tuple[int, dict[int, int]]:
        """Write the sink row and the chunks at the ids below its own; return the sink's row and `_right_rows`."""
        last_id = RIGHT_LAST_ID
        begin = writer.chain([self.builder.special.sink], last_id)
        for _, ids in self._chunks:
            last_id -= len(ids)
            writer.chain(ids, last_id, self.sampled_targets(ids), begin=begin)
        return begin, self._right_rows

    def _write_left(self, writer: RowWriter) -> tuple[int, list[int]]:
        """Write the left island as far as any gap sees it; return its first row and its tokens."""
        ids = [*self.header, *self.left.ids]
        ids = ids[: max(common_prefix(ids, group.left_ids) for group in self.groups)]
        return writer.chain(ids, 0, self.sampled_targets(ids)), ids

    def _write_islands(self, writer: RowWriter) -> int:
        """Write the context islands, with ids below those kept for the right one; return the first one's first row.

        The right island of a long window has more rows than a session ever gives it.
        """
        begin = writer.count
        kept = max(self.config.geometry.right_ids, *self._right_rows.values())
        first_id = -kept - sum(len(ids) for ids in self.islands)
        for ids in self.islands:
            writer.chain(ids, first_id, self.sampled_targets(ids))
            first_id += len(ids)
        return begin

    def sampled_targets(self, ids: Sequence[int]) -> np.ndarray:
        """Return the next-token targets of an island's rows, a random share of them; its last row has none."""
        targets = np.full(len(ids), NO_TARGET, np.int32)
        targets[:-1] = ids[1:]
        dropped = self.rng.random(len(ids)) >= self.config.island_target_share
        return np.where(dropped, NO_TARGET, targets)
