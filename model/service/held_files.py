"""Which files of which clients an engine holds, and in which state each will be once all is done that is queued.

Whoever sends something about a file says what must be held for it. So a message that was lost, or went to another
engine, never leads to a wrong text: what follows it finds that. Knows epochs and counts of changes; knows no texts.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from model.api.messages import CloseFile, EditFile, Held, OpenFile, SetContext
from model.errors import NeedFullError, SetfillError, VersionError

Key = tuple[str, str, str]
"""User, client and file id: a user can name no file of another."""


@dataclass
class _File:
    held: Held
    chars: int  # of its text and snippets, about
    used_s: float  # when it was used last


class HeldFiles:
    """The files of one engine, the least recently used first."""

    def __init__(self, most_chars: int, most_files_per_user: int, most_idle_s: float) -> None:
        self._most_chars, self._most_idle_s = most_chars, most_idle_s
        self._most_files_per_user = most_files_per_user
        self._files: OrderedDict[Key, _File] = OrderedDict()
        self._chars = 0
        self._of_user: Counter[str] = Counter()  # how many files each has

    def __len__(self) -> int:
        return len(self._files)

    def problem(self, key: Key, held: Held, message: object) -> SetfillError | None:
        """Return why `message`, which was made for a file that is `held`, cannot be carried out."""
        if isinstance(message, OpenFile):
            return None if held.changes == 0 else NeedFullError("a file is opened before all changes of its epoch")
        file = self._files.get(key)
        if file and file.held == held:
            return None
        if file and held.epoch == file.held.epoch and held.changes < file.held.changes:
            return VersionError("the file has changed since")
        return NeedFullError("the engine that was asked does not hold this file: send it whole")

    def count(self, key: Key, held: Held, message: object, now_s: float) -> None:
        """Note that `message` is going to be carried out."""
        if isinstance(message, CloseFile):
            self.drop(key)
            return
        if key not in self._files:
            self._files[key] = _File(held, 0, now_s)
            self._of_user[key[0]] += 1
        file = self._files[key]
        changes = held.changes + isinstance(message, (OpenFile, EditFile, SetContext))
        file.held, file.used_s = Held(held.file_id, held.epoch, changes), now_s
        chars = 0 if isinstance(message, OpenFile) else file.chars
        self._chars += chars - file.chars + _chars(message)
        file.chars = chars + _chars(message)
        self._files.move_to_end(key)

    def drop(self, key: Key, held: Held | None = None) -> bool:
        """Forget a file, `held`: if its epoch is that one. Return whether it was held."""
        file = self._files.get(key)
        if file is None or (held and file.held.epoch != held.epoch):
            return False
        self._chars -= self._files.pop(key).chars
        self._of_user[key[0]] -= 1
        return True

    def outlived(self, now_s: float) -> Iterator[Key]:
        """Drop, and yield, what was not used for too long, and what there is no room for.

        Whoever has too many files loses those that they have used least recently.
        """
        for user in [user for user, files in self._of_user.items() if files > self._most_files_per_user]:
            oldest = [key for key in self._files if key[0] == user]
            for key in oldest[: len(oldest) - self._most_files_per_user]:
                self.drop(key)
                yield key
        while self._files:
            key, file = next(iter(self._files.items()))
            is_too_much = self._chars > self._most_chars and len(self._files) > 1
            if not is_too_much and now_s - file.used_s <= self._most_idle_s:
                return
            self.drop(key)
            yield key


def _chars(message: object) -> int:
    match message:
        case OpenFile():
            return len(message.text) + len(message.path)
        case EditFile():
            return sum(len(edit.text) for edit in message.edits)
        case SetContext():
            return sum(len(snippet.text) for snippet in message.snippets)
    return 0
