"""Context islands: what the model is shown of other files, gathered while the keys rest.

The most useful last: parts of open files edited lately, signatures of other open files, signatures of what the file
imports, and, for who wants it, pieces of the workspace that look like what stands around the cursor. Nothing but what
`Privacy` lets through is read.

Knows which files to show and how much of them; how the model sees them it does not.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lsprotocol import types

from grammars import Language, detect_language, outline_around, snapshot_of
from lsp_server.documents import file_path
from lsp_server.imports import imported_files
from lsp_server.open_document import OpenDocument
from lsp_server.privacy import Privacy
from lsp_server.protocol import contained
from lsp_server.server import SetfillServer
from lsp_server.settings import Settings
from lsp_server.similar_code import SimilarCode
from lsp_server.state import State
from model.api.types import Snippet

_IDLE_SECONDS = 0.8
_MOST_NEIGHBOURS = 6
_MOST_IMPORTS = 20
_SNIPPET_CHAR = 2_000  # of one file
_SIMILAR_SHARE = 0.5  # of the budget, at most
_IMPORTS_SHARE = 0.6  # of what is left of it
_PARSE_SECONDS = 0.5
_MOST_SIMILAR = 3
_READ_SECONDS = 0.3  # at a time, for the index of similar code


@dataclass(frozen=True)
class OpenFile:
    """An open file as it was when gathering began."""

    path: Path
    language: Language
    text: str
    last_edit_char: int  # 0: not edited yet


def register(server: SetfillServer) -> None:
    """Add the feature to a server."""
    state = server.state
    keeper = ContextKeeper(state)
    state.documents.on_opened.append(keeper.changed)
    state.documents.on_edited.append(keeper.changed)
    state.documents.on_closed.append(keeper.closed)
    state.on_settings_changed.append(keeper.settings_changed)
    state.on_end.append(keeper.end)

    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    @contained
    def files_changed(params: types.DidChangeWatchedFilesParams) -> None:
        for change in params.changes:
            if path := file_path(change.uri):
                keeper.tell_changed(path)


class ContextKeeper:
    """Keeps the worker's snippets for each open file fresh."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._timer: asyncio.TimerHandle | None = None
        self._gathering: asyncio.Task[None] | None = None
        self._similar: SimilarCode | None = None  # made when it is first wanted, and anew for other settings or folders
        self._similar_rules: object = None

    def changed(self, document: OpenDocument) -> None:
        """Gather for the file that was changed, once its user pauses."""
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(_IDLE_SECONDS, self._begin, document)

    def closed(self, document: OpenDocument) -> None:
        """Take note that a file is as it is on the disk from now on."""
        if self._similar and document.path:
            self._similar.let_go(document.path)

    def tell_changed(self, path: Path) -> None:
        """Take note that a file which is not open may have changed."""
        if self._similar:
            self._similar.tell_changed(path)

    def settings_changed(self) -> None:
        """Take back what was shown: it may be of files that are excluded by now."""
        for document in self._state.documents:
            document.show_snippets(())
            self.changed(document)

    def end(self) -> None:
        """Stop gathering."""
        if self._timer:
            self._timer.cancel()
        if self._gathering:
            self._gathering.cancel()

    def _begin(self, document: OpenDocument) -> None:
        self._timer = None
        if self._gathering and not self._gathering.done():
            self.changed(document)  # a little later
        else:
            self._gathering = asyncio.create_task(self._gather(document))

    async def _gather(self, document: OpenDocument) -> None:
        state, settings = self._state, self._state.settings
        description = state.worker.description
        is_of_use = description is None or description.sees_suffix  # others see no islands
        if document.path is None or not is_of_use or not document.is_known_to_worker:
            return
        snippets: tuple[Snippet, ...] = ()
        if settings.context and settings.context_chars:
            here = OpenFile(document.path, document.language, document.text, document.last_edit_char)
            others = [
                OpenFile(other.path, other.language, other.text, other.last_edit_char)
                for other in state.documents
                if other is not document and other.path and other.is_known_to_worker
            ]
            similar = self._similar_code(settings, state.documents.roots)
            snippets = await asyncio.to_thread(gathered, here, others, list(state.documents.roots), settings, similar)
            if similar and similar.has_more and self._timer is None:  # else another file's turn comes, which reads on
                self.changed(document)
        if document.is_open and state.settings is settings:
            document.show_snippets(snippets)

    def _similar_code(self, settings: Settings, roots: Sequence[Path]) -> SimilarCode | None:
        """Return the index of similar code, if it is wanted: a new one where the rules are no longer those it has."""
        rules = (tuple(roots), settings.exclude, settings.context_max_file_kb)
        if not settings.similar_code:
            self._similar = None
        elif self._similar is None or rules != self._similar_rules:
            privacy = Privacy(roots, settings.exclude, settings.context_max_file_kb * 1000)
            self._similar, self._similar_rules = SimilarCode(roots, privacy), rules
        return self._similar


def gathered(
    here: OpenFile,
    others: Sequence[OpenFile],
    roots: Sequence[Path],
    settings: Settings,
    similar: SimilarCode | None = None,
) -> tuple[Snippet, ...]:
    """Return what to show beside a file, the most useful last. `others` are open files, the one used last at the end.

    Reads files and parses them: call it outside the event loop, and with one index of `similar` code not twice at once.
    """
    alike = similar_pieces(here, others, similar, settings) if similar else []
    left_char = settings.context_chars - sum(len(snippet.text) for snippet in alike)
    privacy = Privacy(roots, settings.exclude, settings.context_max_file_kb * 1000)
    imports = _Budget(int(left_char * _IMPORTS_SHARE), privacy, roots)
    _take_imports(here, roots, imports)
    near = _Budget(left_char - imports.used_char, privacy, roots)
    seen = imports.paths | {here.path}
    for other in list(reversed(others))[:_MOST_NEIGHBOURS]:
        if other.path not in seen and other.language is here.language and privacy.readable(other.path):
            near.take(other.path, _around_edit(other) if other.last_edit_char else _signatures(other))
    return (*reversed(near.snippets), *reversed(imports.snippets), *alike)


def similar_pieces(
    here: OpenFile, others: Sequence[OpenFile], similar: SimilarCode, settings: Settings
) -> list[Snippet]:
    """Return pieces that look like what stands around the last edit, the most useful last.

    `others` are open files, which are as they are in the editor. What the index has not read yet is read for a while.
    """
    for other in others:
        similar.take(other.path, other.language, other.text)
    similar.refresh(_READ_SECONDS)
    found = similar.like(here.path, here.language, here.text, here.last_edit_char, _MOST_SIMILAR)
    kept: list[Snippet] = []
    for snippet in reversed(found):
        if sum(len(each.text) for each in kept) + len(snippet.text) <= settings.context_chars * _SIMILAR_SHARE:
            kept.append(snippet)
    return kept[::-1]


class _Budget:
    """Snippets until so many characters are used."""

    def __init__(self, most_char: int, privacy: Privacy, roots: Sequence[Path]) -> None:
        self.snippets: list[Snippet] = []  # the most useful first
        self.used_char = 0
        self.privacy = privacy
        self.paths: set[Path] = set()
        self._most_char = most_char
        self._roots = roots

    def take(self, path: Path, text: str) -> None:
        """Add a snippet, cut to whole lines that fit."""
        room = min(_SNIPPET_CHAR, self._most_char - self.used_char)
        if len(text) > room:
            text = text[: max(0, text.rfind("\n", 0, max(0, room)) + 1)]
        if text.strip():
            inside = [path.relative_to(root) for root in self._roots if path.is_relative_to(root)]
            self.snippets.append(Snippet((inside[0] if inside else Path(path.name)).as_posix(), text))
            self.used_char += len(text)
            self.paths.add(path)


def _take_imports(here: OpenFile, roots: Sequence[Path], budget: _Budget) -> None:
    syntax = snapshot_of(here.text, here.language, _PARSE_SECONDS)
    for places, names in imported_files(syntax, here.path, roots)[:_MOST_IMPORTS]:
        place = next((place for place in places if os.path.isfile(place)), None)  # names may be too long for a file
        real = budget.privacy.readable(place) if place else None
        if place is None or real is None or place == here.path or place in budget.paths:
            continue
        try:
            text = real.read_text(encoding="utf-8")
        except (OSError, ValueError):  # gone, or no text
            continue
        file = OpenFile(place, detect_language(place.name, text=text), text, 0)
        budget.take(place, _signatures(file, names))


def _signatures(file: OpenFile, names: frozenset[str] = frozenset()) -> str:
    """Return the signatures of a file, only those that speak of `names` if any do."""
    outline = outline_around(snapshot_of(file.text, file.language, _PARSE_SECONDS), 0, 4 * _SNIPPET_CHAR)
    entries = [f"{entry.text}\n" for entry in outline.entries if entry.kind != "import"]
    if names:
        wanted = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(names)))})\b")
        entries = [entry for entry in entries if wanted.search(entry)] or entries
    return "".join(entries)


def _around_edit(file: OpenFile) -> str:
    """Return the lines around the place that was edited last."""
    begin = file.text.rfind("\n", 0, max(0, file.last_edit_char - _SNIPPET_CHAR // 2)) + 1
    return file.text[begin : begin + _SNIPPET_CHAR]
