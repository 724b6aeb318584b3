"""What a team's service was told of each file: the epoch it was sent in, and how many changes since.

A service has several engines, and any of them may be asked. So every message about a file says what must be held for
it to make sense. Whoever does not hold exactly that says so, and is sent the whole file, in a new epoch. Knows no
texts and no connections, and so outlives a connection.
"""

from __future__ import annotations

import itertools
from typing import Any

from model.api.messages import CloseFile, EditFile, Held, OpenFile, SetContext
from model.errors import NeedFullError

_CHANGES = (OpenFile, EditFile, SetContext)


class Holdings:
    """The files of one client. Each epoch is used once."""

    def __init__(self) -> None:
        self._epochs = itertools.count(1)
        self._told: dict[str, Held] = {}

    def tell(self, message: Any) -> Held | None:
        """Return what must be held where `message` goes, and count it; None for one that is about no file.

        NeedFullError for a file that must be opened first.
        """
        file_id = getattr(message, "file_id", None)
        if file_id is None:
            return None
        if isinstance(message, OpenFile):
            before = Held(file_id, next(self._epochs), 0)
        elif file_id in self._told:
            before = self._told[file_id]
        else:
            raise NeedFullError("the service does not hold this file")
        self._told[file_id] = Held(file_id, before.epoch, before.changes + isinstance(message, _CHANGES))
        if isinstance(message, CloseFile):
            del self._told[file_id]
        return before

    def drop(self, file_id: str) -> None:
        """Note that something that is counted as told, or should have been, was not."""
        self._told.pop(file_id, None)

    def forget(self, held: Held) -> None:
        """Note that the service does not hold what was believed; a newer epoch of the file stands."""
        told = self._told.get(held.file_id)
        if told and told.epoch == held.epoch:
            del self._told[held.file_id]
