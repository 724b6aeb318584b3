"""What every engine without a network holds: the open files, their texts and versions, as the worker's engine does.

Knows when an edit or a request is refused; knows no answers: what is said of a text is the test's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model.api import edits as text_edits
from model.api.types import Edit, Snippet
from model.errors import VersionError


@dataclass
class HeldFile:
    path: str
    text: str
    version: int
    snippets: tuple[Snippet, ...] = ()


class HeldFiles:
    def __init__(self) -> None:
        self.files: dict[str, HeldFile] = {}

    def open(self, file_id: str, path: str, text: str, version: int) -> None:
        self.files[file_id] = HeldFile(path, text, version)

    def edit(self, file_id: str, edits: Sequence[Edit], version: int) -> None:
        file = self.files[file_id]
        if version <= file.version:
            raise VersionError(f"version {version} is not above {file.version}")
        text_edits.check(edits, len(file.text))
        for edit in edits:
            file.text = text_edits.applied(file.text, edit)
        file.version = version

    def close(self, file_id: str) -> None:
        del self.files[file_id]

    def set_context(self, file_id: str, snippets: Sequence[Snippet]) -> None:
        self.files[file_id].snippets = tuple(snippets)

    def at(self, file_id: str, version: int) -> HeldFile:
        """Return the file that a request is about; raises VersionError where it is at another version."""
        file = self.files[file_id]
        if version != file.version:
            raise VersionError(f"the file is at version {file.version}, not {version}")
        return file
