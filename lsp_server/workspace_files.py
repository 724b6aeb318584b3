"""Which files a workspace has that the model may be shown: a walk that leaves out what is hidden, ignored or excluded.

Knows folders and names, and asks `Privacy`; reads no file.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from lsp_server.privacy import Privacy

_INSTALLED = frozenset({"node_modules", "bower_components", "site-packages", "__pycache__", "__pypackages__"})
_MOST_ENTRIES = 50_000  # looked at, of all folders together: a walk has an end in any tree


def workspace_files(roots: Sequence[Path], privacy: Privacy, most_entries: int = _MOST_ENTRIES) -> Iterator[Path]:
    """Yield the files below `roots` that `privacy` lets through, those in the upper folders first.

    No link is followed. Hidden folders, and those with what package managers
    install, are left out whether or not git ignores them.
    """
    folders, seen = deque(dict.fromkeys(roots)), 0
    while folders:
        for entry in _entries(folders.popleft()):
            seen += 1
            if seen > most_entries:
                return
            if entry.is_symlink():
                continue
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                if not entry.name.startswith(".") and entry.name not in _INSTALLED and privacy.may_enter(path):
                    folders.append(path)
            elif privacy.readable(path):
                yield path


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:  # gone, or closed to us
        return []
