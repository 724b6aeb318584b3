"""One window onto a text: the KV gap buffer of docs/design.md, section 2, kept in step with text and gaps.

    context islands           right stack        left stack   gap (middle island gap ...)
    ..., -right_ids - 1       <- ..., -2, -1     0, 1, 2 ...  free ids

The right stack has ids below the left's, though its text stands behind the gap:
whoever was trained left to right has never seen a row with a higher id than its
own, and attends to it out of proportion (docs/experiments.md has the figures).

A window is told where it should stand (`retarget`: no forward, only popping)
and then brought there (`encode`: forwards, in slices, at any time). Both work
by content: whatever rows still spell the wanted text are kept, so no edit needs
a case of its own. Knows strings, tokens and rows; knows no files or requests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from model.api.edits import grown
from model.api.types import Edit, Gap
from model.checkpoint.config import Capabilities
from model.checkpoint.tokenization import ByteTokenizer
from model.errors import Cancelled, InputError
from model.network.decoder import Decoder, rows_at
from model.network.kv_cache import KVCache
from model.sessions.geometry import WindowLimits
from model.sessions.islands import EncodedIsland
from model.sessions.seams import (
    EMPTY,
    Chunk,
    Encoded,
    Layout,
    common_prefix,
    encode,
    encode_chunks,
    header_ids,
    lay_out,
    re_encode,
)
from model.sessions.stacks import push_left, push_right

GAP_SLOTS = 512  # slots above the left stack for the rows of gaps, to begin with
_CHARS_PER_TOKEN = 8  # more than code has: so many characters hold enough tokens, and else count as enough


class Window:
    """The left stack, right stack and islands around one or several gaps of a text."""

    def __init__(
        self,
        network: Decoder,
        tokenizer: ByteTokenizer,
        capabilities: Capabilities,
        limits: WindowLimits,
        path: str,
    ) -> None:
        self.network, self.tokenizer, self.capabilities = network, tokenizer, capabilities
        self.context_rows = min(capabilities.window, network.config.context_length)
        self.limits = limits.within(self.context_rows)
        self.geometry = self.limits.geometry
        self.cache: KVCache = network.new_cache(
            right_slots=self.limits.right_max + self.limits.chunk_rows,  # grows when there are islands
            left_slots=self.limits.left_max + GAP_SLOTS,
        )
        self.rows_computed = 0
        self.begin_char = self.end_char = 0  # the part of the text that the stacks are to spell
        self.ends_text = False  # where that part ends
        self.header_ids: list[int] = []
        self.rename(path)
        self.left: Encoded = EMPTY  # wanted; `cache.left_rows` of header and left are encoded
        self.right: list[Chunk] = []  # wanted, the farthest chunk first
        self._right_encoded = 0  # chunks
        self.middles: list[list[Chunk]] = []  # wanted: between gap i and gap i+1, one island or two
        self._middle_slots = 0  # opened for the islands between gaps: none, or as many as they have rows
        self._middle_rows_fed = 0
        self._middles_first_id = 0  # the first gap's position id that the islands' own were counted from
        self.context: tuple[EncodedIsland, ...] = ()
        self.layout = Layout(0, [""], [""], [], [(0, 0)])  # of the text around the target
        self._has_target = False

    def rename(self, path: str) -> None:
        """Name the file in the header; of a long path, the end. Everything on the left is encoded anew."""
        known = self.capabilities
        header = header_ids(self.tokenizer, known.sink_id, known.filename_id, path, self.geometry.path_tokens)
        if header != self.header_ids:
            self.header_ids = header
            self.cache.pop_left(self.cache.left_rows)

    # -- what is wanted ---------------------------------------------------------------------

    def apply_edit(self, edit: Edit, old_length: int) -> None:
        """Move the window's ends with an edit of a text of `old_length` characters."""
        delta = grown(edit)
        if edit.start >= self.end_char < old_length:
            return  # behind a window that ends before the text does
        if self.begin_char and edit.end <= self.begin_char:
            self.begin_char += delta
            self.end_char += delta
            return
        self.begin_char = min(self.begin_char, edit.start)
        self.end_char = max(self.end_char, edit.end) + delta

    def retarget(self, text: str, gaps: Sequence[Gap]) -> None:
        """Make `gaps` of `text` the place to stand at. Pops rows that do not fit; feeds none.

        `text` must be `readable`. `gaps` are ascending and do not overlap.
        """
        layout = self.layout = lay_out(self.tokenizer, text, [(gap.start, gap.end) for gap in gaps])
        self._retarget_left(text, layout.cut)
        middles = [self._middle_chunks(between) for between in layout.middles]
        if middles != self.middles:
            self._drop_middles()
            self.middles = middles
        self._shift_middles()
        if self.capabilities.adapted:
            self._retarget_right(text, layout.end)
        if self.gap_free_ids(len(self.middles)) < self.limits.joint_gap_ids:
            raise InputError("these gaps and the text between them do not fit in the model's window: ask for fewer")
        self._has_target = True

    def _retarget_left(self, text: str, cut: int) -> None:
        wanted = self._wanted_left(text, cut)
        same = len(self.header_ids) + common_prefix(self.left.ids, wanted.ids)
        self.cache.pop_left(max(0, self.cache.left_rows - same))
        self.left = wanted

    def _wanted_left(self, text: str, cut: int) -> Encoded:
        """Return the text before `cut` that is to be shown: it begins where it did, as long as enough and not too much.

        Otherwise `begin_char` is chosen anew.
        """
        wanted = None
        if self._has_target and self.begin_char <= cut <= self.begin_char + self.limits.left_max * _CHARS_PER_TOKEN:
            wanted = re_encode(self.tokenizer, self.left, text[self.begin_char : cut])
            rows = len(self.header_ids) + len(wanted.ids)
            few = rows < self.limits.left_min and cut - self.begin_char < self.limits.left_min * _CHARS_PER_TOKEN
            if rows > self.limits.left_max or (self.begin_char and few):
                wanted = None
        if wanted is None:
            self.begin_char = self._choose_begin(text, cut)
            wanted = encode(self.tokenizer, text[self.begin_char : cut])
        return wanted

    def _choose_begin(self, text: str, cut: int) -> int:
        """Return where a left stack of about `left_rows` rows begins: at a line, if one begins near there."""
        rows = self.limits.left_rows - len(self.header_ids)
        begin = max(0, cut - rows * _CHARS_PER_TOKEN)
        encoded = encode(self.tokenizer, text[begin:cut])
        first_tok = max(0, len(encoded.ids) - rows)
        if not begin and not first_tok:
            return 0
        near = begin + encoded.starts[first_tok + (len(encoded.ids) - first_tok) // 4]
        begin += encoded.starts[first_tok]
        newline = text.find("\n", begin, near)
        return newline + 1 if newline >= 0 else begin

    def _retarget_right(self, text: str, gap_end: int) -> None:
        chunks = self._kept_chunks(text, gap_end)
        if chunks is None:
            self.end_char = self._choose_end(text, gap_end)
            chunks = self._chunks(text[gap_end : self.end_char])
        self.ends_text = self.end_char == len(text)
        self._pop_chunks(common_prefix(self.right, chunks))
        self.right = chunks

    def _pop_chunks(self, kept: int) -> None:
        """Drop the rows of all chunks but the farthest `kept`."""
        if kept < self._right_encoded:
            self._right_encoded = kept
            self.cache.pop_right(self.cache.right_rows - _right_rows(self.right[:kept]))

    def _kept_chunks(self, text: str, gap_end: int) -> list[Chunk] | None:
        """Return the chunks for text[gap_end:end_char], those of now as far as they fit; None to build anew."""
        if not self._may_keep_end(text, gap_end):
            return None
        rest, kept = text[gap_end : self.end_char], 0
        for chunk in self.right:
            if not rest.endswith(chunk.text):
                break
            rest, kept = rest[: len(rest) - len(chunk.text)], kept + 1
        chunks = self.right[:kept] + self._chunks(rest)
        return chunks if self._is_enough_behind(_right_rows(chunks), text, gap_end) else None

    def _is_enough_behind(self, rows: int, text: str, gap_end: int) -> bool:
        """Whether text[gap_end:end_char], of so many rows, is neither too much nor too little."""
        few = rows < self.limits.right_min and self.end_char - gap_end < self.limits.right_min * _CHARS_PER_TOKEN
        return rows <= self.limits.right_max and not (self.end_char < len(text) and few)

    def _may_keep_end(self, text: str, gap_end: int) -> bool:
        """Whether the text shown behind `gap_end` may still end where it did."""
        farthest = gap_end + self.limits.right_max * _CHARS_PER_TOKEN
        return self._has_target and gap_end <= self.end_char <= min(len(text), farthest)

    def _chunks(self, text: str) -> list[Chunk]:
        return encode_chunks(self.tokenizer, text, self.geometry.chunk_tokens)

    def _choose_end(self, text: str, gap_end: int) -> int:
        """Return where a right stack of about `right_rows` rows ends: before a line break, if there is one near."""
        rows = self.limits.right_rows - 1
        end = min(len(text), gap_end + rows * _CHARS_PER_TOKEN)
        encoded = encode(self.tokenizer, text[gap_end:end])
        last_tok = min(rows, len(encoded.ids))
        if last_tok < len(encoded.ids):
            end = gap_end + encoded.starts[last_tok]
        if end in (gap_end, len(text)):
            return end
        newline = text.rfind("\n", gap_end + encoded.starts[last_tok * 3 // 4], end)
        if newline > gap_end:
            end = newline
        inside_crlf = text[end - 1 : end + 1] == "\r\n" and end - 1 > gap_end
        return end - inside_crlf

    def _middle_chunks(self, between: str) -> list[Chunk]:
        """Return the islands for the text between two gaps: all of it, or its two ends when it is long."""
        half = max(1, self.limits.middle_rows // 2)
        chars = half * _CHARS_PER_TOKEN
        pieces = [between] if between else []
        if len(between) > 2 * chars or len(self.tokenizer.encode(between)) > 2 * half:
            first, last = encode(self.tokenizer, between[:chars]), encode(self.tokenizer, between[-chars:])
            first_end = first.starts[half] if len(first.ids) > half else len(first.text)
            last_begin = last.starts[-half] if len(last.ids) > half else 0
            pieces = [first.text[:first_end], last.text[last_begin:]]
        return [Chunk(piece, self.tokenizer.encode(piece)) for piece in pieces]

    # -- where gaps stand -------------------------------------------------------------------

    @property
    def left_ids(self) -> list[int]:
        return self.header_ids + self.left.ids

    def gap_first_id(self, index: int) -> int:
        """Return the position id at which gap `index` begins."""
        middle_rows = [sum(1 + len(chunk.ids) for chunk in chunks) for chunks in self.middles[:index]]
        return self.geometry.gap_first_ids(len(self.left_ids), middle_rows)[index]

    def gap_free_ids(self, index: int) -> int:
        """Return how many position ids gap `index` has."""
        if index < len(self.middles):
            return self.limits.joint_gap_ids
        above = self.context_rows - self.limits.right_ids - self.limits.island_rows
        return min(self.limits.gap_ids, above - self.gap_first_id(index))

    # -- getting there ----------------------------------------------------------------------

    @property
    def pending_rows(self) -> int:
        """Rows that `encode` has yet to feed."""
        rows = len(self.left_ids) - self.cache.left_rows
        if self.capabilities.adapted:
            rows += _right_rows(self.right) - self.cache.right_rows
            rows += self._middle_rows() - self._middle_rows_fed
        return rows

    @property
    def rows(self) -> int:
        """Committed rows, islands included."""
        return self.cache.rows

    def encode(
        self,
        cancelled: Callable[[], bool] = lambda: False,
        max_rows: int | None = None,
        slice_rows: int = 256,
        leave_rows: int = 0,
    ) -> None:
        """Feed pending rows until `max_rows` were fed or at most `leave_rows` of the left stack are left.

        Raises Cancelled before a slice; what was encoded stays. A chunk of the
        right stack is a slice by itself and never cut.
        """
        begin = self.rows_computed
        while slice_ := self._next_slice(slice_rows, leave_rows):
            rows, feed = slice_
            if max_rows is not None and self.rows_computed > begin and self.rows_computed - begin + rows > max_rows:
                return
            if cancelled():
                raise Cancelled("the request was cancelled while the file was being encoded")
            pending = self.pending_rows
            feed()
            self.rows_computed += pending - self.pending_rows

    def _next_slice(self, slice_rows: int, leave_rows: int) -> tuple[int, Callable[[], object]] | None:
        """Return how many rows come next, and what feeds them: islands first, then the right stack, then the left."""
        if rows := self._middle_rows() - self._middle_rows_fed:
            return min(rows, slice_rows), lambda: self._push_middle(slice_rows)
        if self.capabilities.adapted and not (self.cache.right_rows and self._right_encoded == len(self.right)):
            chunk_rows = len(self.right[self._right_encoded].ids) if self.right else 0
            return chunk_rows + (not self.cache.right_rows), self._push_chunk
        rows = len(self.left_ids) - self.cache.left_rows
        if rows > leave_rows:
            pushed = self.left_tail()[:slice_rows]
            return len(pushed), lambda: push_left(self.network, self.cache, pushed)
        return None

    def left_tail(self) -> list[int]:
        """Return the ids of the left stack that are not encoded yet."""
        return self.left_ids[self.cache.left_rows :]

    def keep_a_row_pending(self) -> None:
        """Let the last row of the left stack be fed once more, if none is left to be: its logits say what follows."""
        if not self.left_tail():
            self.cache.pop_left(1)

    def feed(
        self,
        token_ids: Sequence[int],
        position_ids: Sequence[int],
        seen: Tensor,
        kept: int,
        logits_at: Sequence[int],
        sees_behind: Tensor | None = None,
    ) -> Tensor:
        """Feed rows that stand above the left stack, behind `kept` others, and return the logits [n, V] of some.

        What is not encoded yet of the left stack goes along. All rows see that
        stack; `seen` [R, N] bool says which of the N slots above it each sees,
        `sees_behind` [R] bool whether it sees the right stack and islands (None:
        all do). `logits_at` are indices of rows; -1 is the left stack's last.
        """
        cache, tail = self.cache, self.left_tail()
        assert tail or token_ids, "there is nothing to feed"
        assert not (tail and kept), "the left stack cannot grow under rows that are kept"
        cache.reserve_left(cache.left_rows + len(tail) + seen.shape[1])
        slot = cache.left_end + kept
        see_begin = cache.right_begin if self.capabilities.adapted else cache.left_begin
        ids = [*range(cache.left_rows, cache.left_rows + len(tail)), *position_ids]
        visible = self._visible(len(tail), cache.left_begin - see_begin, kept, seen, sees_behind)
        rows = rows_at(slot, see_begin, [*tail, *token_ids], ids, visible)
        logits = self.network.forward(rows, cache, [len(tail) + index for index in logits_at])
        assert logits is not None
        cache.push_left(len(tail))
        return logits

    def _visible(self, tail: int, behind: int, kept: int, seen: Tensor, sees_behind: Tensor | None) -> Tensor | None:
        """Return who sees what, [tail + R, slots that any sees] bool, or None if each row sees all before it.

        `behind` of the slots lie below the left stack.
        """
        one_sees_all = len(seen) <= 1 and seen.shape[1] == kept + len(seen) and bool(seen.all())
        if one_sees_all and sees_behind is None and not (tail and behind):
            return None
        before = behind + self.cache.left_rows
        visible = torch.ones(tail + len(seen), before + tail + seen.shape[1], dtype=torch.bool)
        visible[:tail, :behind] = False
        visible[:tail, before:] = torch.ones(tail, tail + seen.shape[1], dtype=torch.bool).tril()
        visible[tail:, before + tail :] = seen
        if sees_behind is not None:
            visible[tail:, :behind] = sees_behind[:, None]
        return visible

    def _push_chunk(self) -> None:
        chunk = self.right[self._right_encoded].ids if self.right else []
        push_right(self.network, self.cache, [chunk], self.capabilities.sink_id)
        self._right_encoded += bool(self.right)

    def _push_middle(self, slice_rows: int) -> None:
        """Encode the next rows of the islands between gaps, which stand nearest to the left stack."""
        if not self._middle_slots:
            self._middle_slots = self._middle_rows()
            self.cache.insert_islands(self._middle_slots)
            self._middles_first_id = self.gap_first_id(0)
        before, ids, first_id = self._middle_island(self._middle_rows_fed)
        fed = self._middle_rows_fed - before
        pushed = ids[fed : fed + slice_rows]
        see_begin = self.cache.left_begin - self._middle_slots + before
        slot = see_begin + fed
        first_id += fed
        self.network.forward(rows_at(slot, see_begin, pushed, range(first_id, first_id + len(pushed))), self.cache)
        self._middle_rows_fed += len(pushed)

    def _middle_island(self, row: int) -> tuple[int, list[int], int]:
        """Return the island between gaps that holds row `row` of them all: rows before it, ids, first position id."""
        before = 0
        for index, chunks in enumerate(self.middles):
            first_id = self.gap_first_id(index) + self.limits.joint_gap_ids
            for chunk in chunks:
                rows = 1 + len(chunk.ids)
                if row < before + rows:
                    return before, [self.capabilities.sink_id, *chunk.ids], first_id
                before, first_id = before + rows, first_id + rows
        raise IndexError(f"the islands between gaps have {before} rows, not {row + 1}")

    def _middle_rows(self) -> int:
        return sum(1 + len(chunk.ids) for chunks in self.middles for chunk in chunks)

    def _shift_middles(self) -> None:
        """Move the islands between gaps along with the end of the left stack."""
        by = self.gap_first_id(0) - self._middles_first_id
        if by and self._middle_rows_fed:
            begin = self.cache.left_begin - self._middle_slots
            self.cache.shift(begin, begin + self._middle_rows_fed, by, self.network.rope)
        self._middles_first_id += by

    def _drop_middles(self) -> None:
        self.cache.remove_islands(self._middle_slots)
        self._middle_slots = self._middle_rows_fed = 0

    def merge_small_chunks(self) -> bool:
        """Replace the small chunks nearest the cursor by one, where they fit in one; return whether there were any.

        Small cursor moves leave small chunks, which see less of their own line
        than they could. The merged chunk is pending until the next `encode`.
        """
        kept, text, tokens = len(self.right), "", 0
        while kept and tokens + len(self.right[kept - 1].ids) <= self.limits.chunk_rows:
            kept -= 1
            text, tokens = text + self.right[kept].text, tokens + len(self.right[kept].ids)
        if len(self.right) - kept < 2:
            return False
        self._pop_chunks(kept)
        self.right = [*self.right[:kept], Chunk(text, self.tokenizer.encode(text))]
        return True

    def set_context(self, islands: Sequence[EncodedIsland]) -> None:
        """Show gaps these islands and no others, as far as they fit, the last with the highest ids. Feeds no rows."""
        fitting: list[EncodedIsland] = []
        for island in reversed(islands):
            if sum(other.rows for other in fitting) + island.rows <= self.limits.island_rows:
                fitting.insert(0, island)
        if tuple(fitting) == self.context:
            return
        self._drop_middles()
        self.cache.remove_islands(self.cache.island_rows)
        self.context = tuple(fitting)
        total = sum(island.rows for island in fitting)
        slot = self.cache.insert_islands(total)
        first_id = -self.limits.right_ids - total
        for island in fitting:
            island.copy_to(self.cache, slot, first_id, self.network.rope)
            slot, first_id = slot + island.rows, first_id + island.rows


def _right_rows(chunks: Sequence[Chunk]) -> int:
    """Return the rows of a right stack of these chunks, its sink row included."""
    return 1 + sum(len(chunk.ids) for chunk in chunks)
