"""Unified diffs: which files a diff changes, and which lines of them.

Knows the forms that git and diff write, and no files: what a diff says of a file
is compared with the file in `lint.work_tree`. Hunks are read by unidiff. The names
of files are read here: a header `diff --git` alone does not tell where one ends,
and git quotes names that are not plain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from unidiff import PatchedFile, PatchSet, UnidiffParseError
from unidiff.constants import DEV_NULL

from model.errors import InputError

MAX_DIFF_BYTES = 16 * 2**20
"""What lies beyond is left out: 300,000 lines take some seconds to read."""

_GIT = "diff --git "
_COMBINED = ("diff --cc ", "diff --combined ", "@@@ ")
_MARKS = [{"a/", "b/"}, {"i/", "w/"}, {"c/", "i/"}, {"c/", "w/"}, {"o/", "w/"}, {"1/", "2/"}]
"""What git puts before the names of the two sides: its default, those of `diff.mnemonicPrefix`, and of `--no-index`."""
_ESCAPE = re.compile(r"\\([0-7]{1,3}|.)", re.DOTALL)
_ESCAPES = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13}
_CRLF_HEADER = re.compile(r"^(?:diff --git .*|--- .*|\+\+\+ .*|@@ -.*)\r\n", re.MULTILINE)
_COLOURED = re.compile(r"^\x1b\[[0-9;]*m(?:diff|---|\+\+\+|@@)", re.MULTILINE)


@dataclass(frozen=True)
class HunkLine:
    """A line of a hunk: `kind` is " " for one of both sides, "+" for an added one, "-" for one taken out."""

    kind: str
    text: str  # with its line break, unless the file ends without one


@dataclass(frozen=True)
class Hunk:
    """Neighbouring changed lines of a file. `first` is the index, from 0, of its first line in the file after."""

    first: int
    lines: tuple[HunkLine, ...]


@dataclass(frozen=True)
class FileDiff:
    """What a diff says of one file.

    `paths` are the names that the file may have after the change, the likeliest
    first: a diff may have something before names that only the work tree tells
    from a folder. `old_path` is None for a new file. `obstacle` says why there is
    nothing to look at, empty when there is.
    """

    paths: tuple[str, ...]
    old_path: str | None
    hunks: tuple[Hunk, ...] = ()
    obstacle: str = ""

    @property
    def path(self) -> str:
        return self.paths[0]


@dataclass(frozen=True)
class _Names:
    """The names in a header, without what git puts before them; None on the side where there is no file."""

    old: tuple[str, ...] | None
    new: tuple[str, ...] | None


def read_diff(data: bytes) -> tuple[tuple[FileDiff, ...], tuple[str, ...]]:
    """Return the files of a diff in its order, and a sentence for each thing that was left out.

    InputError for what is no unified diff, for combined diffs of merges, and for
    names that lead out of the folder that the diff is of.
    """
    text, notes = _bounded(_decoded(data))
    header = _CRLF_HEADER.search(text)
    if header:  # the diff was converted, whatever its files have
        text = text.replace("\r\n", "\n")
    text, names = _with_plain_names(text if text.endswith("\n") else text + "\n")
    try:
        patches = PatchSet(text)
    except UnidiffParseError as error:
        raise InputError(f"the diff cannot be read ({_sentence(error)}): give it as git or diff -u wrote it") from None
    except ValueError:  # a number of thousands of digits
        raise InputError("the diff cannot be read (a line number is too long): give it as git wrote it") from None
    if not patches and text.strip():
        raise InputError(f"there is no unified diff in the input: {_advice(text)}")
    return tuple(each for patch in patches if (each := _file_diff(patch, names))), notes


def _decoded(data: bytes) -> str:
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")):
        if data.startswith(mark):  # redirected by a PowerShell
            return data.decode(encoding, errors="replace")
    return data.decode("utf-8", errors="surrogateescape")


def _bounded(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the files at the beginning of a long diff, and a note about the others."""
    if len(text) <= MAX_DIFF_BYTES:
        return text, ()
    end = text.rfind(f"\n{_GIT}", 0, MAX_DIFF_BYTES) + 1
    size = f"{MAX_DIFF_BYTES // 2**20} MiB"
    if not end:
        raise InputError(f"the diff is larger than {size}: give that of fewer files")
    return text[:end], (f"only the first {size} of the diff were looked at",)


def _sentence(error: Exception) -> str:
    """Return what unidiff complains of, without the line of the file that it quotes."""
    return str(error).partition(":")[0].strip().lower()


def _advice(text: str) -> str:
    if _COLOURED.search(text):
        return "it is coloured; give that of git diff --no-color"
    return "give that of git diff, or --base REF, or names of files"


# Names


def _with_plain_names(text: str) -> tuple[str, list[_Names]]:
    """Return the diff with a number in place of each name in git's headers, and the names by those numbers.

    A line of a hunk begins with " ", "+", "-" or a backslash, so what is looked for here stands in none.
    """
    if any(text.startswith(mark) or f"\n{mark}" in text for mark in _COMBINED):
        raise InputError(
            "a combined diff of a merge cannot be looked at: compare with one side of it, as in git diff HEAD^1 HEAD"
        )
    parts = re.split(rf"^(?={_GIT})", text, flags=re.MULTILINE)
    names: list[_Names] = []
    for index, part in enumerate(parts):
        if part.startswith(_GIT):
            header, body = _header_and_body(part)
            parts[index] = "".join(_renamed(header, len(names))) + body
            names.append(_names_in(header))
    return "".join(parts), names


def _header_and_body(part: str) -> tuple[list[str], str]:
    body = re.search(r"^(?:@@ |GIT binary patch|Binary files )", part, re.MULTILINE)
    end = body.start() if body else len(part)
    return re.findall(r"[^\n]*\n", part[:end]), part[end:]


def _renamed(header: list[str], number: int) -> Iterator[str]:
    for line in header:
        if line.startswith(_GIT):
            yield f"{_GIT}a/{number} b/{number}\n"
        elif line.startswith(("--- ", "+++ ")):
            side = "a" if line.startswith("-") else "b"
            yield f"{line[:4]}{DEV_NULL}\n" if line[4:].startswith(DEV_NULL) else f"{line[:4]}{side}/{number}\n"
        else:
            yield line


def _names_in(header: list[str]) -> _Names:
    """Return the names that a header of git's gives. InputError when there are none."""
    said: dict[str, str] = {}
    for line in header:
        for key in ("rename from ", "rename to ", "copy from ", "copy to ", "--- ", "+++ "):
            if line.startswith(key):
                said[key.split()[-1]] = line.removeprefix(key)
        if line.startswith(("new file mode", "deleted file mode")):
            said["mode"] = line
    pair = _split_pair(header[0].removeprefix(_GIT).rstrip("\n"))
    if "to" in said and "from" in said:  # these stand without anything before them
        return _Names((_unquoted(said["from"]),), (_unquoted(said["to"]),))
    old, new = (_unquoted(said[side]) if side in said else None for side in ("---", "+++"))
    left, right = pair or (old, new)
    if left is None or right is None or DEV_NULL in (left, right):
        raise InputError("the diff cannot be read (a header without names): give it as git wrote it")
    mode = said.get("mode", "")
    return _Names(
        None if old == DEV_NULL or mode.startswith("new") else _without_mark(left, right),
        None if new == DEV_NULL or mode.startswith("deleted") else _without_mark(right, left),
    )


def _split_pair(names: str) -> tuple[str, str] | None:
    """Return the two names behind `diff --git`, which are the same but for what stands before them; None if not."""
    if names.startswith('"'):
        end = re.match(r'"(?:[^"\\]|\\.)*"', names)
        return (_unquoted(end[0]), _unquoted(names[end.end() + 1 :])) if end else None
    if names.endswith('"') and ' "' in names:
        left, _, right = names.partition(' "')
        return left, _unquoted('"' + right)
    middle = len(names) // 2
    spaces = [match.start() for match in re.finditer(" ", names)]
    for at in sorted(spaces, key=lambda space: abs(space - middle))[:100]:
        left, right = names[:at], names[at + 1 :]
        if left == right or left.partition("/")[2] == right.partition("/")[2] != "":
            return left, right
    return None


def _without_mark(name: str, other: str) -> tuple[str, ...]:
    """Return what `name` may be without what stands before it, given the name of the other side."""
    mark, rest = name[:2], name[2:]
    if name == other:
        return (name,)
    if rest and {mark, other[:2]} in _MARKS:
        return (rest,)
    if other == DEV_NULL and rest and any(mark in marks for marks in _MARKS):
        return rest, name
    shorter = name.partition("/")[2]
    return (name, shorter) if shorter else (name,)


def _unquoted(name: str) -> str:
    """Return a name as it is: git quotes one with characters that are not plain as C does, in octal bytes."""
    name = name.rstrip("\r\n").removesuffix("\t")  # git ends a name that has spaces with a tab
    if len(name) < 2 or not (name.startswith('"') and name.endswith('"')):
        return name
    data = bytearray()
    at = 0
    inner = name[1:-1]
    for escape in _ESCAPE.finditer(inner):
        data += inner[at : escape.start()].encode("utf-8", errors="surrogateescape")
        code = escape[1]
        value = int(code, 8) & 0xFF if code.isdecimal() else _ESCAPES.get(code)
        data += code.encode("utf-8", errors="surrogateescape") if value is None else bytes([value])
        at = escape.end()
    data += inner[at:].encode("utf-8", errors="surrogateescape")
    return data.decode("utf-8", errors="surrogateescape")


def refuse_outside(path: str) -> None:
    """Raise InputError for a name that leads out of the folder that it is of, or into git's own files."""
    parts = PurePosixPath(path).parts
    is_strange = not parts or "\0" in path or re.match(r"[A-Za-z]:[\\/]|\\\\", path)
    if is_strange or path.startswith("/") or ".." in parts or any(part.casefold() == ".git" for part in parts):
        raise InputError(f"the diff names {path!r}, which is outside of the work tree: it was not read")


# Files


def _file_diff(patch: PatchedFile, names: list[_Names]) -> FileDiff | None:
    """Return what a diff says of a file; None for a file that it only mentions."""
    number = re.fullmatch(r"diff --git a/(\d+) b/\d+\n", patch.patch_info[0]) if patch.patch_info else None
    found = names[int(number[1])] if number else _plain_names(patch)
    for each in (*(found.old or ()), *(found.new or ())):
        refuse_outside(each)
    old = found.old[0] if found.old else None
    paths = found.new or found.old
    if paths is None:
        return None
    if patch.is_binary_file:
        return FileDiff(paths, old, obstacle="is binary")
    if patch.is_submodule:
        return FileDiff(paths, old, obstacle="is a submodule")
    if patch.is_symlink:
        return FileDiff(paths, old, obstacle="is a symbolic link")
    if found.new is None:
        return FileDiff(paths, old, obstacle="was deleted")
    return FileDiff(paths, old, _hunks(patch))


def _plain_names(patch: PatchedFile) -> _Names:
    old, new = _unquoted(patch.source_file), _unquoted(patch.target_file)
    return _Names(
        None if old == DEV_NULL else _without_mark(old, new), None if new == DEV_NULL else _without_mark(new, old)
    )


def _hunks(patch: PatchedFile) -> tuple[Hunk, ...]:
    hunks = []
    for hunk in patch:
        lines: list[HunkLine] = []
        for line in hunk:
            if line.line_type == "\\" and lines:
                lines[-1] = HunkLine(lines[-1].kind, lines[-1].text.removesuffix("\n"))
            elif line.line_type in ("+", "-", " "):
                lines.append(HunkLine(line.line_type, line.value))
        # Of no lines, a header names the line before them.
        first = hunk.target_start - (1 if hunk.target_length else 0)
        hunks.append(Hunk(first, tuple(lines)))
    return tuple(hunks)
