"""A model session: one open file, its text, and the windows that follow its cursor.

A session has a full window and, while that one has much to encode (after a far
jump, or an edit far back in the prefix), a near window that answers meanwhile.
Knows strings, edits and gaps; knows no requests, limits or other files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from model.api.edits import applied, check, grown, trimmed
from model.api.types import Edit, Gap, Snippet
from model.checkpoint.config import Capabilities
from model.checkpoint.record import Checkpoint
from model.checkpoint.tokenization import ByteTokenizer
from model.errors import InputError, RangeError
from model.network.decoder import Decoder
from model.network.linear import Precision
from model.sessions.fim_prompt import FimPrompt
from model.sessions.fim_window import FimWindow
from model.sessions.geometry import FULL, NEAR, WindowLimits
from model.sessions.islands import IslandStore
from model.sessions.window import Window

IDLE_SLICE_ROWS = 64  # one slice of idle work feeds about this many rows
SHORT_IDLE_SLICE_ROWS = 16  # and of the left stack at least this many while infills are asked for
ASKED_SLICE_ROWS = 64  # and one of an infill: what is encoded stays if the infill is withdrawn
IDLE_TAIL_ROWS = 4  # so few new rows of the left stack are not worth a forward of idle work: an infill's has room
FUSED_TAIL_ROWS = 16  # so many new rows of the left stack wait for the first forward of an infill
FIM_FUSED_ROWS = 256  # and so many where a suffix may be among them, which is encoded anew with every token before it


@dataclass(frozen=True)
class SessionParts:
    """What all sessions of a model share."""

    network: Decoder
    tokenizer: ByteTokenizer
    capabilities: Capabilities
    islands: IslandStore
    full: WindowLimits = FULL
    near: WindowLimits = NEAR
    fim: FimPrompt | None = None  # where the model fills in the middle by markers

    @property
    def eoi_id(self) -> int:
        """The token that ends an infill; a model that knows none ends its text."""
        if self.fim is not None:
            return self.fim.end_ids[0]
        known = self.capabilities
        return known.sink_id if known.eoi_id is None else known.eoi_id

    @classmethod
    def of(
        cls,
        checkpoint: Checkpoint,
        precision: Precision,
        island_bytes: int,
        full: WindowLimits = FULL,
        near: WindowLimits = NEAR,
    ) -> SessionParts:
        """Return the parts for sessions of a checkpoint; `island_bytes` is what context islands may take."""
        capabilities, config = checkpoint.capabilities, checkpoint.config
        network, tokenizer = Decoder(checkpoint, precision), ByteTokenizer(checkpoint.tokenizer, config.vocab_size)
        fim = FimPrompt.of(checkpoint, tokenizer)
        if fim is not None and not fim.form.grows_at_its_end:
            # The suffix is encoded anew with every new token before it, so it is kept short.
            full = replace(full, right_rows=near.right_rows, right_min=near.right_min, right_max=near.right_max)
        full = full.within(min(capabilities.window, config.context_length))
        islands = IslandStore(network, tokenizer, capabilities, island_bytes, full.island_rows // 2)
        return cls(network, tokenizer, capabilities, islands, full, near, fim)


class Session:
    """One open file."""

    def __init__(self, parts: SessionParts, path: str, text: str) -> None:
        self._parts = parts
        self.path = path
        self.text = text
        self.readable = parts.tokenizer.readable(text)
        self._full: Window | None = None
        self._near: Window | None = None
        self._snippets: tuple[Snippet, ...] = ()
        self._gaps: tuple[Gap, ...] | None = None  # where idle work gets ready; None until somebody asked
        self._settled = True  # idle work has nothing left to do
        self._rows_dropped = 0  # rows computed by windows that are gone

    @property
    def capabilities(self) -> Capabilities:
        return self._parts.capabilities

    # -- the text ---------------------------------------------------------------------------

    def edit(self, edits: Sequence[Edit]) -> None:
        """Apply `edits` one after the other, all of them or none. Raises RangeError."""
        check(edits, len(self.text))
        text = self.text
        for asked in edits:
            edit = trimmed(asked, text)
            for window in self._windows():
                window.apply_edit(edit, len(text))
            self._gaps = _moved(self._gaps, edit)
            text = applied(text, edit)
            self.readable = applied(self.readable, replace(edit, text=self._parts.tokenizer.readable(edit.text)))
        self.text = text
        self._settled = self._gaps is None

    def rename(self, path: str) -> None:
        """Give the file another path."""
        self.path = path
        for window in self._windows():
            window.rename(path)
        self._settled = self._gaps is None

    def set_context(self, snippets: Sequence[Snippet]) -> None:
        """Show these snippets as islands, as soon as idle work has encoded them."""
        self._snippets = tuple(snippets)
        self._settled = False

    def prepare(self, gaps: Sequence[Gap]) -> None:
        """Let idle work get ready to fill `gaps`, usually the cursor. Raises RangeError."""
        check_gaps(gaps, len(self.text))
        if tuple(gaps) != self._gaps:
            self._gaps = tuple(gaps)
            self._settled = False

    # -- windows ----------------------------------------------------------------------------

    def window_at(self, gaps: Sequence[Gap], cancelled: Callable[[], bool]) -> Window:
        """Return a window that stands at `gaps`, encoded but for a short tail of the left stack.

        The full window if it is ready or nearly so, else the near one. Raises
        RangeError, InputError for gaps that do not fit in a window together,
        and Cancelled; the session stays as usable as before.
        """
        self.prepare(gaps)
        return self._standing_at(self.readable, gaps, cancelled)

    def window_on(self, text: str, gap: Gap, cancelled: Callable[[], bool]) -> Window:
        """Return a window at a gap of a text that has the gaps before it filled, and those behind it empty.

        For models that cannot fill gaps jointly and fill them one after another.
        """
        readable = self.readable if text == self.text else self._parts.tokenizer.readable(text)
        return self._standing_at(readable, (gap,), cancelled)

    def window_before(self, gap: Gap) -> Window:
        """Return a window of its own on what stands before `gap`, as a text that only goes on."""
        parts = self._parts
        window = Window(parts.network, parts.tokenizer, parts.capabilities, parts.near, self.path)
        window.retarget(self.readable, (gap,))
        window.encode()
        window.keep_a_row_pending()
        self._rows_dropped += window.rows_computed
        return window

    def _standing_at(self, text: str, gaps: Sequence[Gap], cancelled: Callable[[], bool]) -> Window:
        self._settled = False
        window = self._full = self._full or self._new_window(self._parts.full)
        self._aim(window, text, gaps)
        if window.pending_rows > (IDLE_SLICE_ROWS if self._near else self._near_rows()):
            near = self._near = self._near or self._new_window(self._parts.near)
            self._aim(near, text, gaps)
            if near.pending_rows < window.pending_rows:
                window = near
        leave_rows = FIM_FUSED_ROWS if self._parts.fim else FUSED_TAIL_ROWS
        window.encode(cancelled, slice_rows=ASKED_SLICE_ROWS, leave_rows=leave_rows)
        if not self._parts.capabilities.adapted:
            window.keep_a_row_pending()
        return window

    def idle_slice(self, rows: int = IDLE_SLICE_ROWS) -> bool:
        """Do one slice of about so many rows that make the next infill cheaper; return whether there may be more."""
        if self._settled:
            return False
        for snippet in reversed(self._shown_snippets()) if self._parts.fim is None else ():
            if self._parts.islands.get(snippet) is None:
                self._parts.islands.encode_slice(snippet, rows)
                return True
        if self._gaps is not None:
            full = self._full = self._full or self._new_window(self._parts.full)
            self._aim(full, self.readable, self._gaps)
            leave_rows = 0 if self._parts.fim else IDLE_TAIL_ROWS
            if full.pending_rows > min(leave_rows, len(full.left_tail())) or full.merge_small_chunks():
                full.encode(max_rows=rows, slice_rows=rows, leave_rows=leave_rows)
                return True
        if self._near is not None:
            self._rows_dropped += self._near.rows_computed
            self._near = None
        self._settled = True
        return False

    def evict(self) -> None:
        """Give up all cached rows. The text stays, and the next infill encodes it anew."""
        self._rows_dropped = self.rows_computed
        self._full = self._near = None
        self._settled = True

    @property
    def rows_computed(self) -> int:
        """Rows that this session's windows have fed so far, gap rows not counted."""
        return self._rows_dropped + sum(window.rows_computed for window in self._windows())

    @property
    def cached_bytes(self) -> int:
        """Bytes of memory that this session's caches take."""
        return sum(window.cache.bytes for window in self._windows())

    def _windows(self) -> list[Window]:
        return [window for window in (self._full, self._near) if window is not None]

    def _new_window(self, limits: WindowLimits) -> Window:
        parts = self._parts
        if parts.fim is not None:
            return FimWindow(parts.network, parts.tokenizer, parts.capabilities, limits, self.path, parts.fim)
        return Window(parts.network, parts.tokenizer, parts.capabilities, limits, self.path)

    def _aim(self, window: Window, text: str, gaps: Sequence[Gap]) -> None:
        try:
            self._show_context(window)
            window.retarget(text, gaps)
        except InputError:
            self._gaps = None  # idle work could do no better
            raise

    def _show_context(self, window: Window) -> None:
        shown = self._shown_snippets()
        if not isinstance(window, FimWindow):
            window.set_context([island for snippet in shown if (island := self._parts.islands.get(snippet))])
        elif window is self._full:  # the near window would have to encode them again
            window.show_files([self._fim_rows(snippet) for snippet in shown])

    def _fim_rows(self, snippet: Snippet) -> list[int]:
        assert self._parts.fim is not None
        return self._parts.fim.snippet_ids(snippet, self._parts.full.island_rows // 2)

    def _shown_snippets(self) -> list[Snippet]:
        """Return the snippets that fit in a window, the last ones first to be chosen."""
        fim = self._parts.fim
        if not (fim.shows_other_files if fim else self._parts.capabilities.adapted):
            return []
        shown: list[Snippet] = []
        room = self._parts.full.island_rows
        for snippet in reversed(self._snippets):
            rows = len(self._fim_rows(snippet)) if fim else self._parts.islands.rows(snippet)
            if rows <= room:
                shown.insert(0, snippet)
                room -= rows
        return shown

    def _near_rows(self) -> int:
        """Rows that the near window would cost at most, with a chunk to spare."""
        return self._parts.near.left_rows + self._parts.near.right_rows + IDLE_SLICE_ROWS


def check_gaps(gaps: Sequence[Gap], length: int) -> None:
    """Raise RangeError unless `gaps` are ascending, apart, and within a text of `length` characters."""
    if not gaps:
        raise RangeError("no gap was given: name at least one position or range")
    end = 0
    for index, gap in enumerate(gaps):
        if gap.start > gap.end:
            raise RangeError(f"range [{gap.start}, {gap.end}) is reversed")
        if gap.start < 0 or gap.end > length:
            raise RangeError(f"range [{gap.start}, {gap.end}) lies outside the text of {length} characters")
        if index and gap.start <= end:
            raise RangeError(f"ranges overlap, touch or are out of order at character {gap.start}")
        end = gap.end


def _moved(gaps: tuple[Gap, ...] | None, edit: Edit) -> tuple[Gap, ...] | None:
    """Return where idle work should get ready after `edit`: behind what was typed."""
    if gaps is None:
        return None
    if len(gaps) > 1:
        gaps = gaps[:1]
    start = gaps[0].start
    if start >= edit.end:
        start += grown(edit)
    elif start > edit.start:
        start = edit.start + len(edit.text)
    return (Gap(start, start),)
