"""What `setfill demo` takes out of real files: ends of lines in Python's standard library, drawn with a seed.

Every word that is taken out stands elsewhere in the file too, so that nobody has to guess a name. Nothing else is
chosen. Knows no model.
"""

from __future__ import annotations

import io
import random
import re
import sysconfig
import tokenize
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from model.api.types import Gap
from model.errors import InputError
from setfill.text_files import Position, SourceFile

LEAST_CHAR, MOST_CHAR = 5, 40
"""Of an end of line that is taken out: a closing bracket is no question, and a long text never comes back as it was."""
_LARGEST_BYTES = 100_000
_MOST_LINES_APART = 12  # gaps that are filled together
_WORD = re.compile(r"\w+")
_PLAIN = frozenset({tokenize.NAME, tokenize.NUMBER, tokenize.OP, tokenize.STRING})


@dataclass(frozen=True)
class Piece:
    """A source file and the gaps to fill in it; the text now in the gaps is not shown to the model."""

    source: SourceFile
    gaps: tuple[Gap, ...]


def drawn_pieces(seed: int, singles: int, pairs: int) -> list[Piece]:
    """Return `singles` pieces of one gap and `pairs` of two, each of another file. InputError without the library."""
    rng = random.Random(seed)
    folder = Path(sysconfig.get_path("stdlib"))
    paths = sorted(path for path in folder.glob("*.py") if path.is_file() and path.stat().st_size <= _LARGEST_BYTES)
    rng.shuffle(paths)
    pieces: list[Piece] = []
    for path in paths:
        wanted = 2 if singles <= len(pieces) else 1
        source = SourceFile.read(path)
        gaps = _draw(rng, list(line_ends(source)), wanted)
        if gaps:
            pieces.append(Piece(source, gaps))
        if len(pieces) == singles + pairs:
            return pieces
    raise InputError(f"the source files of Python's standard library are not in {folder}; install them to see a demo")


def _draw(rng: random.Random, lines: list[list[Gap]], wanted: int) -> tuple[Gap, ...]:
    """Return a gap of each of `wanted` lines near each other, none where there are no such lines."""
    if len(lines) < 2 * wanted:
        return ()
    first = rng.randrange(len(lines) - wanted + 1)
    others = range(first + 1, min(len(lines), first + _MOST_LINES_APART))
    chosen = sorted([first, *rng.sample(others, min(wanted - 1, len(others)))])
    return tuple(rng.choice(lines[number]) for number in chosen)


def line_ends(source: SourceFile) -> Iterator[list[Gap]]:
    """Yield, for each line of code, the gaps from one of its tokens to its end, comments not counted."""
    counts = Counter(_WORD.findall(source.text))
    line: list[tokenize.TokenInfo] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(source.text, newline="").readline):
            if line and token.start[0] != line[-1].start[0]:
                if gaps := [
                    gap for gap in _ends_of(source, line) if _is_known(source.text[gap.start : gap.end], counts)
                ]:
                    yield gaps
                line = []
            if token.type in _PLAIN:
                line.append(token)
    except (tokenize.TokenError, SyntaxError):  # of another version of Python
        return


def _is_known(taken: str, counts: Counter[str]) -> bool:
    return all(counts[word] > times for word, times in Counter(_WORD.findall(taken)).items())


def _ends_of(source: SourceFile, line: list[tokenize.TokenInfo]) -> list[Gap]:
    """Return the gaps of one line. Its first token stays, and texts of several lines have no end of line."""
    if any(token.start[0] != token.end[0] for token in line):
        return []
    end = source.index(Position(line[-1].end[0], line[-1].end[1] + 1))
    starts = [source.index(Position(token.start[0], token.start[1] + 1)) for token in line[1:]]
    return [Gap(start, end) for start in starts if LEAST_CHAR <= end - start <= MOST_CHAR]
