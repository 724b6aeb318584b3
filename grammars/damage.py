"""Whether an infill leaves a file with more syntax errors than it had, and where."""

from __future__ import annotations

import time
from dataclasses import dataclass

import tree_sitter

from grammars.captures import span_of
from grammars.offsets import Span, clamp_span
from grammars.snapshot import SyntaxSnapshot, TreeState

DAMAGE_SECONDS = 0.1
"""How long a caller waits for the check, parse included."""
_MAX_ERRORS = 200


@dataclass(frozen=True)
class Damage:
    """Syntax errors before and after an infill."""

    errors_before: int
    errors_after: int
    new_errors: tuple[Span, ...]
    """In the text with the infill: the errors that touch it, or all of them when none does. Empty if not worse."""

    @property
    def is_worse(self) -> bool:
        """Whether there are more errors than before."""
        return self.errors_after > self.errors_before


@dataclass(frozen=True)
class Flaw:
    """A syntax error: text that the parser skipped, or an empty span where something is missing."""

    span: Span
    missing: str = ""
    """What should stand there, as the grammar calls it: `)`, `identifier`. Empty for skipped text."""


def infill_damage(
    snapshot: SyntaxSnapshot, start_char: int, end_char: int, infill: str, timeout_seconds: float = DAMAGE_SECONDS
) -> Damage | None:
    """Compare the snapshot's errors with those of its text after ``[start_char, end_char)`` became ``infill``.

    At most 200 errors are counted on either side. None when it cannot be told: no syntax, no tree of exactly this
    text, or no time.
    """
    start_char, end_char = clamp_span(start_char, end_char, snapshot.text)
    if snapshot.tree_state is not TreeState.CURRENT:
        return None
    deadline = time.monotonic() + timeout_seconds
    before = error_spans(snapshot, deadline)
    infilled = snapshot.edited(start_char, end_char, infill, timeout_seconds)
    if before is None or infilled.tree_state is not TreeState.CURRENT:
        return None
    after = error_spans(infilled, deadline)
    if after is None:
        return None
    new_errors: tuple[Span, ...] = ()
    if len(after) > len(before):
        infill_end_char = start_char + len(infill)
        touching = [span for span in after if span.start_char <= infill_end_char and span.end_char >= start_char]
        new_errors = tuple(touching or after)
    return Damage(len(before), len(after), new_errors)


def error_spans(snapshot: SyntaxSnapshot, deadline: float | None = None) -> list[Span] | None:
    """Where the parser found errors: skipped text, or an empty span where something is missing. At most 200.

    None without a tree, or when ``deadline`` (of `time.monotonic`) passes first.
    """
    flaws = syntax_flaws(snapshot, deadline)
    return None if flaws is None else [flaw.span for flaw in flaws]


def syntax_flaws(snapshot: SyntaxSnapshot, deadline: float | None = None) -> list[Flaw] | None:
    """The syntax errors that the parser found, in file order. At most 200.

    None without a tree, or when ``deadline`` (of `time.monotonic`) passes first.
    """
    if snapshot.tree is None:
        return None
    flaws: list[Flaw] = []
    cursor = snapshot.tree.walk()
    steps = 0
    while len(flaws) < _MAX_ERRORS:
        node = cursor.node
        assert node is not None
        steps += 1
        if deadline is not None and steps % 1024 == 0 and time.monotonic() > deadline:
            return None
        if node.is_error or node.is_missing:
            span = span_of(snapshot, node.start_byte, node.end_byte)
            flaws.append(Flaw(span, node.type if node.is_missing else ""))
        elif node.has_error and cursor.goto_first_child():
            continue
        if not _goto_next(cursor):
            break
    return flaws


def _goto_next(cursor: tree_sitter.TreeCursor) -> bool:
    """Move to the next node that is not below this one; False at the end of the tree."""
    while not cursor.goto_next_sibling():
        if not cursor.goto_parent():
            return False
    return True
