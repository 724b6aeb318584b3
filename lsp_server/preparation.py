"""The worker gets ready while nothing is asked: at the last edit once the keys rest, or where the cursor is moved to.

Knows when, and no more: what the worker does with the hint is its own.
"""

from __future__ import annotations

import asyncio
from typing import Any

from lsprotocol import types

from lsp_server.documents import Documents
from lsp_server.open_document import OpenDocument
from lsp_server.protocol import contained
from lsp_server.server import SetfillServer

_REST_SECONDS = 0.1  # without a key


def register(server: SetfillServer) -> None:
    """Add the feature to a server."""
    preparer = _Preparer(server.state.documents)
    server.state.documents.on_edited.append(preparer.edited)
    server.state.on_end.append(preparer.end)

    @server.feature("setfill/didMoveCursor")
    @contained
    def did_move_cursor(params: Any) -> None:
        place = server.protocol.converter.structure(params, types.TextDocumentPositionParams)
        if document := server.state.documents.get(place.text_document.uri):
            preparer.prepare(document, document.content.char_at(place.position))


class _Preparer:
    """Waits for the keys to rest, and hands on the places where suggestions are allowed."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._waiting: asyncio.TimerHandle | None = None

    def edited(self, document: OpenDocument) -> None:
        self.end()
        self._waiting = asyncio.get_running_loop().call_later(_REST_SECONDS, self._prepare_at_edit, document)

    def end(self) -> None:
        if self._waiting:
            self._waiting.cancel()

    def prepare(self, document: OpenDocument, cursor_char: int) -> None:
        """Let the worker spend its idle time at a place, if there may be suggestions in the file."""
        if document.is_open and not self._documents.admission.is_disabled(document):
            document.prepare(cursor_char)

    def _prepare_at_edit(self, document: OpenDocument) -> None:
        self.prepare(document, document.last_edit_char)
