"""`.gitignore` patterns as settings and ignore files have them. Where it is in doubt, a pattern matches.

Knows names, and no files: letter case, the names that editors give to backups of a file, and the parts of a URI.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePath
from urllib.parse import unquote

from pathspec import GitIgnoreSpec

_MOST_STARS = 3  # of one part of a path: matching takes the length of a name to that power
_STARS = re.compile(rf"((?:[^*]*\*){{{_MOST_STARS}}})[^*]*\*.*", re.DOTALL)
# What editors, package managers and people make of the name of a file that they keep a copy of.
_BACKUPS = [
    re.compile(form, re.IGNORECASE)
    for form in (
        r"#(.+)#",  # being edited in Emacs
        r"\.#(.+)",  # locked by it
        r"\.(.+)\.(?:sw[a-p]|un~|kate-swp)",  # Vim's swap and undo files, Kate's
        r"\.~(?:lock\.)?(.+?)#?",  # LibreOffice
        r"(.+?)(?:~|\.~\d+~|___jb_(?:tmp|old|bak)___|::\$data)",
        r"(.+)[._-](?:bak|backup|old|orig|original|save|saved|sav|copy|tmp|temp|prev|previous|rej|mine|theirs|disabled"
        r"|part|sw[a-p]|rpmsave|rpmnew|rpmorig|dpkg-\w+|ucf-\w+|\d{1,14})",
        r"(.+?)(?: - copy| copy(?: \d+)?| ?\(\d+\)|[. ]+)",
        r"(?:copy|backup) of (.+)",
        r"(.+?)(?:(?: - copy| copy(?: \d+)?| ?\(\d+\)|[._-](?:bak|backup|old|orig|copy))(\.[^.]+))",
    )
]
_MOST_MARKS = 4  # of a backup of a backup ...


class Patterns:
    """Patterns in the order of a `.gitignore` file: a later one with `!` takes back what one before it says."""

    def __init__(self, lines: Iterable[str]) -> None:
        bounded = [bounded for line in lines if (bounded := _bounded(line)) and not problem_of(bounded)]
        self._exact = GitIgnoreSpec.from_lines(bounded)
        self._folded = GitIgnoreSpec.from_lines([line for each in bounded if not problem_of(line := _folded(each))])
        self._is_empty = not bounded

    def match(self, name: PurePath) -> bool:
        """Whether a pattern names the file, also in other letter case, or a file of which it is a backup by its name.

        `name` is a path without a root.
        """
        if self._is_empty:
            return False
        return any(
            self._exact.match_file(each) or self._folded.match_file(_folded(each)) for each in _copied_names(name)
        )


def problem_of(pattern: str) -> str | None:
    """Return why a pattern means nothing, None if it is one."""
    try:
        GitIgnoreSpec.from_lines([pattern])
    except (ValueError, re.error):
        return f"{pattern[:60]!r} is no `.gitignore` pattern"
    return None


def matches(path: Path, patterns: Patterns, roots: Sequence[Path]) -> bool:
    """Whether a pattern names the file: by its path in the workspace, or by its whole path outside of it."""
    inside = [path.relative_to(root) for root in roots if path.is_relative_to(root)]
    return any(map(patterns.match, [*inside, path.relative_to(path.anchor)]))


def paths_in_uri(uri: str) -> list[Path]:
    """Return the paths that a URI of any scheme names: `untitled:.env`, `zipfile:///w/a.zip::id_rsa`, `buffer://.env`."""
    place = uri.partition(":")[2].partition("?")[0]
    spelled = (unquote(each) for each in {place, place.partition("#")[0]})
    return [Path(each.replace("\\", "/").replace("::", "/").replace("!/", "/")) for each in spelled]


def _copied_names(name: PurePath) -> Iterator[str]:
    """Yield a path, and the paths of the files whose backup it is by its name, as `a/.env.bak~` is that of `a/.env`."""
    yield name.as_posix()
    folders = [min(_originals(part), key=len) for part in name.parts[:-1]]
    for last in _originals(name.name):
        yield "/".join([*folders, last])


def _originals(name: str) -> set[str]:
    """Return a file's name, and those that are left as what marks it as a backup is taken off."""
    names = newest = {name}
    for _ in range(_MOST_MARKS):
        newest = {"".join(found.groups()) for each in newest for form in _BACKUPS if (found := form.fullmatch(each))}
        names = names | newest
    return names


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def _bounded(pattern: str) -> str:
    """Return a pattern that matches no less and is quick to match: hostile ones take hours. Empty for none."""
    parts = pattern.split("/")
    shorter = [part if part == "**" else _STARS.sub(r"\1", part) for part in parts]
    return "" if pattern.startswith("!") and shorter != parts else "/".join(shorter)
