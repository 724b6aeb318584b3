"""What is looked at, and what is found: the records that every part of `lint` shares.

Lines are counted from 1, as diffs, editors and continuous integration do;
columns are string indices into a line (code points, from 0), and ranges of
columns half-open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property


class Level(IntEnum):
    """How much a finding matters, as SARIF names it."""

    NOTE = 1
    WARNING = 2
    ERROR = 3


@dataclass(frozen=True)
class Rule:
    """One thing that is looked for. `id` is its name everywhere: on the command line, in settings and in reports."""

    id: str  # kebab-case
    level: Level
    title: str  # a sentence without a period: what a finding of it says in general
    explanation: str  # Markdown, for documentation and SARIF's `help`
    needs_model: bool = False
    is_unfiltered: bool = False  # its findings are the change's doing on whatever line they stand: none is left out


@dataclass(frozen=True)
class ChangedFile:
    """A file after a change, and which of its lines the change brought.

    `before` is the text that the change was made to: None for a new file, and
    where it cannot be had. Line breaks are the file's own. `added` has the
    numbers of the lines that the change added or altered, `shown` those and
    the lines that the diff shows around them.
    """

    path: str  # as in the repository, with slashes
    text: str
    before: str | None
    added: frozenset[int]
    shown: frozenset[int]
    old_path: str | None = None  # of a renamed or copied file

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The lines of `text`, without their line breaks; line n of the file is `lines[n - 1]`."""
        return split_lines(self.text)


@dataclass(frozen=True)
class Patch:
    """The files of a change that can be looked at, and a sentence for each thing that could not be."""

    files: tuple[ChangedFile, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Span:
    """Where a finding is: from a column of `line` to a column of `end_line`."""

    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True)
class Shade:
    """How surprising a piece of an excerpt's line is, in nats."""

    line: int
    column: int
    end_column: int
    surprise: float


@dataclass(frozen=True)
class Odds:
    """How often lines that ranked like this one were wrong, measured on planted faults: one in `one_in`."""

    one_in: float


@dataclass(frozen=True)
class Finding:
    """One thing found.

    `rank` orders findings of one level, the greatest first; rules without the
    model leave it at 0. `expected` is what the model would rather have written
    in place of `span`; `is_fix` says that it is sure enough of it to offer it as
    a change.
    """

    rule: Rule
    path: str
    span: Span
    message: str  # one sentence about this place
    level: Level  # the rule's own, unless settings say otherwise
    rank: float = 0.0
    expected: str | None = None
    is_fix: bool = False
    odds: Odds | None = None
    shades: tuple[Shade, ...] = ()


@dataclass(frozen=True)
class Report:
    """What came of looking at a patch.

    `findings` are those shown, in the order of their importance; `held_back` are
    the others, which only the summary counts. `suppressed` counts what
    comments in the code, settings and the baseline kept silent. One that
    `is_partial` was interrupted while the model was asked.
    """

    patch: Patch
    findings: tuple[Finding, ...]
    held_back: tuple[Finding, ...] = ()
    suppressed: int = 0
    model: str | None = None  # the model's name and precision, None without one
    lines_scored: int = 0
    is_partial: bool = False


Check = Callable[[ChangedFile], Iterable[Finding]]
"""A rule without the model: it yields findings anywhere in the file; whoever asks keeps those on wanted lines."""

Progress = Callable[[int], None]
"""Told how many more lines have been scored, for who shows how far it is."""


def split_lines(text: str) -> tuple[str, ...]:
    """Return the lines of `text` without their breaks, as git counts them: a carriage return alone ends none."""
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return tuple(lines[:-1] if lines[-1] == "" else lines)
