"""The text of one open file as the editor has it: positions to string indices and back, and its changes as edits.

pygls' own documents split lines at characters that end none in the protocol, and so corrupt a text; this one keeps
to the protocol, and positions outside the text mean its nearest place.

Knows positions and edits; knows nothing of the file, of its language or of the worker.
"""

from __future__ import annotations

from collections.abc import Sequence

from lsprotocol import types

from lsp_server.line_index import LineIndex
from lsp_server.text_diff import are_too_many, minimal_edits
from lsp_server.text_units import ColumnUnit, char_to_column, column_to_char, join_surrogates
from model.api.edits import applied, changes_nothing, grown, trimmed
from model.api.types import Edit

_LONGEST_BREAK_CHAR = 2


class TextDocument:
    """A text and its lines. Never changed but by `apply`."""

    def __init__(self, text: str, unit: ColumnUnit) -> None:
        self.text = text
        self.unit = unit
        self._lines = LineIndex(text)

    @property
    def line_count(self) -> int:
        return self._lines.line_count

    def char_at(self, place: types.Position) -> int:
        """Return the string index of a position."""
        if place.line >= self._lines.line_count:
            return len(self.text)
        start, end = self.line_range(max(0, place.line))
        return start + column_to_char(
            self.text[start : min(end, start + max(0, place.character))], place.character, self.unit
        )

    def position_at(self, char: int) -> types.Position:
        """Return the position of a string index."""
        char = min(max(0, char), len(self.text))
        line = self._lines.line_at(char)
        start, end = self.line_range(line)
        char = min(char, end)
        return types.Position(line, char_to_column(self.text[start:char], char - start, self.unit))

    def range_at(self, start: int, end: int) -> types.Range:
        """Return the range between two string indices."""
        return types.Range(self.position_at(start), self.position_at(end))

    def chars_of(self, span: types.Range) -> tuple[int, int]:
        """Return the string indices of a range; a reversed one is turned round."""
        first, last = self.char_at(span.start), self.char_at(span.end)
        return min(first, last), max(first, last)

    def line_range(self, line: int) -> tuple[int, int]:
        """Return where `line` begins and where it ends, its line break not counted."""
        start = self._lines.start(line)
        if line + 1 >= self._lines.line_count:
            return start, len(self.text)
        end = self._lines.start(line + 1)
        return start, end - (2 if self.text[end - _LONGEST_BREAK_CHAR : end] == "\r\n" else 1)

    def apply(self, changes: Sequence[types.TextDocumentContentChangeEvent]) -> tuple[Edit, ...]:
        """Apply the changes of one `didChange`, and return the edits, one after the other, that they were."""
        if are_too_many(len(changes), self.text) and (spanning := self._spanning(changes)):
            self._replace(spanning)
            return (spanning,)
        edits: list[Edit] = []
        for change in changes:
            if isinstance(change, types.TextDocumentContentChangePartial):
                edit = trimmed(Edit(*self._joined(*self.chars_of(change.range), change.text)), self.text)
                found: tuple[Edit, ...] = () if changes_nothing(edit) else (edit,)
            else:
                found = minimal_edits(self.text, join_surrogates(change.text))
            for edit in found:
                self._replace(edit)
            edits.extend(found)
        return tuple(edits)

    def _spanning(self, changes: Sequence[types.TextDocumentContentChangeEvent]) -> Edit | None:
        """Return one edit that does what many do, if they go up through the file, so that none moves the next."""
        pieces, end_of_next = [], len(self.text)
        for change in changes:
            if not isinstance(change, types.TextDocumentContentChangePartial):
                return None
            start, end, text = self._joined(*self.chars_of(change.range), change.text)
            if end >= end_of_next:
                return None
            pieces += [self.text[end:end_of_next], text]
            end_of_next = start
        spanning = trimmed(Edit(end_of_next, len(self.text), "".join(reversed(pieces))), self.text)
        return None if changes_nothing(spanning) else spanning

    def _replace(self, edit: Edit) -> None:
        self.text = applied(self.text, edit)
        self._lines.replaced(edit.start, edit.end, self.text, grown(edit))

    def _joined(self, start: int, end: int, text: str) -> tuple[int, int, str]:
        """Widen a replacement where it would put the two halves of a character beside each other."""
        before, after = self.text[max(0, start - 1) : start], self.text[end : end + 1]
        if _is_high(before) and _is_low(text[:1] or after):
            start, text = start - 1, before + text
        if _is_low(after) and _is_high(text[-1:]):
            end, text = end + 1, text + after
        return start, end, join_surrogates(text)


def _is_high(character: str) -> bool:
    return "\ud800" <= character <= "\udbff"


def _is_low(character: str) -> bool:
    return "\udc00" <= character <= "\udfff"
