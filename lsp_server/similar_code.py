"""The workspace's files as chunks to find similar code in: which are read, when, and how they are kept fresh.

Memory, time and what is read are bounded; nothing is written anywhere. Knows files and `Privacy`; how chunks are
ranked, `retrieval` knows.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from grammars import Language, detect_language
from lsp_server.privacy import Privacy
from lsp_server.retrieval import ChunkIndex, Piece
from lsp_server.workspace_files import workspace_files
from model.api.types import Snippet

_MOST_FILES = 3_000
_LARGEST_CHAR = 200_000
_WALK_AGAIN_SECONDS = 300.0  # for clients that do not tell which files change
_REACH_CHAR = 4_000  # around the cursor: more than the lines that are compared
_Stamp = tuple[int, int] | None  # when a file was changed, and its size; None: as it is in the editor


class SimilarCode:
    """Chunks of the files of one workspace under one set of rules. Not for two threads at once."""

    def __init__(self, roots: Sequence[Path], privacy: Privacy) -> None:
        self._roots, self.privacy = list(roots), privacy
        self._index = ChunkIndex()
        self._stamps: dict[Path, _Stamp] = {}
        self._open: dict[Path, str] = {}
        self._walk: Iterator[Path] | None = None
        self._walked: set[Path] = set()
        self._walk_due = 0.0
        self._changed: set[Path] = set()  # that the client told of

    @property
    def files(self) -> int:
        """How many files are held."""
        return len(self._stamps)

    @property
    def has_more(self) -> bool:
        """Whether `refresh` has more to read."""
        return self._walk is not None or bool(self._changed) or not self._walk_due

    def texts(self) -> Iterator[tuple[Path, str]]:
        """Yield the files that are held, and their texts."""
        for name in self._index:
            yield Path(name), self._index.text_of(name)

    def tell_changed(self, path: Path) -> None:
        """Take note that a file is new, changed or gone. May be called from another thread."""
        self._changed.add(path)
        if len(self._changed) > _MOST_FILES:  # another branch was checked out: a walk is cheaper, and finds all
            self._changed.clear()
            self._walk, self._walk_due = None, 0.0

    def refresh(self, seconds: float) -> bool:
        """Read what is new for about so long; return whether there may be more to read."""
        deadline = time.monotonic() + seconds
        while self._changed:
            path = self._changed.pop()
            self._look_at(path, self.privacy.readable(path))
            if time.monotonic() > deadline:
                return True
        if self._walk is None:
            if time.monotonic() < self._walk_due:
                return False
            self._walk, self._walked = workspace_files(self._roots, self.privacy), set()
        for path in self._walk:
            self._walked.add(path)
            self._look_at(path, path)
            if len(self._stamps) >= _MOST_FILES:
                break
            if time.monotonic() > deadline:
                return True
        else:
            for path in [path for path, stamp in self._stamps.items() if stamp and path not in self._walked]:
                self._forget(path)
        self._walk, self._walk_due = None, time.monotonic() + _WALK_AGAIN_SECONDS
        return False

    def take(self, path: Path, language: Language, text: str) -> None:
        """Take in a file as it is in the editor. Cells of a notebook, of which each is a part, are not files."""
        is_file = _kind(detect_language(path.name)) == _kind(language)
        if is_file and self._open.get(path) != text and self.privacy.readable(path):
            self._put(path, language, text, stamp=None)
            self._open[path] = text

    def let_go(self, path: Path) -> None:
        """Take note that a file is no longer open: from now on it is what is on the disk."""
        self._open.pop(path, None)
        self.tell_changed(path)

    def like(self, path: Path, language: Language, text: str, cursor_char: int, most: int) -> list[Snippet]:
        """Return pieces of other files that look like a text around a place, the most useful last, at most `most`."""
        before = text[max(0, cursor_char - _REACH_CHAR) : cursor_char]
        behind = text[cursor_char : cursor_char + _REACH_CHAR]
        found = self._index.like(before, behind, _kind(language), most, skip=str(path))
        own = self.privacy.readable(path)  # under another name it would be shown what it was
        reals = [self.privacy.readable(Path(piece.name)) for piece in found]
        return [self._snippet(piece) for piece, real in zip(found, reals, strict=True) if real and real != own]

    def _look_at(self, path: Path, real: Path | None) -> None:
        """Read a file if it is not as it was; forget one that may not be read (`real` is None), or is gone."""
        if path in self._open:
            return  # the editor's text counts
        try:
            status = real.stat() if real else None
            if real is None or status is None:
                self._forget(path)
                return
            now = (status.st_mtime_ns, status.st_size)
            language = detect_language(path.name)
            if now == self._stamps.get(path) or not language.has_syntax:
                return
            self._put(path, language, real.read_text(encoding="utf-8"), now)
        except (OSError, ValueError):  # gone, or no text
            self._forget(path)

    def _put(self, path: Path, language: Language, text: str, stamp: _Stamp) -> None:
        self._forget(path)
        if language.has_syntax and len(text) <= _LARGEST_CHAR and self._index.put(str(path), _kind(language), text):
            self._stamps[path] = stamp

    def _forget(self, path: Path) -> None:
        self._stamps.pop(path, None)
        self._index.remove(str(path))

    def _snippet(self, piece: Piece) -> Snippet:
        path = Path(piece.name)
        inside = [path.relative_to(root) for root in self._roots if path.is_relative_to(root)]
        return Snippet((inside[0] if inside else Path(path.name)).as_posix(), piece.text)


def _kind(language: Language) -> str:
    """Return what languages have in common whose code may look alike: the first of their queries, as for C and C++."""
    return language.queries[0] if language.queries else language.name
