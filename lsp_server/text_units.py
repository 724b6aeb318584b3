"""Units of columns: what editors count in, and code points, which we count in.

This is the only file that converts between them. A column that lies past its line's end means the end, one that
splits a character means the place before it: questions are total, as editors do send such positions.

Knows one line at a time, and no documents.
"""

from __future__ import annotations

import re
from enum import StrEnum

_LONE_SURROGATES = re.compile("[\ud800-\udfff]")


class ColumnUnit(StrEnum):
    """What a column of a position counts, under its name in the protocol."""

    UTF8 = "utf-8"
    UTF16 = "utf-16"
    UTF32 = "utf-32"


_CODECS = {ColumnUnit.UTF8: ("utf-8", 1), ColumnUnit.UTF16: ("utf-16-le", 2)}  # with bytes per unit


def column_to_char(line: str, column: int, unit: ColumnUnit) -> int:
    """Return the string index in `line` of a column counted in `unit`."""
    head = line[: max(0, column)]  # no character is narrower than one unit
    if unit is ColumnUnit.UTF32 or head.isascii():
        return len(head)
    codec, unit_bytes = _CODECS[unit]
    return len(_encoded(head, codec)[: column * unit_bytes].decode(codec, "ignore"))


def char_to_column(line: str, char: int, unit: ColumnUnit) -> int:
    """Return the column, counted in `unit`, of a string index in `line`."""
    head = line[: max(0, char)]
    if unit is ColumnUnit.UTF32 or head.isascii():
        return len(head)
    codec, unit_bytes = _CODECS[unit]
    return len(_encoded(head, codec)) // unit_bytes


def join_surrogates(text: str) -> str:
    """Return `text` with each pair of surrogates, as two UTF-16 edits may leave it, made one character."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _encoded(text: str, codec: str) -> bytes:
    try:
        return text.encode(codec)
    except UnicodeEncodeError:  # a lone surrogate is as wide as U+FFFD in both encodings
        return _LONE_SURROGATES.sub("\ufffd", text).encode(codec)
