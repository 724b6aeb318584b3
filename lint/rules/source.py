"""A changed file as rules read it: its syntax tree, and places in it by line and column.

Knows where lines begin and what kind of text stands where. Does not know what is looked for.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from functools import cached_property, lru_cache

from grammars import PLAIN_TEXT, Language, PlaceKind, SyntaxSnapshot, detect_language, places_in, snapshot_of
from lint.records import ChangedFile, Finding, Rule, Span

_PARSE_SECONDS = 8.0  # nobody is typing; a file of the greatest size takes five
_PLACES_SECONDS = 5.0


class Source:
    """The text of a changed file and its tree. `source_of` keeps the last ones: all rules read the same file."""

    def __init__(self, file: ChangedFile) -> None:
        self.file = file
        self.text = file.text
        self.language: Language = detect_language(file.path, text=file.text)

    @cached_property
    def snapshot(self) -> SyntaxSnapshot:
        """The text parsed."""
        return snapshot_of(self.text, self.language, _PARSE_SECONDS)

    @cached_property
    def before(self) -> SyntaxSnapshot | None:
        """The text before the change, parsed; None for a new file. It is read as the language of the new path."""
        return None if self.file.before is None else snapshot_of(self.file.before, self.language, _PARSE_SECONDS)

    @property
    def is_code(self) -> bool:
        """Whether the file is in a language that we know at all, and not prose."""
        return self.language is not PLAIN_TEXT

    def line_of(self, offset_char: int) -> int:
        """The number of the line that holds the offset."""
        return bisect_right(self._line_starts, offset_char)

    def offset_of(self, line: int) -> int:
        """Where a line begins."""
        return self._line_starts[line - 1]

    def span(self, start_char: int, end_char: int) -> Span:
        """The range in lines and columns."""
        line, end_line = self.line_of(start_char), self.line_of(end_char)
        return Span(line, start_char - self.offset_of(line), end_line, end_char - self.offset_of(end_line))

    def line_span(self, line: int, end_line: int | None = None) -> Span:
        """From the first visible character of a line to the end of that, or of a later line."""
        text, end_line = self.file.lines[line - 1], end_line or line
        return Span(line, len(text) - len(text.lstrip()), end_line, len(self.file.lines[end_line - 1].rstrip()))

    def kind_at(self, offset_char: int) -> PlaceKind:
        """Whether the offset is in code, or behind the first character of a comment, string or import."""
        starts, kinds = self._kinds
        at = bisect_right(starts, offset_char) - 1
        return kinds[at] if at >= 0 else PlaceKind.CODE

    def finding(self, rule: Rule, span: Span, message: str) -> Finding:
        """A finding in this file, at the rule's level."""
        return Finding(rule, self.file.path, span, message, rule.level)

    def added_first(self, lines: Iterable[int]) -> list[int]:
        """The line numbers with those that the change brought first: what a limit cuts off is the rest."""
        return sorted(lines, key=lambda line: (line not in self.file.added, line))

    @cached_property
    def _kinds(self) -> tuple[list[int], list[PlaceKind]]:
        """Where the kind of text changes, and to what."""
        starts, kinds = [0], [PlaceKind.CODE]
        open_places: list[tuple[int, PlaceKind]] = []  # the ends and kinds of those that hold the next one

        def close(up_to_char: int) -> None:
            while open_places and open_places[-1][0] <= up_to_char:
                end, _kind = open_places.pop()
                starts.append(end)
                kinds.append(open_places[-1][1] if open_places else PlaceKind.CODE)

        for place in places_in(self.snapshot, _PLACES_SECONDS):
            if place.span.end_char - place.span.start_char < 2:
                continue
            close(place.span.start_char)
            starts.append(place.span.start_char + 1)
            kinds.append(place.kind)
            open_places.append((place.span.end_char, place.kind))
        close(len(self.text) + 1)
        return starts, kinds

    @cached_property
    def _line_starts(self) -> list[int]:
        starts, at = [0], self.text.find("\n") + 1
        while at:
            starts.append(at)
            at = self.text.find("\n", at) + 1
        return starts


@lru_cache(maxsize=2)
def source_of(file: ChangedFile) -> Source:
    """The file as rules read it."""
    return Source(file)
