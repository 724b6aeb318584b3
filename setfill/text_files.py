"""Source files: reading them without loss, finding places in them, writing them back.

Lines end at \\n, \\r\\n and \\r, as in editors; positions are 1-based, columns in
characters (code points). A byte order mark is kept but is no character.
"""

from __future__ import annotations

import codecs
import itertools
import os
import stat
import sys
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from model.api.line_breaks import LINE_BREAK
from model.api.types import Gap
from model.errors import InputError, RangeError, cannot_read
from setfill import file_contents

MAX_FILE_BYTES = 16 * 2**20


@dataclass(frozen=True, order=True)
class Position:
    """A place between two characters. Line and column are 1-based."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


@dataclass(frozen=True)
class SourceFile:
    """A text file as it was read."""

    path: Path
    data: bytes
    text: str  # without the byte order mark, line breaks as in the file

    @classmethod
    def read(cls, path: Path) -> SourceFile:
        """Read a file. InputError when it cannot be read, or is not UTF-8 text."""
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):
                kind = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
                raise InputError(f"{path} is {kind}: give a text file")
            if status.st_size > MAX_FILE_BYTES:
                raise _too_large(path)
            data = path.read_bytes()
        except OSError as error:
            raise cannot_read(path, error) from None
        except ValueError:
            raise InputError("the file's name holds a null character: give another name") from None
        return cls._of(path, data)

    @classmethod
    def read_standard_input(cls, name: Path) -> SourceFile:
        """Read standard input to its end, as a file called `name` that need not exist. InputError as for `read`."""
        return cls._of(name, sys.stdin.buffer.read(MAX_FILE_BYTES + 1))

    @classmethod
    def _of(cls, path: Path, data: bytes) -> SourceFile:
        if len(data) > MAX_FILE_BYTES:
            raise _too_large(path)
        if b"\0" in data:
            raise InputError(f"{path} is a binary file (byte {data.index(0)} is NUL): give a text file")
        try:
            return cls(path, data, data.removeprefix(codecs.BOM_UTF8).decode("utf-8"))
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path} is not UTF-8 (byte {error.start}): convert it first, for instance with iconv"
            ) from None

    @cached_property
    def line_starts(self) -> list[int]:
        return [0, *(match.end() for match in LINE_BREAK.finditer(self.text))]

    def index(self, position: Position) -> int:
        """Return the string index of a position. RangeError when it is not in the text."""
        if not 1 <= position.line <= len(self.line_starts):
            raise RangeError(f"{self.path} has {len(self.line_starts)} lines: there is no line {position.line}")
        start = self.line_starts[position.line - 1]
        length = len(self._line(position.line))
        if not 1 <= position.column <= length + 1:
            raise RangeError(
                f"line {position.line} of {self.path} has {length} characters: "
                f"columns go from 1 to {length + 1}, not {position.column}"
            )
        return start + position.column - 1

    def position(self, index: int) -> Position:
        """Return the position of a string index."""
        line = bisect_right(self.line_starts, index)
        return Position(line, index - self.line_starts[line - 1] + 1)

    def gaps(self, ranges: Sequence[tuple[Position, Position]]) -> list[Gap]:
        """Return the gaps of `ranges`, ascending.

        RangeError when one is outside, reversed, or not apart from the others.
        """
        gaps = []
        for start, end in ranges:
            if end < start:
                raise RangeError(f"the range {start}-{end} is reversed: give its start first")
            gaps.append(Gap(self.index(start), self.index(end)))
        gaps.sort(key=lambda gap: (gap.start, gap.end))
        for before, after in itertools.pairwise(gaps):
            if after.start <= before.end:
                raise RangeError(f"{self.show(before)} and {self.show(after)} overlap or touch: give places apart")
        return gaps

    def show(self, gap: Gap) -> str:
        """Return a gap in the notation of the command line: L:C, or L:C-L:C."""
        start, end = self.position(gap.start), self.position(gap.end)
        return str(start) if start == end else f"{start}-{end}"

    def write(self, text: str) -> None:
        """Replace the file's content, only if it is still what was read.

        Owner, mode, extended attributes and hard links stay. InputError when the
        file has changed meanwhile or cannot be written.
        """
        target = self.path.resolve()  # a link goes on pointing to the file
        mark = codecs.BOM_UTF8 if self.data.startswith(codecs.BOM_UTF8) else b""
        try:
            if os.path.exists(target) and not os.access(target, os.W_OK):
                raise InputError(f"{self.path} is write-protected: it was left as it is")
            file_contents.replace(target, self.data, mark + text.encode("utf-8"))
        except file_contents.ChangedError:
            raise InputError(
                f"{self.path} has changed meanwhile: it was left as it is; run the command again"
            ) from None
        except OSError as error:
            raise InputError(f"cannot write {self.path}: {error.strerror}") from None

    def _line(self, line: int) -> str:
        start = self.line_starts[line - 1]
        end = self.line_starts[line] if line < len(self.line_starts) else len(self.text)
        return self.text[start:end].rstrip("\r\n")


def _too_large(path: Path) -> InputError:
    return InputError(f"{path} is larger than {MAX_FILE_BYTES // 2**20} MiB: give a smaller file")


def replaced(text: str, gaps: Sequence[Gap], fillings: Sequence[str]) -> tuple[str, list[Gap]]:
    """Return `text` with each gap replaced, and where in it the replacements stand."""
    parts, places, at, length = [], [], 0, 0
    for gap, filling in zip(gaps, fillings, strict=True):
        parts += [text[at : gap.start], filling]
        length += gap.start - at
        places.append(Gap(length, length + len(filling)))
        length += len(filling)
        at = gap.end
    return "".join([*parts, text[at:]]), places
