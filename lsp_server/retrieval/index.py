"""An index of chunks, in memory only: files come, change and go one by one, and it never holds more than it may.

Ranked by BM25 (Robertson & Zaragoza 2009), a word counting once in a chunk: in twenty lines of code, how often a name
stands there says little. What the search engines in libraries have beyond that (fields, languages, persistence,
queries) is of no use here, and few of them take a single file back.

Not safe for threads: one at a time may use it.
"""

from __future__ import annotations

import heapq
import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lsp_server.retrieval.chunks import CHUNK_LINES, Piece, chunk_starts, lines_of, words_of

_K1, _B = 1.2, 0.75  # what is usual
_COMMON_SHARE = 0.2  # words of more chunks than this tell nothing, and would take most of the time
_SMALL = 50  # chunks: with fewer, any word may tell something
_MOST_WORDS = 60  # of what is asked about, the rarest
_LEAST_SHARE = 0.2  # of what the words asked about weigh: a chunk that has less is not like them
_LOOKED_AT = 40  # chunks in whose files it is looked for what goes on as the text does
_LEAST_LINE_CHAR = 6  # of a line that tells where a text goes on alike
_CONTINUED_LINES = 16  # shown, of a place that goes on alike
_MATCHED_LINES = 6  # shown before them, at most
_GARBAGE_SHARE = 0.5  # of chunks that are gone: then the lists are made anew


@dataclass(frozen=True, eq=False)
class _File:
    name: str
    kind: str
    lines: list[str]
    chunks: range
    chars: int


class ChunkIndex:
    """Chunks of files, by the words in them. `kind` tells which files are looked at together, as a language does."""

    def __init__(self, most_chars: int = 8_000_000) -> None:
        self._most_chars = most_chars
        self._chars = 0
        self._files: dict[str, _File] = {}
        self._chunks: list[tuple[_File, int, int] | None] = []  # file, first line, words; None: gone
        self._gone = 0
        self._words = 0  # of all chunks that are there
        self._holding: dict[str, array[int]] = {}  # the chunks that hold a word, ascending; some of them gone

    def __contains__(self, name: object) -> bool:
        return name in self._files

    def __iter__(self) -> Iterator[str]:
        """Yield the files' names."""
        return iter(list(self._files))

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return len(self._chunks) - self._gone

    @property
    def chars(self) -> int:
        """How many characters the files have together."""
        return self._chars

    def text_of(self, name: str) -> str:
        """Return a file's text, with \\n for any line break. Raises KeyError."""
        return "\n".join(self._files[name].lines)

    def put(self, name: str, kind: str, text: str) -> bool:
        """Take in a file, in place of what it was; False, and then it is not there, where there is no room for it."""
        self.remove(name)
        if self._chars + len(text) > self._most_chars:
            return False
        lines = lines_of(text)
        first, starts = len(self._chunks), list(chunk_starts(lines))
        file = self._files[name] = _File(name, kind, lines, range(first, first + len(starts)), len(text))
        self._chars += len(text)
        for start in starts:
            self._add(file, start, words_of("\n".join(lines[start : start + CHUNK_LINES])))
        return True

    def remove(self, name: str) -> None:
        """Forget a file, if it is there."""
        file = self._files.pop(name, None)
        if file is None:
            return
        self._chars -= file.chars
        for number in file.chunks:
            chunk = self._chunks[number]
            assert chunk
            self._words -= chunk[2]
            self._chunks[number] = None
        self._gone += len(file.chunks)
        if self._gone > _GARBAGE_SHARE * len(self._chunks):
            self._make_anew()

    def like(self, before: str, behind: str, kind: str, most: int, skip: str = "") -> list[Piece]:
        """Return pieces of files of a kind that look like a text, the most useful last, at most `most` of them.

        `before` and `behind` are the text around a place. What comes last is what
        goes on elsewhere as `before` does here, if there is such a thing. Pieces
        do not overlap. `skip` is the text's own file.
        """
        lines = lines_of(before)
        around = "\n".join([*lines[-CHUNK_LINES * 3 // 4 :], *lines_of(behind)[: CHUNK_LINES // 4]])
        ranked = self._ranked(words_of(around), kind, skip)
        found: list[Piece] = []
        if most and (continued := _continued(lines, list(dict.fromkeys(file for file, _ in ranked)))):
            found.append(continued)
        for file, start in ranked:
            if len(found) >= most:
                break
            end = min(start + CHUNK_LINES, len(file.lines))
            if not any(_overlaps(piece, file.name, start, end) for piece in found):
                found.append(_piece(file, start, end))
        return found[::-1]

    # -- within -----------------------------------------------------------------------------

    def _add(self, file: _File, start: int, words: set[str]) -> None:
        number = len(self._chunks)
        self._chunks.append((file, start, len(words)))
        self._words += len(words)
        for word in words:
            self._holding.setdefault(word, array("I")).append(number)

    def _ranked(self, words: set[str], kind: str, skip: str) -> list[tuple[_File, int]]:
        """Return the chunks that are most like `words`, as (file, first line), the best first."""
        count, scores = self.chunks, dict[int, float]()
        weights: dict[str, float] = {}
        for word in words:
            held = len(self._holding.get(word, ()))
            if held and (held <= _COMMON_SHARE * count or count < _SMALL):
                weights[word] = math.log(1 + (count - min(held, count) + 0.5) / (held + 0.5))
        rarest = heapq.nlargest(_MOST_WORDS, weights, key=lambda word: (weights[word], word))
        mean = self._words / max(1, count)
        for word in rarest:
            for number in self._holding[word]:
                chunk = self._chunks[number]
                if chunk and chunk[0].kind == kind and chunk[0].name != skip:
                    length = _K1 * (1 - _B + _B * chunk[2] / mean)
                    scores[number] = scores.get(number, 0.0) + weights[word] * (_K1 + 1) / (1 + length)
        least = _LEAST_SHARE * sum(weights[word] for word in rarest)
        best = heapq.nlargest(_LOOKED_AT, scores, key=lambda number: (scores[number], -number))
        chunks = [self._chunks[number] for number in best if scores[number] >= least]
        return [(chunk[0], chunk[1]) for chunk in chunks if chunk]

    def _make_anew(self) -> None:
        """Drop what is gone from the lists."""
        files = list(self._files.values())
        self._files, self._chunks, self._holding = {}, [], {}
        self._gone = self._words = self._chars = 0
        for file in files:
            self.put(file.name, file.kind, "\n".join(file.lines))


def _continued(before: Sequence[str], files: Sequence[_File]) -> Piece | None:
    """Return lines that go on as the lines `before` do, the last of which may be the beginning of one."""
    current = before[-1].strip()
    told = [line.strip() for line in before[:-1] if line.strip()]
    if len(current) < _LEAST_LINE_CHAR:
        if not told or len(told[-1]) < _LEAST_LINE_CHAR:
            return None
        wanted, told = told[-1], told[:-1]
    else:
        wanted = current
    best: tuple[int, _File, int] | None = None
    for file in files:
        for index, line in enumerate(file.lines):
            stripped = line.strip()
            if stripped.startswith(wanted) if current == wanted else stripped == wanted:
                alike = _alike_before(told, file.lines, index)
                if best is None or alike > best[0]:
                    best = alike, file, index
    if best is None:
        return None
    alike, file, index = best
    start = max(0, index - min(alike, _MATCHED_LINES))
    return _piece(file, start, min(index + _CONTINUED_LINES, len(file.lines)))


def _alike_before(told: Sequence[str], lines: Sequence[str], index: int) -> int:
    """Return how many lines before `index` are as those told, blank ones aside."""
    alike = 0
    while index and alike < min(len(told), _MATCHED_LINES):
        index -= 1
        if not (stripped := lines[index].strip()):
            continue
        if stripped != told[-1 - alike]:
            break
        alike += 1
    return alike


def _overlaps(piece: Piece, name: str, start: int, end: int) -> bool:
    return piece.name == name and piece.first_line < end and start < piece.first_line + piece.text.count("\n")


def _piece(file: _File, start: int, end: int) -> Piece:
    return Piece(file.name, start, "".join(f"{line}\n" for line in file.lines[start:end]))
