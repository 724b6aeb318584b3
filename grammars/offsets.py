"""Units of length: code points outside, UTF-8 bytes and tree-sitter points inside.

This module knows text and its encoding. It does not know trees, languages or editors. Every public function of the
package counts in code points (Python string indices); only tree-sitter counts in bytes, and only this file converts.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property
from typing import NamedTuple

_STRIDE_CHAR = 1024
_LONE_SURROGATES = re.compile("[\ud800-\udfff]")
_LONE_CR = re.compile(r"\r(?!\n)")
_LINE = re.compile(r"[^\r\n]*")
LINE_BREAK = re.compile(r"\r\n|\n|\r")
KEPT_LINES = re.compile(rf"[^\r\n]*(?:{LINE_BREAK.pattern}|$)")
"""Lines with their breaks; the last one, which has none, may be empty."""


class Span(NamedTuple):
    """A half-open range of code points, ``[start_char, end_char)``."""

    start_char: int
    end_char: int


def to_bytes(text: str) -> bytes:
    """UTF-8 of ``text`` as a parser should read it; every code point keeps its length.

    A lone CR becomes LF: it ends a line in editors, but to most grammars it is white space, and a comment would go on
    to the end of the file. A lone surrogate, which UTF-8 cannot hold, becomes U+FFFD.
    """
    if "\r" in text:
        text = _LONE_CR.sub("\n", text)
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return _LONE_SURROGATES.sub("\ufffd", text).encode("utf-8")


class OffsetMap:
    """Converts between code points and bytes of one text, in time independent of the text's length once built."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.data = to_bytes(text)

    @cached_property
    def _checkpoints(self) -> list[int]:
        """Byte offset of every 1024th code point. Built on the first question about a text that is not ASCII."""
        offsets, total = [], 0
        for start in range(0, len(self.text) + 1, _STRIDE_CHAR):
            offsets.append(total)
            total += len(to_bytes(self.text[start : start + _STRIDE_CHAR]))
        return offsets

    def byte(self, offset_char: int) -> int:
        """The byte offset of a code point offset, which is clamped to the text."""
        offset_char = min(max(offset_char, 0), len(self.text))
        if len(self.data) == len(self.text):
            return offset_char
        index = offset_char // _STRIDE_CHAR
        return self._checkpoints[index] + len(to_bytes(self.text[index * _STRIDE_CHAR : offset_char]))

    def char(self, offset_byte: int) -> int:
        """The code point offset of a byte offset, which is clamped; inside a character it rounds down."""
        offset_byte = min(max(offset_byte, 0), len(self.data))
        if len(self.data) == len(self.text):
            return offset_byte
        index = bisect_right(self._checkpoints, offset_byte) - 1
        piece = self.data[self._checkpoints[index] : offset_byte]
        return index * _STRIDE_CHAR + len(piece.decode("utf-8", "ignore"))

    def point(self, offset_byte: int) -> tuple[int, int]:
        """Tree-sitter's (row, column in bytes)."""
        return self.data.count(b"\n", 0, offset_byte), offset_byte - self.data.rfind(b"\n", 0, offset_byte) - 1


def clamp(offset_char: int, text: str) -> int:
    """``offset_char`` moved into ``[0, len(text)]``: questions are total, an offset off the end means the end."""
    return min(max(offset_char, 0), len(text))


def clamp_span(start_char: int, end_char: int, text: str) -> Span:
    """Both ends moved into the text; a reversed range becomes empty at its start."""
    start_char = clamp(start_char, text)
    return Span(start_char, max(start_char, clamp(end_char, text)))


def line_start(text: str, offset_char: int) -> int:
    """Start of the line that holds the offset. Lines end at LF, CR LF or CR, as in the language server protocol."""
    if text[offset_char - 1 : offset_char + 1] == "\r\n":
        offset_char -= 1  # between CR and LF is the end of a line, not the start of one
    return max(_last_of(text, "\n", offset_char), _last_of(text, "\r", offset_char)) + 1


def line_end(text: str, offset_char: int) -> int:
    """End of the line that holds the offset, before its line break."""
    if text[offset_char - 1 : offset_char + 1] == "\r\n":
        return offset_char - 1
    found = _LINE.match(text, offset_char)
    return found.end() if found else offset_char


def next_line_start(text: str, offset_char: int) -> int:
    """Start of the line after the one that holds the offset, or the text's end when there is none."""
    end = line_end(text, offset_char)
    return end + (2 if text[end : end + 2] == "\r\n" else 1 if end < len(text) else 0)


def _last_of(text: str, character: str, end_char: int) -> int:
    """``text.rfind(character, 0, end_char)``, but not reading a whole file backwards when lines are short."""
    near = text.rfind(character, max(0, end_char - 4096), end_char)
    return near if near >= 0 else text.rfind(character, 0, max(0, end_char - 4096))
