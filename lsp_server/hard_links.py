"""Other names of a file: hard links, which nothing about a file tells but that there are some.

They are looked for by the file's number in the folders where they are likely to be. Knows no patterns.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

_MOST_ENTRIES = 200_000  # of folders that are looked through, a second or so


def has_other_names(path: Path) -> bool:
    """Whether the regular file at `path` has hard links."""
    try:
        return os.path.isfile(path) and path.stat().st_nlink > 1
    except OSError:
        return False


def other_names(path: Path, folders: Iterable[Path]) -> frozenset[Path]:
    """Return the names of the file that are found in `folders` and below, nearest to them first, within a bound.

    Reads folders: call it outside the event loop.
    """
    found: set[Path] = set()
    try:
        target = path.stat()
        for entry in _entries(folders):
            if entry.inode() == target.st_ino and os.path.samestat(entry.stat(follow_symlinks=False), target):
                found.add(Path(entry.path))
                if len(found) == target.st_nlink:
                    break
    except OSError:
        pass  # gone meanwhile
    return frozenset(found)


def _entries(folders: Iterable[Path]) -> Iterator[os.DirEntry[str]]:
    """Yield what is in folders, then what is in those in them, and so on, links not followed."""
    waiting = deque(dict.fromkeys(os.path.realpath(folder) for folder in folders))
    seen: set[str] = set()
    left = _MOST_ENTRIES
    while waiting and left > 0:
        folder = waiting.popleft()
        if folder in seen:
            continue
        seen.add(folder)
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    left -= 1
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        yield entry
        except OSError:
            continue  # a folder that is closed to us, or gone
