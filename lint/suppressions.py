"""Comments that keep findings silent: `setfill: ignore`, or `setfill: ignore[rule, rule]`.

Beside code, such a comment counts for its line; on lines of its own, also for the
line that follows it. Where there is a syntax tree it must be a comment: text in a
string silences nothing. Knows no rules, only their ids.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from grammars import PlaceKind, Span, SyntaxSnapshot, TreeState, detect_language, place_at, snapshot_of
from lint.records import ChangedFile, Finding

_MARK = re.compile(r"\bsetfill:[ \t]*ignore(?![\w-])(?:[ \t]*\[([^\]\n]*)\])?")
_COMMENT_SIGNS = ("#", "//", "/*", "--", ";", "%", "<!--", '"')
"""What begins a comment in languages that have no grammar here."""

_MOST_MARKS = 1_000  # of a file; each asks the syntax tree


@dataclass(frozen=True)
class Suppression:
    """One such comment. `rules` is None for all of them."""

    line: int  # where it stands
    first: int  # the lines it counts for
    last: int
    rules: frozenset[str] | None

    def covers(self, finding: Finding) -> bool:
        """Whether the finding is silenced: it must begin on one of the lines."""
        named = self.rules is None or finding.rule.id in self.rules
        return named and self.first <= finding.span.line <= self.last


def suppressions_in(file: ChangedFile) -> tuple[Suppression, ...]:
    """Return the comments of a file that keep findings silent, in the order of its lines."""
    if not _MARK.search(file.text):  # as in most files: nothing is parsed
        return ()
    snapshot = snapshot_of(file.text, detect_language(file.path, text=file.text))
    return tuple(_suppressions(snapshot))


def _suppressions(snapshot: SyntaxSnapshot) -> Iterator[Suppression]:
    text = snapshot.text
    for mark in islice(_MARK.finditer(text), _MOST_MARKS):
        comment = _comment_around(snapshot, *mark.span())
        if comment is None:
            continue
        line, last = (text.count("\n", 0, at) + 1 for at in (mark.start(), comment.end_char))
        start, end = text.rfind("\n", 0, comment.start_char) + 1, text.find("\n", comment.end_char)
        beside = text[start : comment.start_char] + text[comment.end_char : end if end >= 0 else None]
        rules = mark[1]
        names = None if rules is None else frozenset(name.strip() for name in rules.split(",") if name.strip())
        yield Suppression(line, line, last if beside.strip() else last + 1, names)


def _comment_around(snapshot: SyntaxSnapshot, start: int, end: int) -> Span | None:
    """Return the comment that a range lies in, None when it lies in none."""
    if snapshot.tree_state is TreeState.CURRENT:
        place = place_at(snapshot, start)
        return place.span if place.kind is PlaceKind.COMMENT else None
    line_start = snapshot.text.rfind("\n", 0, start) + 1
    signs = snapshot.language.line_comments or _COMMENT_SIGNS
    found = [at for sign in signs if (at := snapshot.text.find(sign, line_start, start)) >= 0]
    if not found:
        return None
    line_end = snapshot.text.find("\n", end)
    return Span(min(found), line_end if line_end >= 0 else len(snapshot.text))
