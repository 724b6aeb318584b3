"""A file's syntax, brought up to date only when somebody asks: parsing has no part in taking in a keystroke.

Knows when to parse; what a tree is, `grammars` knows.
"""

from __future__ import annotations

import asyncio
import threading
import time

from grammars import Language, SyntaxSnapshot
from model.api.edits import changes_nothing, trimmed
from model.api.types import Edit

_PARSE_SECONDS = 0.15  # what a suggestion waits for a parse; then the last good tree, shifted, answers
_REST_SECONDS = 5.0  # how long a file that was too slow is left alone


class LazySyntax:
    """The newest syntax snapshot of one file. Parses outside the event loop."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._snapshot = SyntaxSnapshot("", language)
        self._updating = threading.Lock()
        self._rests_until = 0.0  # on the monotonic clock

    async def of(self, text: str) -> SyntaxSnapshot:
        """Return a snapshot of `text`, which is that of the file at some time."""
        snapshot = self._snapshot
        if snapshot.text == text and not snapshot.is_pending:
            return snapshot
        return await asyncio.to_thread(self._update, text)

    def _update(self, text: str) -> SyntaxSnapshot:
        with self._updating:
            snapshot = self._snapshot
            seconds = _PARSE_SECONDS if time.monotonic() >= self._rests_until else 0.0
            edit = trimmed(Edit(0, len(snapshot.text), text), snapshot.text)
            if not changes_nothing(edit):
                snapshot = snapshot.edited(edit.start, edit.end, edit.text, seconds)
            elif seconds:
                snapshot = snapshot.parsed(seconds)
            if snapshot.is_pending and seconds:
                self._rests_until = time.monotonic() + _REST_SECONDS
            self._snapshot = snapshot
            return snapshot
