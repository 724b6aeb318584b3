"""The files that a patch leads to, as they are in the work tree, and what they were before it.

Reads files within one folder only, and follows no link. Knows what a diff says of
a file, but no diff formats, and no git.
"""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lint.diffs import FileDiff, Hunk, refuse_outside
from lint.records import ChangedFile, Patch, split_lines
from model.errors import InputError, cannot_read

MAX_FILES = 300
"""More than a person would read findings about; the others are named in a note."""
MAX_FILE_BYTES = 2**20
"""Larger files are data, or made by a program."""
_NAMED = 3  # files that a note names; it counts the others

Wanted = Callable[[str], bool]


class _Unreadable(Exception):
    """A file that is not looked at. The text says what it is, as in "is binary"."""


class _Mismatch(Exception):
    """A file that does not hold what the diff says. The text says where."""


@dataclass
class _Reading:
    """What has been read so far."""

    files: list[ChangedFile] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)  # what they are, and their names
    mismatches: list[str] = field(default_factory=list)

    def leave_out(self, path: str, reason: str) -> None:
        self.left_out.setdefault(reason, []).append(path)

    def patch(self, notes: Iterable[str]) -> Patch:
        told = [f"{_named(names)}: not looked at, as {_subject(names)} {what}" for what, names in self.left_out.items()]
        return Patch(tuple(self.files), (*notes, *told))


def changed_files(root: Path, diffs: Sequence[FileDiff], wanted: Wanted, notes: Iterable[str] = ()) -> Patch:
    """Return the files that `diffs` change, as they are below `root`; `wanted` says which may be looked at.

    InputError where a file is not what the diff leads to, or would have to be read
    outside of `root`.
    """
    reading = _Reading()
    for diff in diffs:
        if diff.obstacle:
            reading.leave_out(diff.path, diff.obstacle)
        elif not wanted(diff.path):
            reading.leave_out(diff.path, "is excluded")
        elif len(reading.files) == MAX_FILES:
            reading.leave_out(diff.path, f"comes after the first {MAX_FILES} files")
        else:
            _read_changed(reading, root, diff)
    if reading.mismatches:
        first, *others = reading.mismatches
        more = f" (and {len(others)} more files are not)" if others else ""
        raise InputError(
            f"{first}{more}: check out the commit that the diff leads to, with its changes, and give the folder that "
            "its names are in with --root"
        )
    return reading.patch(notes)


def whole_files(root: Path, paths: Sequence[str], wanted: Wanted) -> Patch:
    """Return files below `root` with all lines counted as added. InputError for a folder, and what cannot be read."""
    reading = _Reading()
    for path in dict.fromkeys(paths):
        if not wanted(path):
            reading.leave_out(path, "is excluded")
        elif len(reading.files) == MAX_FILES:
            reading.leave_out(path, f"comes after the first {MAX_FILES} files")
        elif (root / path).is_dir() and not (root / path).is_symlink():
            raise InputError(f"{path} is a folder: name files, or give --base for what has changed in it")
        else:
            try:
                text = _read(root, path)
            except _Unreadable as error:
                reading.leave_out(path, str(error))
            except OSError as error:
                raise cannot_read(path, error) from None
            else:
                lines = frozenset(range(1, len(split_lines(text)) + 1))
                reading.files.append(ChangedFile(path, text, None, lines, lines))
    return reading.patch(())


def _read_changed(reading: _Reading, root: Path, diff: FileDiff) -> None:
    path = next((each for each in diff.paths if os.path.lexists(root / each)), diff.path)
    try:
        if path.encode("utf-8", errors="replace").decode() != path:
            raise _Unreadable("has a name that is not UTF-8")
        text = _read(root, path)
        before, added, shown = _taken_back(text, diff.hunks)
    except _Unreadable as error:
        reading.leave_out(path, str(error))
    except _Mismatch as error:
        reading.mismatches.append(f"{path} is not what the diff leads to: {error}")
    except OSError as error:
        reading.mismatches.append(f"cannot read {path}, which the diff changes: {error.strerror}")
    else:
        is_new = diff.old_path is None
        moved_from = diff.old_path if diff.old_path != path and diff.path == path else None
        reading.files.append(ChangedFile(path, text, None if is_new else before, added, shown, moved_from))


def _read(root: Path, path: str) -> str:
    """Return the text of a file, without a byte order mark. OSError, InputError for a name that leads outside."""
    refuse_outside(path)
    place = root
    for part in path.split("/"):
        place = place / part
        if place.is_symlink():
            raise _Unreadable("is a symbolic link, or lies beyond one")
    status = place.stat()
    if not stat.S_ISREG(status.st_mode):
        raise _Unreadable("is no regular file")
    if status.st_size > MAX_FILE_BYTES:
        raise _Unreadable(f"is larger than {MAX_FILE_BYTES // 1024} KiB")
    data = place.read_bytes().removeprefix(codecs.BOM_UTF8)
    if b"\0" in data:
        raise _Unreadable("is binary")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise _Unreadable("is not UTF-8") from None


def _taken_back(text: str, hunks: Sequence[Hunk]) -> tuple[str, frozenset[int], frozenset[int]]:
    """Return the text before the hunks, and the numbers of the added and of all shown lines. _Mismatch."""
    lines = text.split("\n")
    lines = [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    before: list[str] = []
    added: set[int] = set()
    shown: set[int] = set()
    at = 0
    for hunk in hunks:
        if not at <= hunk.first <= len(lines):
            raise _Mismatch(f"it has {len(lines)} lines, and the diff one after line {hunk.first}")
        before += lines[at : hunk.first]
        at = hunk.first
        for line in hunk.lines:
            if line.kind == "-":
                before.append(line.text.removeprefix("\ufeff") if not before else line.text)
                continue
            if at == len(lines) or not _is_same(line.text, lines[at], exact=line.kind == "+"):
                raise _Mismatch(f"line {at + 1} differs")
            if line.kind == "+":
                added.add(at + 1)
            else:
                before.append(lines[at])
            shown.add(at + 1)
            at += 1
    before += lines[at:]
    whole = "".join(before).encode("utf-8", errors="surrogateescape").decode("utf-8", errors="replace")
    return whole, frozenset(added), frozenset(shown)


def _is_same(told: str, line: str, exact: bool) -> bool:
    """Whether a line is what the diff says. One that only stands around changes may differ in white space (diff -w)."""
    told = told.removeprefix("\ufeff")
    if exact:
        return told.rstrip("\r\n") == line.rstrip("\r\n")
    return told.split() == line.split()


def _named(names: list[str]) -> str:
    shown = ", ".join(shown_path(name) for name in names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown


def _subject(names: list[str]) -> str:
    return "each" if len(names) > 1 else "it"


def shown_path(path: str) -> str:
    """Return a path as it can be printed in a line."""
    return path if path.isprintable() else ascii(path)
