"""Lines that stand twice in a row: the typical fault of a model that fills gaps, and of a merge.

Knows which lines say so much that nobody writes them twice by chance. Blank lines do not count; strings, comments,
imports and data, where rows may well be equal, are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from grammars import PlaceKind
from lint.records import ChangedFile, Finding, Level, Rule
from lint.rules.source import Source, source_of

REPEATED_BLOCK = Rule(
    id="repeated-block",
    level=Level.WARNING,
    title="Lines of code stand twice in a row",
    explanation=(
        "The same lines, letter for letter, follow each other. Models that do not know when to end repeat themselves "
        "like this. Calls alone are not reported, for they may have to be made twice, nor are data, imports and text."
    ),
)
REPEATS_WHAT_FOLLOWS = Rule(
    id="repeats-what-follows",
    level=Level.WARNING,
    title="Added lines repeat the lines beside them",
    explanation=(
        "What the change adds ends with the lines that stood behind it already, or begins with those that stood before "
        "it. A model that fills a gap does so when it does not see, or ignores, the other side."
    ),
)

_LONGEST = 40  # lines of a block
_MOST = 20  # findings of one rule in one file
_DATA_LANGUAGES = frozenset({"json", "yaml", "toml", "html", "css"})
_WORD = re.compile(r"[A-Za-z_]\w+")
_LEAST_CHAR = 12
_DATA = re.compile(r"^[\"'`]|^[^A-Za-z]*$|,$")
_ONCE = re.compile(
    r"^(?:return|if|elif|else if|\} else if|for|while|switch|match|case|when|def|func|fn|function|class|struct|enum|"
    r"interface|let|const|var|raise|throw|yield return|export|public|private|protected|static)\b"
    r"|^[\w.$@*&\[\]<>:, ]*[\w\])] *(?::=|=(?![=>~]))"
)  # what it makes no sense to do twice, unlike a call
_CONTROL = re.compile(r"^(?:for|while|if|elif|else|case)\b[^\n]*\b(?:pass|continue|break)$|^[\w.]+ *[+*/|&^<>-]+=")


@dataclass(frozen=True)
class _Rows:
    """The lines of a file that are not blank: their numbers, and their texts without trailing blanks."""

    source: Source
    numbers: list[int]
    texts: list[str]

    @classmethod
    def of(cls, source: Source) -> _Rows:
        kept = [(number, text.rstrip()) for number, text in enumerate(source.file.lines, 1) if text.strip()]
        return cls(source, [number for number, _ in kept], [text for _, text in kept])

    def is_added(self, row: int) -> bool:
        return self.numbers[row] in self.source.file.added

    def is_code(self, row: int) -> bool:
        """Whether the line begins in code, not in a string, comment or import."""
        start = self.source.offset_of(self.numbers[row])
        indent = len(self.texts[row]) - len(self.texts[row].lstrip())
        kinds = {self.source.kind_at(start), self.source.kind_at(start + indent + 1)}
        return not kinds & {PlaceKind.COMMENT, PlaceKind.IMPORT} and self.source.kind_at(start) is PlaceKind.CODE

    def finding(self, rule: Rule, start: int, count: int, of: int) -> Finding:
        """That `count` rows from `start` repeat those from `of`."""
        first, last = self.numbers[start], self.numbers[start + count - 1]
        if count == 1:
            message = f"This line repeats line {self.numbers[of]}"
        else:
            message = f"These {count} lines repeat lines {self.numbers[of]} to {self.numbers[of + count - 1]}"
        return self.source.finding(rule, self.source.line_span(first, last), message)


def repeated_blocks(file: ChangedFile) -> Iterator[Finding]:
    """Find lines that stand twice in a row, all of them added or none."""
    rows = _rows(file)
    found = 0
    for start, end, count in _periodic(rows.texts):
        is_mixed = len({rows.is_added(row) for row in range(start, end)}) > 1
        if is_mixed or not _says_something(rows, start, count, is_beside=False):
            continue
        yield rows.finding(REPEATED_BLOCK, start + count, count, start)
        found += 1
        if found >= _MOST:
            return


def repeats_of_what_follows(file: ChangedFile) -> Iterator[Finding]:
    """Find added lines that are equal to as many unchanged ones right behind, or before them."""
    rows = _rows(file)
    texts, size = rows.texts, len(rows.texts)
    found = 0
    for row in range(1, size):
        if rows.is_added(row) == rows.is_added(row - 1):
            continue
        for count in range(min(_LONGEST, row, size - row), 0, -1):
            if texts[row - count : row] != texts[row : row + count] or _is_mixed(rows, row, count):
                continue
            if not _says_something(rows, row, count, is_beside=True):
                continue
            added, other = (row, row - count) if rows.is_added(row) else (row - count, row)
            yield rows.finding(REPEATS_WHAT_FOLLOWS, added, count, other)
            found += 1
            break
        if found >= _MOST:
            return


def _rows(file: ChangedFile) -> _Rows:
    source = source_of(file)
    if source.snapshot.tree is None or source.language.name in _DATA_LANGUAGES:
        return _Rows(source, [], [])
    return _Rows.of(source)


def _is_mixed(rows: _Rows, row: int, count: int) -> bool:
    """Whether either side of the border before `row` has lines of the other kind."""
    above = {rows.is_added(each) for each in range(row - count, row)}
    return len(above) > 1 or len({rows.is_added(each) for each in range(row, row + count)}) > 1


def _says_something(rows: _Rows, start: int, count: int, *, is_beside: bool) -> bool:
    """Whether the block is worth a word: beside unchanged lines any real line is, else what is not done twice."""
    telling = [row for row in range(start, start + count) if _is_telling(rows.texts[row].strip())]
    if not telling or 2 * len(telling) < count or not rows.is_code(telling[0]):
        return False
    once = [row for row in telling if _ONCE.match(text := rows.texts[row].strip()) and not _CONTROL.match(text)]
    return is_beside or bool(once) or count >= 6


def _is_telling(text: str) -> bool:
    return len(text) >= _LEAST_CHAR and not _DATA.search(text) and len(_WORD.findall(text)) >= 2


def _periodic(texts: list[str]) -> Iterator[tuple[int, int, int]]:
    """Yield (start, end, period) of stretches in which each line is equal to the one a period before, twice at least.

    Periods are those between telling lines and their next occurrence, so a text costs about its length.
    """
    following: dict[str, int] = {}
    by_period: dict[int, list[int]] = {}
    for row in range(len(texts) - 1, -1, -1):
        period = following.get(texts[row], len(texts)) - row
        if 0 < period <= _LONGEST and row + period < len(texts) and _is_telling(texts[row].strip()):
            by_period.setdefault(period, []).append(row)
        following[texts[row]] = row
    covered = -1
    stretches = []
    for period, starts in sorted(by_period.items()):
        covered = -1
        for row in reversed(starts):
            if row < covered:
                continue
            start, end = row, row + 1
            while start > max(0, covered) and texts[start - 1] == texts[start - 1 + period]:
                start -= 1
            while end + period < len(texts) and texts[end] == texts[end + period]:
                end += 1
            covered = end
            if end - start >= period:
                stretches.append((start, end + period, period))
    yield from _apart(stretches)


def _apart(stretches: list[tuple[int, int, int]]) -> Iterator[tuple[int, int, int]]:
    """Leave out stretches that begin within one of a shorter period."""
    taken: set[int] = set()
    for start, end, period in stretches:
        if start not in taken:
            taken.update(range(start, end))
            yield start, end, period
