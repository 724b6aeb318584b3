"""Faults planted in real code, for measuring and calibrating what is said of lines.

Small whole files of installed packages; in each, far apart, up to three lines
are made wrong: an operator swapped, a name taken for another of the
neighbourhood, a number off by one, a line dropped or doubled. What no longer
parses is drawn again: a compiler would say so, no model is needed. All draws
follow from the seed and the files' texts.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path

from grammars import PlaceKind, SyntaxSnapshot, detect_language, error_spans, place_at, snapshot_of

LEAST_LINES, MOST_LINES, MOST_CHARS = 35, 110, 4500
_APART_LINES = 12  # between faults of one file
_KINDS = {"operator": 6, "number": 4, "name": 3, "dropped": 1, "doubled": 1}  # how often each is tried first
_NEAR_LINES = 30  # within so many lines another name is looked for

_SWAPS = {
    "==": ["!="], "!=": ["=="], "<": ["<=", ">"], "<=": ["<", ">="], ">": [">=", "<"], ">=": [">", "<="],
    "+": ["-"], "-": ["+"], "*": ["/", "+"], "/": ["*"], "%": ["/"], "+=": ["-="], "-=": ["+="], "*=": ["+="],
    "&&": ["||"], "||": ["&&"], "and": ["or"], "or": ["and"], "is": ["is not"], "is not": ["is"],
    "in": ["not in"], "not in": ["in"], "===": ["!=="], "!==": ["==="], "&": ["|"], "|": ["&"], "<<": [">>"],
    "true": ["false"], "false": ["true"], "True": ["False"], "False": ["True"], "not": [""], "!": [""],
}  # fmt: skip
_OPERATOR = re.compile(
    r"(?<= )(?:is not|not in|and|or|is|in|===|!==|==|!=|<=|>=|<<|\+=|-=|\*=|&&|\|\||[-+*/%<>&|])(?= )"
    r"|\b(?:not|true|false|True|False)\b|!(?=[\w(])"
)
_NAME = re.compile(r"\b[A-Za-z_]\w*\b")
_NUMBER = re.compile(r"(?<![\w.])\d{1,4}(?![\w.])|(?<=\w) [-+] 1\b|(?<=[\[:])[a-z]\w{0,4}(?=\])")
_DECLARED = re.compile(r"\b(?:def|class|function|func|fn|const|let|var|struct|namespace|#define)\s+$")
_KEYWORDS = frozenset(
    {
        "False", "None", "True", "and", "as", "assert", "async", "await", "auto",
        "bool", "break", "case", "catch", "char", "class", "const", "constexpr", "continue",
        "def", "default", "del", "do", "double", "elif", "else", "enum", "except",
        "explicit", "export", "extends", "false", "final", "finally", "float", "for", "from",
        "function", "global", "if", "import", "in", "inline", "int", "is", "lambda",
        "let", "long", "namespace", "new", "nonlocal", "not", "null", "nullptr", "operator",
        "or", "pass", "private", "protected", "public", "raise", "require", "return", "self",
        "short", "signed", "sizeof", "static", "struct", "super", "switch", "template", "this",
        "throw", "true", "try", "typename", "typeof", "uint", "undefined", "unsigned", "using",
        "var", "virtual", "void", "while", "with", "yield",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """A line that was made wrong. Of a dropped line, it is the one behind."""

    kind: str  # operator, name, number, dropped, doubled
    line: int  # in the text with the fault, from 1
    was: str | None  # the right line; None where a line was dropped or doubled


@dataclass(frozen=True)
class SeededFile:
    """A file with planted faults. `group` is the package that it is of: results of one belong together."""

    group: str
    path: str
    text: str
    faults: tuple[Fault, ...]
    language: str


def seeded_files(roots: Sequence[Path], suffixes: Sequence[str], seed: int = 0) -> Iterator[SeededFile]:
    """Yield files with faults, of packages that are folders right under `roots`.

    Packages take turns, in an order drawn with `seed`.
    """
    rng = random.Random(seed)
    packages = sorted(
        folder
        for root in roots
        for folder in root.iterdir()
        if folder.is_dir() and not folder.name.startswith((".", "_"))
    )
    rng.shuffle(packages)
    queues = [_shuffled(_files(package, suffixes), rng) for package in packages]
    while any(queues):
        for package, queue in zip(packages, queues, strict=True):
            while queue:
                path = queue.pop()
                made = _seeded(package, path, random.Random(f"{seed} {path.relative_to(package)}"))
                if made:
                    yield made
                    break


def _shuffled(paths: list[Path], rng: random.Random) -> list[Path]:
    rng.shuffle(paths)
    return paths


def _files(package: Path, suffixes: Sequence[str]) -> list[Path]:
    """Return the files of a package that may be used: of moderate size, and no tests."""
    return [
        path
        for path in sorted(package.rglob("*"))
        if path.suffix in suffixes
        and not any(part.startswith("test") or part == "node_modules" for part in path.relative_to(package).parts)
        and path.is_file()
        and path.stat().st_size <= MOST_CHARS
    ]


def _seeded(package: Path, path: Path, rng: random.Random) -> SeededFile | None:
    """Return a file with faults, or None for one that is too small, too large, does not parse or offers no place."""
    try:
        text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        return None
    lines = text.split("\n")
    if not LEAST_LINES <= len(lines) <= MOST_LINES or max(map(len, lines)) > 200 or "@generated" in text:
        return None
    language = detect_language(path.name, text=text)
    errors = error_spans(snapshot_of(text, language))
    if errors:
        return None
    faults: list[Fault] = []
    begin = rng.randrange(8)
    while begin + 8 < len(lines):
        place = list(range(begin, min(begin + 12, len(lines) - 1)))
        if made := _draw(lines, place, path.name, rng):
            lines, fault = made
            faults.append(fault)
        begin += 12 + _APART_LINES
    if not faults:
        return None
    where = f"{package.name}/{path.relative_to(package)}"
    return SeededFile(package.name, where, "\n".join(lines), tuple(faults), language.name)


def _draw(lines: list[str], place: list[int], name: str, rng: random.Random) -> tuple[list[str], Fault] | None:
    """Return the lines with one fault at an index of `place`, or None where none can be made."""
    kinds = sorted(_KINDS, key=lambda kind: rng.random() ** (1 / _KINDS[kind]), reverse=True)
    rng.shuffle(place)
    text = "\n".join(lines)
    language = detect_language(name, text=text)
    snapshot = snapshot_of(text, language)
    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    for kind in kinds:
        for index in place:
            line, begin = lines[index], starts[index]
            if not line.strip() or not _is_code(snapshot, begin + len(line) - len(line.lstrip())):
                continue
            if kind in ("dropped", "doubled"):
                made = _with_line_moved(lines, index, kind)
            else:
                made = _with_piece_changed(lines, index, kind, rng, partial(_is_code, snapshot, begin))
            if made and not error_spans(snapshot_of("\n".join(made[0]), language)):
                return made
    return None


def _with_line_moved(lines: list[str], index: int, kind: str) -> tuple[list[str], Fault] | None:
    line = lines[index].strip()
    if len(re.findall(r"\w+", line)) < 2 or not _is_statement(lines, index):
        return None
    if kind == "doubled":
        return [*lines[: index + 1], lines[index], *lines[index + 1 :]], Fault(kind, index + 2, None)
    behind = next((n for n in range(index + 1, len(lines)) if lines[n].strip()), None)
    if behind is None:
        return None
    return [*lines[:index], *lines[index + 1 :]], Fault(kind, behind, None)


def _is_statement(lines: list[str], index: int) -> bool:
    """Whether a line stands for itself: it opens nothing, and is no import or declaration."""
    line = lines[index].strip()
    brackets = sum(line.count(each) for each in "([{") - sum(line.count(each) for each in ")]}")
    opens = brackets or line.endswith((":", ",", "\\", "{", "(", "}"))
    return not opens and not re.match(r"(import|from|#|//|\*|/\*|using|export|@|\"\"\"|''')", line)


def _with_piece_changed(
    lines: list[str], index: int, kind: str, rng: random.Random, is_code: Callable[[int], bool]
) -> tuple[list[str], Fault] | None:
    """Return the lines with an operator, a name or a number of line `index` changed."""
    line = lines[index]
    pattern = {"operator": _OPERATOR, "name": _NAME, "number": _NUMBER}[kind]
    found = [match for match in pattern.finditer(line) if is_code(match.start())]
    if kind == "name":
        found = [match for match in found if not _DECLARED.search(line[: match.start()])]
    if kind != "operator":
        found = [match for match in found if match[0] not in _KEYWORDS]
    if not found or re.match(r"\s*(import|from|#|//|using|export|@)", line):
        return None
    match = rng.choice(found)
    if kind == "operator":
        other = rng.choice(_SWAPS[match[0]])
    elif kind == "number":
        other = _off_by_one(match[0], rng)
    else:
        other = _other_name(lines, index, match[0], rng)
    end = match.end() + (other == "" and line[match.end() : match.end() + 1] == " ")
    changed = line[: match.start()] + other + line[end:]
    if changed == line:
        return None
    return [*lines[:index], changed, *lines[index + 1 :]], Fault(kind, index + 1, line)


def _off_by_one(piece: str, rng: random.Random) -> str:
    """Return a number that is one off, nothing for a term of one, or a name with such a term."""
    if piece.isdigit():
        return str(max(0, int(piece) + rng.choice((-1, 1))))
    return "" if piece.startswith(" ") else piece + rng.choice((" + 1", " - 1"))


def _other_name(lines: list[str], index: int, name: str, rng: random.Random) -> str:
    """Return another name of the neighbourhood, spelled in the same style: one that could be meant there."""
    near = lines[max(0, index - _NEAR_LINES) : index + _NEAR_LINES]
    names = {found for line in near for found in _NAME.findall(re.sub(r"(\"|').*?\1|(#|//).*", "", line))}
    alike = sorted(
        other
        for other in names - _KEYWORDS - {name}
        if (other.isupper(), other[:1].isupper()) == (name.isupper(), name[:1].isupper())
    )
    return rng.choice(alike) if alike else name


def _is_code(snapshot: SyntaxSnapshot, begin_char: int, column: int = 0) -> bool:
    """Whether a character of the line that begins at `begin_char` is code; the cursor before it may still be so."""
    return all(place_at(snapshot, begin_char + column + n).kind is PlaceKind.CODE for n in (0, 1))
