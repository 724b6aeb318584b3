"""The open files: as the editor has them, and as the model worker is told of them.

Change handlers run to their end without waiting, so the next message always finds what the one before left. Files
that the user excludes are held here, but the worker never hears of them.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any

from lsprotocol import types
from pygls.uris import to_fs_path

from grammars import Language, detect_language
from lsp_server.patterns import paths_in_uri
from lsp_server.syntax import LazySyntax
from lsp_server.text_document import TextDocument
from lsp_server.text_units import ColumnUnit, join_surrogates
from model.api.client import WorkerClient
from model.api.types import Edit, Infill, InfillRequest, Snippet

LARGEST_FILE_CHAR = 16_000_000
"""Larger files are held here, but the model worker is not told of them."""


@dataclass(eq=False)
class OpenDocument:
    """One open file. `version` is the editor's; `revision` counts what the worker was told, and only grows."""

    uri: str
    path: Path | None  # None: the editor has not saved it anywhere
    names: frozenset[Path]  # every path that patterns may know it by, without symbolic links too
    name: str  # what the model is told the file is called
    language_id: str
    language: Language
    document: TextDocument
    version: int
    syntax: LazySyntax
    client: WorkerClient
    revision: int = 0
    last_edit_char: int = 0
    is_known_to_worker: bool = False
    snippets: tuple[Snippet, ...] = ()  # of other files, as the worker has them
    memory: Any = None  # what the suggester keeps of this file
    last_fill: Any = None  # what `filling` was asked last
    until_edited: set[asyncio.Future[Any]] = field(default_factory=set)  # cancelled by the next edit
    _undo: Edit | None = field(default=None, repr=False)

    @property
    def text(self) -> str:
        return self.document.text

    def tell_worker(self) -> None:
        """Open the file in the worker, unless it is there."""
        if not self.is_known_to_worker and len(self.text) <= LARGEST_FILE_CHAR:
            self.revision += 1
            self.client.open(self.uri, self.name, self.text, self.revision)
            self.is_known_to_worker = True

    def hide_from_worker(self) -> None:
        """Have the worker forget the file."""
        if self.is_known_to_worker:
            self.client.close(self.uri)
            self.is_known_to_worker = False
            self.snippets = ()
            self._undo = None

    def show_snippets(self, snippets: tuple[Snippet, ...]) -> None:
        """Have the worker show the model these snippets beside this file."""
        if self.is_known_to_worker and snippets != self.snippets:
            self.snippets = snippets
            self.client.set_context(self.uri, snippets)

    def change(self, changes: Sequence[types.TextDocumentContentChangeEvent], version: int | None) -> tuple[Edit, ...]:
        """Apply one `didChange`, also in the worker; return the edits it was."""
        self._end_supposition()
        edits = self.document.apply(changes)
        if version is not None:
            self.version = version
        if edits:
            self.last_edit_char = edits[-1].start + len(edits[-1].text)
            for outdated in self.until_edited:
                outdated.cancel()
            if self.is_known_to_worker:
                self.revision += 1
                self.client.edit(self.uri, edits, self.revision)
        return edits

    async def infill(self, request: InfillRequest, suppose: Edit | None = None, **callbacks: Any) -> Infill:
        """Ask the worker about this file as it is now; the request's `file_id` and `version` are filled in here.

        With `suppose`, ask about the text as it would be after that edit. The
        worker is told of the edit and, right behind the request, of its undoing:
        it carries out requests in order.
        """
        if suppose:
            self.revision += 1
            self._undo = Edit(suppose.start, suppose.start + len(suppose.text), self.text[suppose.start : suppose.end])
            self.client.edit(self.uri, [suppose], self.revision)
        asked = replace(request, file_id=self.uri, version=self.revision)
        asking = asyncio.ensure_future(self.client.infill(asked, **callbacks))
        try:
            if suppose:
                await asyncio.sleep(0)  # the request is sent now
                self._end_supposition()
            return await asking
        finally:
            asking.cancel()

    def _end_supposition(self) -> None:
        if self._undo and self.is_known_to_worker:
            self.revision += 1
            self.client.edit(self.uri, [self._undo], self.revision)
        self._undo = None


class Documents:
    """The open files by URI."""

    def __init__(self, client: WorkerClient, unit: ColumnUnit) -> None:
        self.unit = unit
        self.roots: list[Path] = []  # folders of the workspace
        self._client = client
        self._open: dict[str, OpenDocument] = {}

    def __iter__(self) -> Iterator[OpenDocument]:
        """Yield the open files, the one changed last at the end."""
        return iter(list(self._open.values()))

    def get(self, uri: str) -> OpenDocument | None:
        return self._open.get(uri)

    def open(self, item: types.TextDocumentItem) -> OpenDocument:
        """Take in a file; one that is open already is replaced. The worker is not told yet."""
        self.close(item.uri)
        path = file_path(item.uri)
        text = join_surrogates(item.text) if not item.text.isascii() else item.text
        language = detect_language(path.name if path else "", item.language_id, text)
        opened = self._open[item.uri] = OpenDocument(
            uri=item.uri,
            path=path,
            names=_names(item.uri, path),
            name=self._name(item.uri, path, language),
            language_id=item.language_id,
            language=language,
            document=TextDocument(text, self.unit),
            version=item.version,
            syntax=LazySyntax(language),
            client=self._client,
        )
        return opened

    def touch(self, document: OpenDocument) -> None:
        """Note that a file is the one worked on."""
        self._open[document.uri] = self._open.pop(document.uri)

    def close(self, uri: str) -> OpenDocument | None:
        """Forget a file; return it if it was open."""
        document = self._open.pop(uri, None)
        if document:
            document.hide_from_worker()
        return document

    def _name(self, uri: str, path: Path | None, language: Language) -> str:
        """Return the path inside the workspace: the model has no use for where the workspace is."""
        if path is None:
            name = PurePath(uri.partition(":")[2]).name or "untitled"
            return name if PurePath(name).suffix or not language.extensions else name + language.extensions[0]
        for root in self.roots:
            if path.is_relative_to(root):
                return path.relative_to(root).as_posix()
        return path.name


def _names(uri: str, path: Path | None) -> frozenset[Path]:
    # A file that lives elsewhere than on this disk, or nowhere yet, has a path in its URI all the same.
    names = [path] if path else paths_in_uri(uri)
    return frozenset([*names, *(Path(os.path.realpath(name)) for name in names if name.is_absolute())])


def file_path(uri: str) -> Path | None:
    """Return the path of a `file:` URI, None for any other."""
    if not uri.lower().startswith("file:"):
        return None
    path = to_fs_path(uri)
    return Path(path) if path else None
