"""How texts are cut into chunks, and which words a text has. Knows nothing of ranking."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

CHUNK_LINES = 20
STRIDE_LINES = 10  # chunks overlap, so that whatever is looked for is whole in one of them

_LINE_BREAK = re.compile(r"\r\n|\n|\r")
_IDENTIFIER = re.compile(r"[^\W\d]\w*")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")
_LONGEST_WORD = 40  # longer ones are data
_TELLING_CHAR = 4


@dataclass(frozen=True)
class Piece:
    """Some lines of a file."""

    name: str  # of the file, as it was put in
    first_line: int  # 0-based
    text: str  # whole lines, each ending with \\n


def lines_of(text: str) -> list[str]:
    """Return the lines of a text without their breaks."""
    return _LINE_BREAK.split(text)


def chunk_starts(lines: Sequence[str]) -> Iterator[int]:
    """Yield the first lines of a text's chunks."""
    yield 0
    yield from range(STRIDE_LINES, len(lines) - STRIDE_LINES, STRIDE_LINES)


def words_of(text: str) -> set[str]:
    """Return the words of a text's identifiers in lower case: `readHTTPHeader` has read, http, header and itself."""
    found: set[str] = set()
    for identifier in set(_IDENTIFIER.findall(text)):
        found.update(_words_in(identifier))
    return found


def names_in(text: str) -> set[str]:
    """Return the identifiers of a text that say something."""
    return {name for name in _IDENTIFIER.findall(text) if len(name) >= _TELLING_CHAR}


@lru_cache(maxsize=1 << 15)
def _words_in(identifier: str) -> tuple[str, ...]:
    if len(identifier) > _LONGEST_WORD:
        return ()
    parts = [part.lower() for part in _PART.findall(identifier)]
    words = [part for part in parts if len(part) > 1]
    return (*words, identifier.lower()) if len(parts) > 1 else tuple(words)
