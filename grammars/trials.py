"""What a file would look like with one text or another in a gap: the measure by which texts are cut.

This module knows the gap and what stands around it. It proposes no cuts; `trimming` and `closing` do.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from grammars.brackets import Unmatched, angle_surplus, brackets_between, brackets_of_text, unmatched
from grammars.damage import error_spans
from grammars.offsets import clamp_span, line_end, line_start
from grammars.places import PlaceKind, place_at
from grammars.snapshot import SyntaxSnapshot, TreeState

_AROUND_CHAR = 2_000
_BRACKETS_CHAR = 8_000
_DELIMITER = re.compile(r"[A-Za-z@$]*(\"\"\"|'''|\"|'|`)")
_OVER_LINES = ('"""', "'''", "`")  # strings that go on until they are closed


class Cost(NamedTuple):
    """How ill a text fits, the worst kind first. Compared as a tuple: less is better."""

    swallows: bool
    """It makes a string or comment of the code behind it, or code of the rest of a string."""
    errors: int
    """Syntax errors of the file with it; 0 where there is no parser to ask."""
    unmatched: int
    """Brackets without a partner that had one, or that the text brings."""
    errors_alone: int
    """Syntax errors of the gap's lines, read alone: in a file that is broken anyway one more may not be counted."""


class Trials:
    """One gap of a snapshot and the texts tried in it. Each text is parsed once, for at most ``timeout_seconds``."""

    def __init__(self, snapshot: SyntaxSnapshot, start_char: int, end_char: int, timeout_seconds: float) -> None:
        text = snapshot.text
        self.snapshot = snapshot
        self.start_char, self.end_char = clamp_span(start_char, end_char, text)
        self.prefix_line = text[
            max(line_start(text, self.start_char), self.start_char - _AROUND_CHAR) : self.start_char
        ]
        self.suffix = text[self.end_char : self.end_char + _AROUND_CHAR]
        self.rest_of_line = self.suffix[: line_end(self.suffix, 0)].strip()
        """What stands right of the gap on its line, without the blanks around it."""
        self._timeout_seconds = timeout_seconds
        self._place = place_at(snapshot, self.start_char)
        self.is_string = self._place.kind is PlaceKind.STRING
        self.string_rest, self.delimiter = self._closed_string()
        self._before = brackets_between(snapshot, self.start_char - _BRACKETS_CHAR, self.start_char)
        self._behind = brackets_between(snapshot, self.end_char, self.end_char + _BRACKETS_CHAR)
        self._base = unmatched(self._before, "", self._behind)
        self._infilled: dict[str, SyntaxSnapshot | None] = {}
        self._costs: dict[str, Cost] = {}

    def infilled(self, text: str) -> SyntaxSnapshot | None:
        """The snapshot with ``text`` in the gap, parsed. None where there is no parser to ask, or no time."""
        if self.snapshot.tree_state is not TreeState.CURRENT:
            return None
        if text not in self._infilled:
            tried = self.snapshot.edited(self.start_char, self.end_char, text, self._timeout_seconds)
            self._infilled[text] = tried if tried.tree_state is TreeState.CURRENT else None
        return self._infilled[text]

    def cost(self, text: str) -> Cost:
        """How ill ``text`` fits."""
        if text not in self._costs:
            found = self._unmatched(text)
            lost = sum(max(0, now - then) for now, then in zip(_counts(found), _counts(self._base), strict=True))
            errors, alone = self._errors(text), 0
            if errors or self.infilled(text) is None:
                alone = self._errors_alone(text)
            self._costs[text] = Cost(self.swallows(text), errors, lost + self._angles(text), alone)
        return self._costs[text]

    def leaves_open(self, text: str) -> bool:
        """Whether with ``text`` a bracket or string stays open that did not, or a closer has nothing to close."""
        found, base = self._unmatched(text), self._base
        is_left = found.before > base.before or found.surplus > base.surplus
        return self.swallows(text) or found.within > 0 or is_left

    def swallows(self, text: str) -> bool:
        """Whether what stands behind the gap would no longer be what it is: code, or the rest of a string."""
        if not text:
            return False
        infilled = self.infilled(text)
        if infilled is None:
            # Without a parser only the plainest is known: a quote that makes the number of quotes odd.
            line = self.prefix_line + self.rest_of_line
            is_odd = _count_unescaped(text, self.delimiter or '"') % 2 == 1
            return is_odd and (bool(self.delimiter) or _count_unescaped(line, '"') % 2 == 0)
        end_char = self.start_char + len(text)
        if not self.is_string and any(_count_unescaped(text, quotes) % 2 for quotes in _OVER_LINES):
            return self._errors(text) > 0
        kind = place_at(infilled, end_char).kind
        if self.is_string:
            return bool(self.delimiter) and kind is not PlaceKind.STRING
        if self._place.kind is PlaceKind.COMMENT:
            return False
        return kind is PlaceKind.STRING or (kind is PlaceKind.COMMENT and bool(self.rest_of_line))

    def _closed_string(self) -> tuple[str, str]:
        """The rest of the string that the gap is in, and what closes it: empty unless that is plainly to be seen."""
        opened = _DELIMITER.match(self.snapshot.text, self._place.span.start_char) if self.is_string else None
        if opened is None:
            between = self.prefix_line[-1:]
            return ("", between) if between and between in "\"'`" and self.suffix.startswith(between) else ("", "")
        delimiter = opened[1]
        line_break = line_end(self.suffix, 0)
        at = first_unescaped(self.suffix[:line_break], delimiter)
        if at is not None:
            return self.suffix[:at], delimiter
        return "", delimiter if self.suffix.lstrip().startswith(delimiter) else ""

    def _unmatched(self, text: str) -> Unmatched:
        infilled = self.infilled(text)
        if infilled is None:
            within = brackets_of_text(text)
        else:
            within = brackets_between(infilled, self.start_char, self.start_char + len(text))
        return unmatched(self._before, within, self._behind)

    def _errors(self, text: str) -> int:
        infilled = self.infilled(text)
        errors = error_spans(infilled) if infilled else None
        return len(errors) if errors is not None else 0

    def _errors_alone(self, text: str) -> int:
        line = self.prefix_line.lstrip() + text + self.rest_of_line + "\n"
        found = error_spans(SyntaxSnapshot(line, self.snapshot.language).parsed(self._timeout_seconds))
        return len(found) if found is not None else 0

    def _angles(self, text: str) -> int:
        if self.infilled(text):
            return 0  # the parser knows which of them are brackets
        return angle_surplus(self.prefix_line + text + self.rest_of_line)


def _counts(found: Unmatched) -> tuple[int, int, int]:
    return found.before, found.within, found.surplus


def first_unescaped(text: str, delimiter: str) -> int | None:
    """Where ``delimiter`` first stands in the text without a backslash that takes its meaning away."""
    at = 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text.startswith(delimiter, at):
            return at
        at += 1
    return None


def _count_unescaped(text: str, delimiter: str) -> int:
    count = 0
    while (at := first_unescaped(text, delimiter)) is not None:
        count, text = count + 1, text[at + len(delimiter) :]
    return count
