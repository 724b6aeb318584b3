"""A text and its syntax tree, kept in step while the text is edited.

This module knows parsing, time limits and threads. It does not know what a tree is asked. `SyntaxSnapshot` is an
immutable pair of a text and the best tree there is for it; `SyntaxDocument` owns the newest snapshot of one file.

A short parse happens inside `edit`. A longer one goes on in a background thread, and meanwhile the last good tree,
shifted by the edits made since, answers. A file that is too large, too deep or too slow has no tree at all.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property, partial
from typing import Any, ClassVar

import tree_sitter

from grammars.grammar import grammar_of
from grammars.languages import PLAIN_TEXT, Language
from grammars.offsets import OffsetMap

MAX_PARSED_BYTES = 2_000_000
"""Larger files are treated as plain text: a flat list of this size already takes seconds to parse."""
FOREGROUND_SECONDS = 0.02
"""What a caller of `edit` waits for a parse. A fresh parse of 100 kB takes about 10 ms, an incremental one far less."""
BACKGROUND_SECONDS = 5.0
"""When a background parse gives up."""
RETRY_SECONDS = 60.0
"""How long a document that was given up is left alone while it is edited."""
MAX_DEPTH = 4_000
"""Deeper trees are dropped: tree-sitter counts depth in 16 bits and its queries grow quadratic near that limit."""
MAX_ERROR_CHILDREN = 3_000
"""A tree with a larger error is not used: queries take quadratic time in one, 40 ms for 5,000 pieces."""

_CHUNK_BYTES = 1 << 16
_DEPTH_SAMPLES = 32
_ERROR_STEPS = 50_000
_LINE_BEGIN = re.compile(r"(?:(?<=[\r\n])|\A)[ \t\ufeff]*(?:(?:[-?:]|[&!*|>][^\s]*)[ \t]+)*")
_ITEM = re.compile(r"[ \t\ufeff]+|[^ \t\ufeff]+[ \t]+")


class TreeState(StrEnum):
    """How well a snapshot's tree fits its text."""

    CURRENT = "current"
    """The tree of exactly this text."""
    STALE = "stale"
    """The last good tree, shifted by the edits since."""
    MISSING = "missing"
    """No tree: see the snapshot's `problem`."""


@dataclass(frozen=True, eq=False)
class SyntaxSnapshot:
    """A text and the best tree there is for it. Immutable: any thread may ask it anything, at any time."""

    text: str
    language: Language = PLAIN_TEXT
    tree_state: TreeState = TreeState.MISSING
    problem: str = "not parsed yet"
    """Why there is no tree of exactly this text, in words; empty when there is one."""
    is_pending: bool = True
    """Whether parsing (longer) may still give a current tree. False for no syntax and for what is hopeless."""
    revision: int = 0
    """Counts the edits of a document. Two snapshots of a document with the same revision have the same text."""
    tree: tree_sitter.Tree | None = field(default=None, repr=False)
    """For this package only: its offsets are bytes."""

    @cached_property
    def offsets(self) -> OffsetMap:
        """For this package only: code points to bytes and back."""
        return OffsetMap(self.text)

    def edited(
        self, start_char: int, end_char: int, new_text: str, timeout_seconds: float = FOREGROUND_SECONDS
    ) -> SyntaxSnapshot:
        """The snapshot after replacing ``[start_char, end_char)`` by ``new_text``. This one stays as it is.

        When parsing takes longer than ``timeout_seconds`` (0: don't parse), the result's tree is stale or missing.
        Raises ValueError when the range does not lie in the text.
        """
        shifted = self._shifted(start_char, end_char, new_text)
        return shifted.parsed(timeout_seconds) if timeout_seconds > 0 else shifted

    def parsed(self, timeout_seconds: float, cancelled: Callable[[], bool] = lambda: False) -> SyntaxSnapshot:
        """This snapshot with a current tree, or with its old tree and a `problem` when that takes too long."""
        if not self.is_pending:
            return self
        grammar = grammar_of(self.language)
        if grammar.parser_language is None:
            return self._without_syntax(grammar.problem)
        if len(self.offsets.data) > MAX_PARSED_BYTES:
            return self._without_syntax(f"larger than {MAX_PARSED_BYTES} bytes")
        limit = self.language.max_indents
        if limit and _indent_count(self.text) > limit:
            return self._without_syntax(f"indented in more than {limit} ways")
        tree = _parse(grammar.parser_language, self.offsets.data, self.tree, timeout_seconds, cancelled)
        if tree is None:
            return self._with(problem=f"parsing was stopped after {timeout_seconds:g} s")
        if _is_too_deep(tree):
            return self._without_syntax(f"nested more than {MAX_DEPTH} levels deep")
        if _is_too_broken(tree):
            return self._with(problem=f"more than {MAX_ERROR_CHILDREN} pieces in one error", is_pending=False)
        return self._with(tree=tree, tree_state=TreeState.CURRENT, problem="", is_pending=False)

    def _without_syntax(self, problem: str) -> SyntaxSnapshot:
        return self._with(tree=None, tree_state=TreeState.MISSING, problem=problem, is_pending=False)

    def _with(self, **changes: Any) -> SyntaxSnapshot:
        """This snapshot with the same text and other fields."""
        new = replace(self, **changes)
        new.__dict__["offsets"] = self.offsets  # the text is the same: hand the cached table on
        return new

    def _shifted(self, start_char: int, end_char: int, new_text: str) -> SyntaxSnapshot:
        """The text edited, and the tree's offsets moved with it, without parsing."""
        if not 0 <= start_char <= end_char <= len(self.text):
            raise ValueError(f"edit [{start_char}, {end_char}) lies outside a text of {len(self.text)} code points")
        text = self.text[:start_char] + new_text + self.text[end_char:]
        new = SyntaxSnapshot(text, self.language, revision=self.revision + 1)
        if self.tree is not None:
            if self.text[start_char - 1 : start_char] == "\r":
                # What follows a CR decides how the parser reads it (see `to_bytes`), so the CR is edited as well.
                start_char, new_text = start_char - 1, "\r" + new_text
            start_byte, old_end_byte = self.offsets.byte(start_char), self.offsets.byte(end_char)
            new_end_byte = new.offsets.byte(start_char + len(new_text))
            tree = self.tree.copy()  # trees share their nodes; editing the copy leaves our own readers alone
            tree.edit(
                start_byte,
                old_end_byte,
                new_end_byte,
                self.offsets.point(start_byte),
                self.offsets.point(old_end_byte),
                new.offsets.point(new_end_byte),
            )
            new = new._with(tree=tree, tree_state=TreeState.STALE)
        return new


def snapshot_of(text: str, language: Language, timeout_seconds: float = BACKGROUND_SECONDS) -> SyntaxSnapshot:
    """Parse a text once, for callers that don't edit. Never raises: what fails leaves a snapshot without a tree."""
    return SyntaxSnapshot(text, language).parsed(timeout_seconds)


class SyntaxDocument:
    """The newest snapshot of one file, and the background parse that makes it current.

    Every method may be called from any thread and returns without waiting for a parse longer than
    ``foreground_seconds``, except `wait_until_parsed`.
    """

    def __init__(
        self,
        text: str,
        language: Language,
        *,
        foreground_seconds: float = FOREGROUND_SECONDS,
        background_seconds: float = BACKGROUND_SECONDS,
    ) -> None:
        self._foreground_seconds = foreground_seconds
        self._background_seconds = background_seconds
        self._changed = threading.Condition(threading.RLock())
        self._thread: threading.Thread | None = None
        self._closed = False
        self._is_slow = False  # the last parse was too long for the foreground: don't let every key wait for it
        self._retry_at = 0.0  # on the monotonic clock: no background parse before that
        self._snapshot = SyntaxSnapshot(text, language)
        self._settle(self._snapshot)

    @property
    def snapshot(self) -> SyntaxSnapshot:
        """The newest snapshot. Its text is always the newest; its tree may be stale."""
        return self._snapshot

    def edit(self, start_char: int, end_char: int, new_text: str) -> SyntaxSnapshot:
        """Replace ``[start_char, end_char)`` of the newest text. Edits of one change are made one after the other.

        Raises ValueError when the range does not lie in the text, which then stays as it was.
        """
        with self._changed:
            return self._settle(self._snapshot.edited(start_char, end_char, new_text, timeout_seconds=0))

    def replace_text(self, text: str) -> SyntaxSnapshot:
        """Put a whole new text in place of the old one; nothing of the old tree is used."""
        with self._changed:
            self._is_slow, self._retry_at = False, 0.0
            return self._settle(SyntaxSnapshot(text, self._snapshot.language, revision=self._snapshot.revision + 1))

    def wait_until_parsed(self, timeout_seconds: float) -> SyntaxSnapshot:
        """Wait until no parse is under way, at most that long, and return the newest snapshot."""
        with self._changed:
            self._changed.wait_for(lambda: self._thread is None, timeout_seconds)
            return self._snapshot

    def close(self) -> None:
        """Stop the background parse. The last snapshot stays readable; a later edit no longer parses."""
        self._closed = True

    def _settle(self, snapshot: SyntaxSnapshot) -> SyntaxSnapshot:
        """Make ``snapshot`` the newest, parse it here if that is quick, else see that the background does."""
        with self._changed:
            if not self._is_slow and not self._closed:
                snapshot = snapshot.parsed(self._foreground_seconds)
                self._is_slow = snapshot.is_pending
            self._snapshot = snapshot
            is_due = time.monotonic() >= self._retry_at
            if snapshot.is_pending and is_due and not self._closed and self._thread is None:
                self._thread = threading.Thread(target=self._parse_in_background, name="syntax", daemon=True)
                self._thread.start()
            return self._snapshot

    def _parse_in_background(self) -> None:
        """Parse the newest text until it stays the newest while it is parsed, then end."""
        parsed = self._snapshot
        while True:
            started = time.monotonic()
            revision = parsed.revision
            parsed = parsed.parsed(self._background_seconds, partial(self._is_outdated, revision))
            with self._changed:
                if not self._closed and self._is_outdated(revision):
                    parsed = self._snapshot
                    continue
                if not self._closed:
                    self._snapshot = parsed
                self._is_slow = time.monotonic() - started > self._foreground_seconds
                if parsed.is_pending:
                    self._retry_at = time.monotonic() + RETRY_SECONDS
                self._thread = None
                self._changed.notify_all()
                return

    def _is_outdated(self, revision: int) -> bool:
        return self._closed or self._snapshot.revision != revision


def _parse(
    language: tree_sitter.Language,
    data: bytes,
    old_tree: tree_sitter.Tree | None,
    timeout_seconds: float,
    cancelled: Callable[[], bool],
) -> tree_sitter.Tree | None:
    """The tree, or None when time ran out or ``cancelled`` said so.

    Reads through a callback: only that form takes a time limit, and its callbacks let other threads run, which a
    parse of a whole buffer does not. The parser is new each time (under a microsecond), so it belongs to one thread.
    """
    deadline = time.monotonic() + timeout_seconds

    def is_over(_offset_byte: int, _has_error: bool) -> bool:
        return time.monotonic() > deadline or cancelled()

    parser, read = tree_sitter.Parser(language), _Reader(data)
    try:
        if old_tree is None:  # the binding takes no None here
            return parser.parse(read, progress_callback=is_over)
        return parser.parse(read, old_tree, progress_callback=is_over)
    except ValueError:  # the binding's word for a parse that was stopped
        return None
    finally:
        read.give_back()


class _Reader:
    """A text as a parser reads it, chunk by chunk; afterwards, as a query's predicates read it.

    The binding (0.26) keeps a reference to whatever the callback of a parse returned, for ever. So that this keeps no
    memory, every call returns the same buffer, which the next parse uses again. The binding lets go of a buffer's
    memory before it calls again, so that it may be written to.
    """

    _idle: ClassVar[deque[bytearray]] = deque()  # as many as parses ever ran at the same time

    def __init__(self, data: bytes) -> None:
        self._data = data
        try:
            self._buffer: bytearray | None = self._idle.pop()
        except IndexError:
            self._buffer = bytearray()

    def __call__(self, offset_byte: int, _point: object) -> bytes | bytearray:
        chunk = self._data[offset_byte : offset_byte + _CHUNK_BYTES]
        if self._buffer is None:
            return chunk  # to a predicate, which does let go of it
        self._buffer[:] = chunk
        return self._buffer

    def give_back(self) -> None:
        """End the parse: the buffer is another's now."""
        if self._buffer is not None:
            self._buffer.clear()
            self._idle.append(self._buffer)
            self._buffer = None


def _indent_count(text: str) -> int:
    """How many different columns there are at which a line, or an item on it (`- - ? a`), begins.

    No stack of indents can be higher. A scanner that does not check its own stack takes the whole process with it.
    """
    columns: set[int] = set()
    for found in _LINE_BEGIN.finditer(text):
        columns.update(item.end() for item in _ITEM.finditer(found[0]))
    return len(columns)


def _is_too_deep(tree: tree_sitter.Tree) -> bool:
    """Whether the tree is deeper than `MAX_DEPTH` at any of some evenly spaced places."""
    size = tree.root_node.end_byte
    for sample in range(_DEPTH_SAMPLES):
        cursor = tree.walk()
        goal_byte = size * (2 * sample + 1) // (2 * _DEPTH_SAMPLES)
        while cursor.goto_first_child_for_byte(goal_byte) is not None:
            if cursor.depth > MAX_DEPTH:
                return True
    return False


def _is_too_broken(tree: tree_sitter.Tree) -> bool:
    """Whether some error holds more than `MAX_ERROR_CHILDREN` pieces. Looks only where the tree has errors."""
    cursor = tree.walk()
    for _step in range(_ERROR_STEPS):
        node = cursor.node
        if node is None or (node.is_error and node.child_count > MAX_ERROR_CHILDREN):
            return node is not None
        if node.has_error and cursor.goto_first_child():
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return False
    return False
