"""A text and its syntax tree, kept in step while the text is edited.

This module knows parsing and time limits. It does not know what a tree is asked, nor when a file is parsed: whoever
keeps the newest snapshot of a file decides that.

When a parse takes too long, the last good tree, shifted by the edits made since, answers. A file that is too large or
too deep has no tree at all.
"""

from __future__ import annotations

import re
import time
from collections import deque
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from itertools import accumulate
from typing import Any, ClassVar

import tree_sitter

from grammars.grammar import grammar_of
from grammars.languages import PLAIN_TEXT, Language
from grammars.offsets import OffsetMap

MAX_PARSED_BYTES = 2_000_000
"""Larger files are treated as plain text: a flat list of this size already takes seconds to parse."""
PARSE_SECONDS = 5.0
"""When the parse of a whole text is given up. One of 100 kB takes about 10 ms, an incremental one far less."""
MAX_DEPTH = 4_000
"""Deeper trees are dropped: tree-sitter counts depth in 16 bits and its queries grow quadratic near that limit."""
MAX_OPEN_BRACKETS = 20_000
"""Texts with more brackets open at once are not parsed: tree-sitter recurses, and `{a:` 100,000 times in JavaScript
overflows the stack, which ends the process. Brackets in strings and comments count as well."""
MAX_ERROR_CHILDREN = 3_000
"""A tree with a larger error is not used: queries take quadratic time in one, 40 ms for 5,000 pieces."""

_OPENERS, _CLOSERS = b"([{", b")]}"
_NO_BRACKETS = bytes(set(range(256)) - set(_OPENERS + _CLOSERS))
_BRACKET_STEPS = bytes.maketrans(_OPENERS + _CLOSERS, b"\2" * 3 + b"\0" * 3)
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
    tree: tree_sitter.Tree | None = field(default=None, repr=False)
    """For this package only: its offsets are bytes."""

    @cached_property
    def offsets(self) -> OffsetMap:
        """For this package only: code points to bytes and back."""
        return OffsetMap(self.text)

    def edited(self, start_char: int, end_char: int, new_text: str, timeout_seconds: float) -> SyntaxSnapshot:
        """The snapshot after replacing ``[start_char, end_char)`` by ``new_text``. This one stays as it is.

        When parsing takes longer than ``timeout_seconds`` (0: don't parse), the result's tree is stale or missing.
        Raises ValueError when the range does not lie in the text.
        """
        shifted = self._shifted(start_char, end_char, new_text)
        return shifted.parsed(timeout_seconds) if timeout_seconds > 0 else shifted

    def parsed(self, timeout_seconds: float) -> SyntaxSnapshot:
        """This snapshot with a current tree, or with its old tree and a `problem` when that takes too long."""
        if not self.is_pending:
            return self
        grammar = grammar_of(self.language)
        if grammar.parser_language is None:
            return self._without_syntax(grammar.problem)
        if len(self.offsets.data) > MAX_PARSED_BYTES:
            return self._without_syntax(f"larger than {MAX_PARSED_BYTES} bytes")
        if _has_too_many_open(self.offsets.data):
            return self._without_syntax(f"more than {MAX_OPEN_BRACKETS} brackets open at once")
        limit = self.language.max_indents
        if limit and _indent_count(self.text) > limit:
            return self._without_syntax(f"indented in more than {limit} ways")
        tree = _parse(grammar.parser_language, self.offsets.data, self.tree, timeout_seconds)
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
        new = SyntaxSnapshot(text, self.language)
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


def snapshot_of(text: str, language: Language, timeout_seconds: float = PARSE_SECONDS) -> SyntaxSnapshot:
    """Parse a text once, for callers that don't edit. Never raises: what fails leaves a snapshot without a tree."""
    return SyntaxSnapshot(text, language).parsed(timeout_seconds)


def _parse(
    language: tree_sitter.Language, data: bytes, old_tree: tree_sitter.Tree | None, timeout_seconds: float
) -> tree_sitter.Tree | None:
    """The tree, or None when time ran out.

    Reads through a callback: only that form takes a time limit, and its callbacks let other threads run, which a
    parse of a whole buffer does not. The parser is new each time (under a microsecond), so it belongs to one thread.
    """
    deadline = time.monotonic() + timeout_seconds

    def is_over(_offset_byte: int, _has_error: bool) -> bool:
        return time.monotonic() > deadline

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


def _has_too_many_open(data: bytes) -> bool:
    """Whether more than `MAX_OPEN_BRACKETS` are open anywhere. Most texts have fewer in all, and are only counted."""
    if sum(data.count(opener) for opener in _OPENERS) <= MAX_OPEN_BRACKETS:
        return False
    steps = data.translate(_BRACKET_STEPS, delete=_NO_BRACKETS)  # 2 for one that opens, 0 for one that closes
    return max(accumulate(steps, lambda opened, step: max(0, opened + step - 1), initial=0)) > MAX_OPEN_BRACKETS


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
