"""The open files: which there are, as the editor tells, and which of them the model worker may hear of.

Change handlers run to their end without waiting, so the next message always finds what the one before left. Files
that the user excludes are held here, but the worker never hears of them. Who wants to know of changes puts a listener
into a list; nothing is known here of what they do.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePath
from urllib.parse import unquote

from lsprotocol import types
from pygls.uris import to_fs_path

from grammars import Language, detect_language
from lsp_server.admission import Admission
from lsp_server.hard_links import has_other_names, other_names
from lsp_server.open_document import OpenDocument
from lsp_server.patterns import paths_in_uri
from lsp_server.protocol import place_of
from lsp_server.syntax import LazySyntax
from lsp_server.text_document import TextDocument
from lsp_server.text_units import ColumnUnit, join_surrogates
from model.api.client import WorkerClient
from model.api.visible_text import visible_line

logger = logging.getLogger(__name__)

LARGEST_FILE_CHAR = 16_000_000
"""Larger files are not held."""

UNREADABLE = "the editor sent what cannot be read"
"""Why a file was lost."""


class Documents:
    """The open files by URI. `admission` says which of them the worker may hear of."""

    def __init__(self, client: WorkerClient, unit: ColumnUnit, admission: Admission) -> None:
        self.unit = unit
        self.admission = admission
        self.unknown: dict[str, str] = {}  # files that are open in the editor but not held, by URI, and why
        self.on_opened: list[Callable[[OpenDocument], None]] = []  # called again once all names of the file are known
        self.on_edited: list[Callable[[OpenDocument], None]] = []
        self.on_closed: list[Callable[[OpenDocument], None]] = []
        self.on_lost: list[Callable[[str], None]] = []  # told why, in a sentence for the user
        self._client = client
        self._open: dict[str, OpenDocument] = {}
        self._looking: set[asyncio.Task[None]] = set()

    def __iter__(self) -> Iterator[OpenDocument]:
        """Yield the open files, the one changed last at the end."""
        return iter(list(self._open.values()))

    def get(self, uri: str) -> OpenDocument | None:
        return self._open.get(uri)

    @property
    def roots(self) -> Sequence[Path]:
        """The folders of the workspace."""
        return self.admission.roots

    def admit_by(self, admission: Admission) -> None:
        """Have new settings or folders decide which files the worker may hear of."""
        self.admission = admission
        for document in self:
            self._admit(document)

    def open(
        self,
        item: types.TextDocumentItem,
        notebook_uri: str | None = None,
        text_before: Callable[[OpenDocument], str] | None = None,
    ) -> None:
        """Take in a file, or a notebook's cell, and tell the worker of it if it may know it.

        One that is open already is replaced.
        """
        self.close(item.uri)
        if len(item.text) > LARGEST_FILE_CHAR:
            self.lose(item.uri, _too_large(item.text))
            return
        document = self._open[item.uri] = self._read(item, notebook_uri)
        if text_before:
            document.text_before = text_before
        if document.has_unknown_names:
            looking = asyncio.create_task(self._find_names(document))
            self._looking.add(looking)
            looking.add_done_callback(self._looking.discard)
        self._admit(document)
        for tell in self.on_opened:
            tell(document)

    def change(self, uri: str, version: int | None, changes: Sequence[types.TextDocumentContentChangeEvent]) -> None:
        """Take in a change of a file. Whatever goes wrong, our text is no longer the editor's, and the file is lost."""
        document = self.get(uri)
        if document is None:
            if uri not in self.unknown:
                logger.warning("a change of a file that is not open")
            return
        try:
            has_changed = document.change(changes, version)
        except Exception as error:
            logger.error("a change could not be made: %s", place_of(error))
            self.lose(uri, UNREADABLE)
            return
        if len(document.text) > LARGEST_FILE_CHAR:
            self.lose(uri, _too_large(document.text))
        elif has_changed:
            self._open[uri] = self._open.pop(uri)  # the one changed last is at the end
            for tell in self.on_edited:
                tell(document)

    def close(self, uri: str) -> None:
        """Forget a file."""
        self.unknown.pop(uri, None)
        if document := self._open.pop(uri, None):
            document.is_open = False
            for tell in self.on_closed:
                tell(document)
            document.hide_from_worker()

    def lose(self, uri: str, reason: str) -> None:
        """Know nothing of a file until it is opened again, and tell the user why. With a cell goes its notebook."""
        document = self.get(uri)
        notebook = document.notebook_uri if document and document.notebook_uri else uri
        for lost in dict.fromkeys([*(each.uri for each in self if each.notebook_uri == notebook), uri]):
            self.close(lost)
            self.unknown[lost] = _lost(notebook, reason)
        for tell in self.on_lost:
            tell(_lost(notebook, reason))

    def _admit(self, document: OpenDocument) -> None:
        """Tell the worker of a file, or have it forget the file, as the settings want it."""
        if self.admission.is_excluded(document) or document.has_unknown_names:
            document.hide_from_worker()
        else:
            document.tell_worker()

    async def _find_names(self, document: OpenDocument) -> None:
        """Look for the other names of a file with hard links: one of them may be excluded."""
        assert document.path
        folders = [document.path.parent, *self.roots, *(root.parent for root in self.roots), Path.home()]
        document.names |= await asyncio.to_thread(other_names, document.path, folders)
        document.has_unknown_names = False
        if document.is_open:
            self._admit(document)
            for tell in self.on_opened:
                tell(document)

    def _read(self, item: types.TextDocumentItem, notebook_uri: str | None) -> OpenDocument:
        path = file_path(notebook_uri or item.uri)
        text = join_surrogates(item.text) if not item.text.isascii() else item.text
        language = detect_language(path.name if path else "", item.language_id, text)
        return OpenDocument(
            uri=item.uri,
            path=path,
            names=_names(notebook_uri or item.uri, path),
            has_unknown_names=path is not None and has_other_names(path),
            notebook_uri=notebook_uri,
            name=self._name(notebook_uri or item.uri, path, language, is_cell=notebook_uri is not None),
            language_id=item.language_id,
            language=language,
            content=TextDocument(text, self.unit),
            version=item.version,
            syntax=LazySyntax(language),
            client=self._client,
        )

    def _name(self, uri: str, path: Path | None, language: Language, *, is_cell: bool) -> str:
        """Return the path inside the workspace: the model has no use for where the workspace is.

        A notebook is called what a file of its language is called.
        """
        name = PurePath(path.name if path else uri.partition(":")[2]).name or "untitled"
        if path:
            name = next((path.relative_to(root).as_posix() for root in self.roots if path.is_relative_to(root)), name)
        if language.extensions and (is_cell or not (path or PurePath(name).suffix)):
            return f"{PurePath(name).with_suffix('') if is_cell else name}{language.extensions[0]}"
        return name


def _lost(uri: str, reason: str) -> str:
    name = visible_line(unquote(uri.rstrip("/").rpartition("/")[2]))[:80] or "a file"
    return f"there are no suggestions in {name} until it is opened again: {reason}"


def _too_large(text: str) -> str:
    return f"it is too large ({len(text):,} characters)"


def _names(uri: str, path: Path | None) -> frozenset[Path]:
    # A file that lives elsewhere than on this disk, or nowhere yet, has a path in its URI all the same.
    names = [path] if path else paths_in_uri(uri)
    may_be_links = (name for name in names if name.is_absolute() and "\0" not in str(name))
    return frozenset([*names, *(Path(os.path.realpath(name)) for name in may_be_links)])


def file_path(uri: str) -> Path | None:
    """Return the path of a `file:` URI, None for any other and for one that no file can have."""
    if not uri.lower().startswith("file:"):
        return None
    path = to_fs_path(uri)
    return Path(path) if path and "\0" not in path else None
