"""Where the lines of a text begin, kept in step with its edits.

Lines end at LF, CR LF or a lone CR and nowhere else, as the protocol says: form feeds, NEL and U+2028 are ordinary
characters. The index is a gap buffer, so that an edit costs what lies between it and the one before, not the file.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from grammars.offsets import LINE_BREAK


class LineIndex:
    """The starts of lines: those above the gap counted from the text's start, those below it from its end."""

    def __init__(self, text: str) -> None:
        self._length = len(text)
        self._above = [0, *(found.end() for found in LINE_BREAK.finditer(text))]
        self._below: list[int] = []  # the last line first

    @property
    def line_count(self) -> int:
        """At least 1; a text that ends with a line break has an empty last line."""
        return len(self._above) + len(self._below)

    def start(self, line: int) -> int:
        """Return the string index at which `line`, counted from 0, begins."""
        above = len(self._above)
        return self._above[line] if line < above else self._length - self._below[above - 1 - line]

    def line_at(self, char: int) -> int:
        """Return the line that holds the string index `char`, its line break included."""
        from_end = self._length - char
        if self._below and self._below[-1] >= from_end:
            return self.line_count - 1 - bisect_left(self._below, from_end)
        return bisect_right(self._above, char) - 1

    def replaced(self, start: int, end: int, text: str, length_delta: int) -> None:
        """Take note that [start, end) was replaced; `text` is the whole new text, `length_delta` longer than before."""
        # A line break may be joined to, or parted from, the CR before it: look at the line above as well.
        first = max(0, self.line_at(start) - 1)
        self._move_gap(self.line_at(end) + 1)
        del self._above[first + 1 :]
        self._length += length_delta
        region_end = self._length - self._below[-1] if self._below else self._length
        self._above.extend(found.end() for found in LINE_BREAK.finditer(text, self._above[first], region_end))
        if self._below:
            self._above.pop()  # the line that begins at the region's end is the first one below

    def _move_gap(self, line: int) -> None:
        above = len(self._above)
        if line < above:
            self._below.extend(self._length - start for start in reversed(self._above[line:]))
            del self._above[line:]
        elif line > above:
            moved = self._below[above - line :]
            self._above.extend(self._length - from_end for from_end in reversed(moved))
            del self._below[above - line :]
