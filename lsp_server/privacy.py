"""Which files the model may see: none that the user excludes, none from outside the workspace, none git ignores.

Knows paths, patterns and ignore files; knows nothing of what is open (see `admission`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from lsp_server.hard_links import has_other_names
from lsp_server.patterns import Patterns, matches

_LARGEST_IGNORE_BYTES = 1_000_000
_ANY_NAME = "any file"  # which no pattern names but one for all files, or for the folder that it is in


class Privacy:
    """The rules for one workspace at one time. Reads ignore files, so ask outside the event loop; and make it anew
    to see changes of them."""

    def __init__(self, roots: Sequence[Path], exclude: Sequence[str], max_file_bytes: int) -> None:
        self._roots = [root.resolve() for root in roots]
        self._exclude = Patterns(exclude)
        self._max_file_bytes = max_file_bytes
        self._ignores: dict[Path, Patterns | None] = {}

    def is_excluded(self, path: Path) -> bool:
        """Whether the user excludes the file, under the name it has or the one it leads to."""
        return any(matches(each, self._exclude, self._roots) for each in {path, _resolved(path)})

    def readable(self, path: Path) -> Path | None:
        """Return the real path of a file that may be shown to the model as context, None for any other."""
        real = _resolved(path)
        root = next((root for root in self._roots if real.is_relative_to(root)), None)
        if root is None or self.is_excluded(path) or self._is_ignored(real, root):
            return None
        try:
            # Another name of the file may be excluded, and lie anywhere.
            is_wanted = real.is_file() and not has_other_names(real)
            return real if is_wanted and real.stat().st_size <= self._max_file_bytes else None
        except OSError:
            return None

    def may_enter(self, folder: Path) -> bool:
        """Whether files in a folder may be readable: not where all that is in it is ignored or excluded."""
        real = _resolved(folder)
        root = next((root for root in self._roots if real.is_relative_to(root)), None)
        any_file = real / _ANY_NAME
        return root is not None and not self.is_excluded(any_file) and not self._is_ignored(any_file, root)

    def _is_ignored(self, real: Path, root: Path) -> bool:
        """Whether any ignore file of the repository ignores the file.

        Stricter than git, where a nearer file may take back what one farther off says, and letter case may tell.
        """
        for folder in real.parents:
            is_repository = os.path.exists(folder / ".git")
            for name in (".gitignore", ".git/info/exclude") if is_repository else (".gitignore",):
                spec = self._ignore_file(folder / name)
                if spec is not None and spec.match(real.relative_to(folder)):
                    return True
            if is_repository or (folder == root and not self._in_repository(root)):
                return False
        return False

    def _in_repository(self, root: Path) -> bool:
        return any(os.path.exists(folder / ".git") for folder in root.parents)

    def _ignore_file(self, path: Path) -> Patterns | None:
        if path not in self._ignores:
            try:
                small = path.is_file() and path.stat().st_size <= _LARGEST_IGNORE_BYTES
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if small else None
                self._ignores[path] = Patterns(lines) if lines is not None else None
            except (OSError, ValueError):
                self._ignores[path] = None
        return self._ignores[path]


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # links that lead in a circle
        return path
