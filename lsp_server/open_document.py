"""One open file: its text as the editor has it, and what the model worker is told of it.

Knows nothing of other files, of settings and of what is suggested: it is told whether the worker may know of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lsprotocol import types

from grammars import Language
from lsp_server.syntax import LazySyntax
from lsp_server.text_document import TextDocument
from model.api.client import WorkerClient
from model.api.edits import applied, changes_nothing, trimmed, undoing
from model.api.types import Edit, Gap, Infill, InfillRequest, Snippet


@dataclass(frozen=True)
class LastFill:
    """What was asked of a file the last time it was filled, and its text then."""

    text: str
    request: InfillRequest


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
    content: TextDocument
    version: int | None  # None: the client gives it none
    syntax: LazySyntax
    client: WorkerClient
    revision: int = 0
    last_edit_char: int = 0
    is_open: bool = True  # until it is closed, or lost
    is_known_to_worker: bool = False
    snippets: tuple[Snippet, ...] = ()  # of other files, as the worker has them
    last_fill: LastFill | None = None
    text_before: Callable[[OpenDocument], str] = lambda document: ""  # what the model sees as this file's beginning
    until_edited: set[asyncio.Future[Any]] = field(default_factory=set)  # cancelled by the next edit
    _supposed: Edit | None = field(default=None, repr=False)  # made in the worker's text alone, to be undone
    _before: str = field(default="", repr=False)  # of `text_before`, what the worker has

    @property
    def text(self) -> str:
        return self.content.text

    def tell_worker(self) -> None:
        """Open the file in the worker, unless it is there."""
        if not self.is_known_to_worker:
            self.revision += 1
            self._before = self.text_before(self)
            self.client.open(self.uri, self.name, self._workers_text, self.revision)
            self.is_known_to_worker = True

    def hide_from_worker(self) -> None:
        """Have the worker forget the file."""
        if self.is_known_to_worker:
            self.client.close(self.uri)
            self.is_known_to_worker = False
            self.snippets = ()
            self._supposed, self._before = None, ""

    def show_snippets(self, snippets: tuple[Snippet, ...]) -> None:
        """Have the worker show the model these snippets beside this file."""
        if self.is_known_to_worker and snippets != self.snippets:
            self.snippets = snippets
            self.client.set_context(self.uri, snippets)

    def change(self, changes: Sequence[types.TextDocumentContentChangeEvent], version: int | None) -> tuple[Edit, ...]:
        """Apply one `didChange`, also in the worker; return the edits it was."""
        self._end_supposition()
        edits = self.content.apply(changes)
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
            self._supposed = supposed = replace(suppose)  # this request's own, not that of another for the same text
            self._tell([supposed])
        before_char = len(self._before)
        gaps = tuple(_moved(gap, before_char) for gap in request.gaps)
        asked = replace(request, file_id=self.uri, version=self.revision, gaps=gaps)
        if suppose:
            asking = asyncio.ensure_future(self.client.infill(asked, **callbacks))
            try:
                await asyncio.sleep(0)  # the request is sent now
                if self._supposed is supposed:
                    self._end_supposition()
                infill = await asking
            finally:
                asking.cancel()
        else:  # sent before anybody else can change what the worker has
            infill = await self.client.infill(asked, **callbacks)
        if not before_char:
            return infill
        return replace(infill, gaps=tuple(replace(gap, gap=_moved(gap.gap, -before_char)) for gap in infill.gaps))

    def _workers_text(self) -> str:
        """Return this file's text as the worker has been told of it."""
        return self._before + (applied(self.text, self._supposed) if self._supposed else self.text)

    def _freshen(self) -> None:
        """Bring what stands before this file in the worker up to date. Done when it is asked about, not at each key."""
        before = self.text_before(self) if self.is_known_to_worker else ""
        edit = trimmed(Edit(0, len(self._before), before), self._before)
        if not changes_nothing(edit):
            self._end_supposition()
            self.revision += 1
            self._before = before
            self.client.edit(self.uri, [edit], self.revision)

    def _tell(self, edits: Sequence[Edit]) -> None:
        """Tell the worker of edits of this file."""
        if self.is_known_to_worker:
            self.revision += 1
            moved = [
                replace(edit, start=edit.start + len(self._before), end=edit.end + len(self._before)) for edit in edits
            ]
            self.client.edit(self.uri, moved if self._before else edits, self.revision)

    def _end_supposition(self) -> None:
        if self._supposed:
            undo, self._supposed = undoing(self._supposed, self.text), None
            self._tell([undo])


def _moved(gap: Gap, by_char: int) -> Gap:
    return Gap(gap.start + by_char, gap.end + by_char)
