"""The open files: as the editor has them, and as the model worker is told of them.

Change handlers run to their end without waiting, so the next message always finds what the one before left. Files
that the user excludes are held here, but the worker never hears of them.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any

from lsprotocol import types
from pygls.uris import to_fs_path

from grammars import Language, detect_language
from lsp_server.hard_links import has_other_names
from lsp_server.patterns import paths_in_uri
from lsp_server.syntax import LazySyntax
from lsp_server.text_document import TextDocument
from lsp_server.text_units import ColumnUnit, join_surrogates
from model.api.client import WorkerClient
from model.api.edits import changes_nothing, trimmed, undoing
from model.api.types import Edit, Gap, Infill, InfillRequest, Snippet

LARGEST_FILE_CHAR = 16_000_000
"""Larger files are not held."""


@dataclass(eq=False)
class OpenDocument:
    """One open file. `version` is the editor's; `revision` counts what the worker was told, and only grows."""

    uri: str
    path: Path | None  # None: the editor has not saved it anywhere
    names: frozenset[Path]  # every path that patterns may know it by, without symbolic links too
    has_unknown_names: bool  # hard links that were not looked for yet: until then the worker is not told of it
    notebook_uri: str | None  # of a cell
    name: str  # what the model is told the file is called
    language_id: str
    language: Language
    document: TextDocument
    version: int | None  # None: the client gives it none
    syntax: LazySyntax
    client: WorkerClient
    revision: int = 0
    last_edit_char: int = 0
    is_known_to_worker: bool = False
    snippets: tuple[Snippet, ...] = ()  # of other files, as the worker has them
    memory: Any = None  # what the suggester keeps of this file
    last_fill: Any = None  # what `filling` was asked last
    text_before: Callable[[OpenDocument], str] = lambda document: ""  # what the model sees as this file's beginning
    until_edited: set[asyncio.Future[Any]] = field(default_factory=set)  # cancelled by the next edit
    _undo: Edit | None = field(default=None, repr=False)
    _before: str = field(default="", repr=False)  # of `text_before`, what the worker has

    @property
    def text(self) -> str:
        return self.document.text

    def tell_worker(self) -> None:
        """Open the file in the worker, unless it is there."""
        if not self.is_known_to_worker:
            self.revision += 1
            self._before = self.text_before(self)
            self.client.open(self.uri, self.name, self._before + self.text, self.revision)
            self.is_known_to_worker = True

    def hide_from_worker(self) -> None:
        """Have the worker forget the file."""
        if self.is_known_to_worker:
            self.client.close(self.uri)
            self.is_known_to_worker = False
            self.snippets = ()
            self._undo, self._before = None, ""

    def show_snippets(self, snippets: tuple[Snippet, ...]) -> None:
        """Have the worker show the model these snippets beside this file."""
        if self.is_known_to_worker and snippets != self.snippets:
            self.snippets = snippets
            self.client.set_context(self.uri, snippets)

    def change(self, changes: Sequence[types.TextDocumentContentChangeEvent], version: int | None) -> tuple[Edit, ...]:
        """Apply one `didChange`, also in the worker; return the edits it was."""
        self._end_supposition()
        edits = self.document.apply(changes)
        self.version = version
        if edits:
            self.last_edit_char = edits[-1].start + len(edits[-1].text)
            for outdated in self.until_edited:
                outdated.cancel()
            self._tell(edits)
        return edits

    def prepare(self, cursor_char: int) -> None:
        """Let the worker spend its idle time at a place."""
        if self.is_known_to_worker:
            self._freshen()
            self.client.prepare(self.uri, len(self._before) + min(cursor_char, len(self.text)))

    async def infill(self, request: InfillRequest, suppose: Edit | None = None, **callbacks: Any) -> Infill:
        """Ask the worker about this file as it is now; the request's `file_id` and `version` are filled in here.

        With `suppose`, ask about the text as it would be after that edit. The
        worker is told of the edit and, right behind the request, of its undoing:
        it carries out requests in order. Who asks meanwhile asks about the text as
        it is: the supposition ends then, and with it that request.
        """
        self._freshen()
        self._end_supposition()
        if suppose:
            self._undo = undo = undoing(suppose, self.text)
            self._tell([suppose])
        before_char = len(self._before)
        gaps = tuple(_moved(gap, before_char) for gap in request.gaps)
        asked = replace(request, file_id=self.uri, version=self.revision, gaps=gaps)
        if suppose:
            asking = asyncio.ensure_future(self.client.infill(asked, **callbacks))
            try:
                await asyncio.sleep(0)  # the request is sent now
                if self._undo is undo:
                    self._end_supposition()
                infill = await asking
            finally:
                asking.cancel()
        else:  # sent before anybody else can change what the worker has
            infill = await self.client.infill(asked, **callbacks)
        if not before_char:
            return infill
        return replace(infill, gaps=tuple(replace(gap, gap=_moved(gap.gap, -before_char)) for gap in infill.gaps))

    def _freshen(self) -> None:
        """Bring what stands before this file in the worker up to date. Done when it is asked about, not at each key."""
        before = self.text_before(self) if self.is_known_to_worker else ""
        edit = trimmed(Edit(0, len(self._before), before), self._before)
        if not changes_nothing(edit):
            self._end_supposition()
            self.revision += 1
            self.client.edit(self.uri, [edit], self.revision)
            self._before = before

    def _tell(self, edits: Sequence[Edit]) -> None:
        """Tell the worker of edits of this file."""
        if self.is_known_to_worker:
            self.revision += 1
            moved = [
                replace(edit, start=edit.start + len(self._before), end=edit.end + len(self._before)) for edit in edits
            ]
            self.client.edit(self.uri, moved if self._before else edits, self.revision)

    def _end_supposition(self) -> None:
        if self._undo:
            self._tell([self._undo])
        self._undo = None


class Documents:
    """The open files by URI."""

    def __init__(self, client: WorkerClient, unit: ColumnUnit) -> None:
        self.unit = unit
        self.roots: list[Path] = []  # folders of the workspace
        self.unknown: dict[str, str] = {}  # files that are open in the editor but not held, by URI, and why
        self._client = client
        self._open: dict[str, OpenDocument] = {}

    def __iter__(self) -> Iterator[OpenDocument]:
        """Yield the open files, the one changed last at the end."""
        return iter(list(self._open.values()))

    def get(self, uri: str) -> OpenDocument | None:
        return self._open.get(uri)

    def open(self, item: types.TextDocumentItem, notebook_uri: str | None = None) -> OpenDocument:
        """Take in a file, or a notebook's cell; one that is open already is replaced. The worker is not told yet."""
        self.close(item.uri)
        path = file_path(notebook_uri or item.uri)
        text = join_surrogates(item.text) if not item.text.isascii() else item.text
        language = detect_language(path.name if path else "", item.language_id, text)
        opened = self._open[item.uri] = OpenDocument(
            uri=item.uri,
            path=path,
            names=_names(notebook_uri or item.uri, path),
            has_unknown_names=path is not None and has_other_names(path),
            notebook_uri=notebook_uri,
            name=self._name(notebook_uri or item.uri, path, language, is_cell=notebook_uri is not None),
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
        self.unknown.pop(uri, None)
        document = self._open.pop(uri, None)
        if document:
            document.hide_from_worker()
        return document

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


def _moved(gap: Gap, by_char: int) -> Gap:
    return Gap(gap.start + by_char, gap.end + by_char)


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
