"""Gaps cut out of any source text, as people leave them: the rest of a line, lines, inside words, two at once.

What is cut out of a file follows from the seed, the file's path and its text alone: other files of the tree do not
matter. Knows texts; knows no files, syntax or model.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b

from model.api.line_breaks import LINE_BREAK
from model.api.types import Gap

MOST_LINES = 5  # of a gap of several lines
_MOST_LINE_CHAR = 240
_MOST_GAP_CHAR = 600
_LEAST_GOLD_CHAR = 3  # that are not white space
_JOINT_LINES = 12  # at most, from one of two gaps that are filled jointly to the other
_WORD_GAP_CHAR = 40  # at most, of a gap from inside one word to inside another
_TRIES = 30
_ROUNDS = 20

_LINE = re.compile(rf"([^\r\n]*)({LINE_BREAK.pattern}|\Z)")
_WORD = re.compile(r"[^\W\d]\w{3,}")


class GapKind(StrEnum):
    """What is cut out."""

    REST = "rest"  # of a line, from somewhere behind its indentation
    LINE = "line"  # a whole one
    LINES = "lines"  # two to five whole ones
    WORD = "word"  # from inside a word to inside a later one of the line, or to the line's end
    JOINT = "joint"  # the rests of two lines near each other


@dataclass(frozen=True)
class Source:
    """A file to cut gaps out of. `path` is what the model is told, `name` tells it from files of other trees."""

    name: str
    path: str
    language: str
    text: str


@dataclass(frozen=True)
class CutGap:
    """One place of a file, or two that are filled jointly, with what stood there."""

    source: Source
    kind: GapKind
    ranges: tuple[Gap, ...]  # in the source's text, ascending

    @property
    def task_id(self) -> str:
        line = self.source.text.count("\n", 0, self.ranges[0].start) + 1
        return f"{self.source.name}:{line}:{self.ranges[0].start}:{self.kind}"

    @property
    def golds(self) -> tuple[str, ...]:
        """What stood in each gap."""
        return tuple(self.source.text[gap.start : gap.end] for gap in self.ranges)

    @property
    def cursors(self) -> tuple[Gap, ...]:
        """The gaps in the text without what stood there: empty ranges."""
        places, gone = [], 0
        for gap in self.ranges:
            places.append(Gap(gap.start - gone, gap.start - gone))
            gone += gap.end - gap.start
        return tuple(places)

    def filled(self, infills: Sequence[str]) -> str:
        """Return the text with `infills` in the gaps."""
        parts, at = [], 0
        for gap, infill in zip(self.ranges, infills, strict=True):
            parts += [self.source.text[at : gap.start], infill]
            at = gap.end
        return "".join([*parts, self.source.text[at:]])

    @property
    def text(self) -> str:
        """The text with nothing in the gaps."""
        return self.filled([""] * len(self.ranges))


def in_drawn_order(names: Iterable[str], seed: int) -> list[str]:
    """Return names in an order that is random, and stays as it is when others come or go."""
    return sorted(names, key=lambda name: blake2b(f"{seed}\0{name}".encode(errors="surrogateescape")).digest())


def cut_gaps(
    sources: Sequence[Source],
    kinds: Sequence[GapKind],
    per_language: int,
    seed: int,
    wanted: Callable[[CutGap], bool] = lambda cut: True,
) -> list[CutGap]:
    """Return `per_language` gaps of each language, fewer where there are not so many, those of a file together.

    Files are taken in turn in the order given, and kinds in turn, so that there are about as many gaps of each. Those
    that are not `wanted` are passed over.
    """
    found: list[CutGap] = []
    for language in dict.fromkeys(source.language for source in sources):
        files = [source for source in sources if source.language == language]
        found += _cut_in_turn(files, kinds, per_language, seed, wanted)
    places = {source.name: index for index, source in enumerate(sources)}
    return sorted(found, key=lambda cut: (places[cut.source.name], cut.ranges[0].start))


def _cut_in_turn(
    files: Sequence[Source], kinds: Sequence[GapKind], count: int, seed: int, wanted: Callable[[CutGap], bool]
) -> list[CutGap]:
    found: list[CutGap] = []
    for number in range(_ROUNDS):
        for source in files:
            if len(found) == count:
                return found
            kind = kinds[len(found) % len(kinds)]
            rng = random.Random(f"{seed}\0{source.path}\0{kind}\0{number}")
            ranges = _CUTTERS[kind](_Lines(source.text), rng)
            cut = CutGap(source, kind, ranges) if ranges else None
            if cut and wanted(cut) and not any(_overlap(cut, each) for each in found if each.source is source):
                found.append(cut)
    return found


def _overlap(one: CutGap, other: CutGap) -> bool:
    return one.ranges[0].start < other.ranges[-1].end and other.ranges[0].start < one.ranges[-1].end


# -- one gap ------------------------------------------------------------------------------------


class _Lines:
    """The lines of a text, and which of them say something."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.spans = [(found.start(1), found.end(1), found.end()) for found in _LINE.finditer(text)]
        self.telling = [index for index, (begin, end, _) in enumerate(self.spans) if index and _tells(text[begin:end])]

    def draw(self, rng: random.Random) -> list[int]:
        """Return some of the lines that say something, in random order."""
        return rng.sample(self.telling, min(_TRIES, len(self.telling)))


def _tells(line: str) -> bool:
    return len(line.strip()) > _LEAST_GOLD_CHAR and len(line) <= _MOST_LINE_CHAR and any(map(str.isalpha, line))


def _rest_of(lines: _Lines, index: int, rng: random.Random) -> Gap | None:
    text, (begin, end, _) = lines.text, lines.spans[index]
    first = begin + len(text[begin:end]) - len(text[begin:end].lstrip()) + 1
    places = [
        place
        for place in range(first, end)
        if len(text[place:end].strip()) >= _LEAST_GOLD_CHAR and not _is_inside_word(text, place)
    ]
    return Gap(rng.choice(places), end) if places else None


def _is_inside_word(text: str, place: int) -> bool:
    return re.fullmatch(r"\w\w", text[place - 1 : place + 1]) is not None


def _rest(lines: _Lines, rng: random.Random) -> tuple[Gap, ...]:
    return next(((gap,) for index in lines.draw(rng) if (gap := _rest_of(lines, index, rng))), ())


def _line(lines: _Lines, rng: random.Random) -> tuple[Gap, ...]:
    for index in lines.draw(rng):
        begin, _, after = lines.spans[index]
        return (Gap(begin, after),)
    return ()


def _several_lines(lines: _Lines, rng: random.Random) -> tuple[Gap, ...]:
    telling = set(lines.telling)
    for index in lines.draw(rng):
        last = index + rng.randint(1, MOST_LINES - 1)
        if last in telling and lines.spans[last][2] - lines.spans[index][0] <= _MOST_GAP_CHAR:
            return (Gap(lines.spans[index][0], lines.spans[last][2]),)
    return ()


def _inside_word(lines: _Lines, rng: random.Random) -> tuple[Gap, ...]:
    for index in lines.draw(rng):
        begin, end, _ = lines.spans[index]
        words = [found.span() for found in _WORD.finditer(lines.text, begin, end)]
        if not words:
            continue
        word = rng.choice(words)
        start = rng.randint(word[0] + 1, word[1] - 1)
        later = [other for other in words if word[1] <= other[0] < start + _WORD_GAP_CHAR]
        stop = rng.choice(later) if later else None
        return (Gap(start, rng.randint(stop[0] + 1, stop[1] - 1) if stop else end),)
    return ()


def _joint(lines: _Lines, rng: random.Random) -> tuple[Gap, ...]:
    telling = set(lines.telling)
    for index in lines.draw(rng):
        others = [other for other in range(index + 1, index + _JOINT_LINES + 1) if other in telling]
        first = _rest_of(lines, index, rng)
        second = _rest_of(lines, rng.choice(others), rng) if others else None
        if first and second:
            return (first, second)
    return ()


_CUTTERS: dict[GapKind, Callable[[_Lines, random.Random], tuple[Gap, ...]]] = {
    GapKind.REST: _rest,
    GapKind.LINE: _line,
    GapKind.LINES: _several_lines,
    GapKind.WORD: _inside_word,
    GapKind.JOINT: _joint,
}
