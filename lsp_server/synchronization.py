"""Text document synchronization: what the editor says of its open files, so that our texts are its texts or none.

Clients are forgiven what can mean only one thing: a version that is missing or null, a null range, a place beyond any
text. A file whose message cannot be read, was skipped, or makes too large a text, is unknown until it is opened
again, and the user is told: no answer is given for a text that may not be the editor's.
"""

from __future__ import annotations

import math
from typing import Any

from lsprotocol import types

from lsp_server.documents import UNREADABLE, Documents
from lsp_server.framing import LARGEST_MESSAGE_BYTES, Skipped
from lsp_server.protocol import contained, uri_in
from lsp_server.server import SetfillServer

_LARGEST_NUMBER = 2**31 - 1  # of a line or a column, as the protocol has them
_OF_FILES = ("/didOpen", "/didChange", "/didClose")


class Unreadable(ValueError):
    """Parameters that are not what the protocol says."""


def register(server: SetfillServer) -> None:
    """Add the handlers to a server."""
    documents = server.state.documents
    server.protocol.on_skipped = lambda skipped: _skipped(documents, skipped)

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    @contained
    def opened(params: Any) -> None:
        uri = _uri(params)
        try:
            item, version = _opened_item(params["textDocument"])
        except Unreadable:
            documents.lose(uri, UNREADABLE)
            return
        documents.open(item)
        if document := documents.get(uri):
            document.version = version

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    @contained
    def changed(params: Any) -> None:
        uri = _uri(params)
        try:
            version, changes = _version(params["textDocument"]), _changes(params.get("contentChanges"))
        except Unreadable:
            if documents.get(uri):
                documents.lose(uri, UNREADABLE)
            return
        documents.change(uri, version, changes)

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    @contained
    def closed(params: Any) -> None:
        documents.close(_uri(params))


def _skipped(documents: Documents, skipped: Skipped) -> None:
    """Lose the file that a skipped message was about: all of them, if it may have been about any."""
    seen = skipped.head + skipped.tail
    if skipped.method:
        is_of_file = skipped.method.endswith(_OF_FILES)
    elif skipped.is_seen_whole:
        is_of_file = any(word.encode() in seen for word in _OF_FILES)
    else:
        is_of_file = b'"' in seen  # some JSON
    if is_of_file:
        too_large = f"it is too large ({skipped.size_bytes:,} bytes in one message)"
        reason = too_large if skipped.size_bytes > LARGEST_MESSAGE_BYTES else UNREADABLE
        for uri in [skipped.uri] if skipped.uri else [document.uri for document in documents]:
            documents.lose(uri, reason)


# -- parameters ---------------------------------------------------------------------------------


def _uri(params: Any) -> str:
    uri = uri_in(params)
    if uri is None:
        raise Unreadable("no textDocument.uri")
    return uri


def _opened_item(item: dict[str, Any]) -> tuple[types.TextDocumentItem, int | None]:
    language, text, version = item.get("languageId"), item.get("text"), _version(item)
    if not isinstance(text, str):
        raise Unreadable("no text")
    name = language if isinstance(language, str) else ""
    return types.TextDocumentItem(item["uri"], name, version or 0, text), version


def _version(identity: dict[str, Any]) -> int | None:
    """Return the version; None, which means any, if the client gives none that can be used."""
    version = identity.get("version")
    if isinstance(version, float) and version.is_integer():
        version = int(version)
    is_usable = isinstance(version, int) and not isinstance(version, bool) and abs(version) <= _LARGEST_NUMBER
    return version if is_usable else None


def _changes(changes: Any) -> list[types.TextDocumentContentChangeEvent]:
    if not isinstance(changes, list):
        raise Unreadable("no contentChanges")
    return [_change(change) for change in changes]


def _change(change: Any) -> types.TextDocumentContentChangeEvent:
    text = change.get("text") if isinstance(change, dict) else None
    if not isinstance(text, str):
        raise Unreadable("no text")
    span = change.get("range")
    if span is None:
        return types.TextDocumentContentChangeWholeDocument(text)
    if not isinstance(span, dict):
        raise Unreadable("no range")
    return types.TextDocumentContentChangePartial(types.Range(_place(span.get("start")), _place(span.get("end"))), text)


def _place(place: Any) -> types.Position:
    if not isinstance(place, dict):
        raise Unreadable("no position")
    return types.Position(_number(place.get("line")), _number(place.get("character")))


def _number(value: Any) -> int:
    """Return a line or column. Clients say the end of a text by numbers that are larger than the protocol's."""
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise Unreadable("no number")
    return int(min(max(value, 0), _LARGEST_NUMBER))
