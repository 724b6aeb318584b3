"""One file as an editor has it, beside what was last committed of it.

Knows git and texts; a text need not be saved. Knows no editor.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lint.baseline import Baseline
from lint.line_changes import changed_lines
from lint.origin import Origin
from lint.records import ChangedFile, Rule, split_lines
from lint.repository import Repository
from lint.settings import Settings
from lint.work_tree import MAX_FILE_BYTES
from model.errors import InputError

_SHOWN_AROUND = 3  # lines, as a diff shows


@dataclass(frozen=True)
class Committed:
    """A file as git has it, and how its project wants changes to it looked at."""

    path: str  # in the repository, with slashes
    text: str | None  # without a byte order mark; None: a new file
    settings: Settings
    baseline: Baseline


def committed(path: Path, rules: Iterable[Rule]) -> Committed | None:
    """Return what git has of the file at `path`: None where it does not look after the file, or settings exclude it.

    InputError for settings or a baseline that are wrong.
    """
    path = path.resolve()  # of a link, git would tell the name that it leads to
    try:
        repository = Repository.around(path.parent)
    except (InputError, OSError):  # no repository, no git, no folder yet
        return None
    name = path.relative_to(repository.root).as_posix()
    content = repository.content("HEAD", name)
    if content is None and repository.ignores(name):
        return None
    origin = Origin(repository.root)
    settings = origin.settings(rules)
    if not settings.is_wanted(name):
        return None
    try:
        text = None if content is None else content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    baseline = origin.baseline(repository.root / settings.baseline) if settings.baseline else Baseline()
    return Committed(name, text, settings, baseline)


def change_to(before: Committed, text: str) -> ChangedFile | None:
    """Return the change from what was committed to `text`: None where there is none, or where it is too large.

    A byte order mark, which some editors show and others do not, is none.
    """
    marked, text = text, text.removeprefix("\ufeff")
    if text == before.text or max(len(text), len(before.text or "")) > MAX_FILE_BYTES:
        return None
    new, old = split_lines(text), split_lines(before.text or "")
    added = frozenset(
        line + 1 for change in changed_lines(old, new) for line in range(change.new_start, change.new_end)
    )
    shown = {near for line in added for near in range(line - _SHOWN_AROUND, line + _SHOWN_AROUND + 1)}
    return ChangedFile(before.path, marked, before.text, added, frozenset(shown & set(range(1, len(new) + 1))))
