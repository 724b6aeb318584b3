"""`textDocument/inlineCompletion`, and what clients tell of the fate of a suggestion."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from lsprotocol import types

from lsp_server.documents import OpenDocument
from lsp_server.protocol import contained, invalid_params
from lsp_server.server import SetfillServer
from lsp_server.suggester import Ask, Suggestion
from model.api.types import Edit
from model.errors import SetfillError

ACCEPTED = "setfill.accepted"  # the command that an editor runs once it has inserted a suggestion
_SHOWN_BEFORE_CHAR = 200  # of a line, to Neovim


def register(server: SetfillServer) -> None:
    """Add the feature to a server."""

    @server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())
    @contained
    async def inline_completion(params: types.InlineCompletionParams) -> list[types.InlineCompletionItem] | None:
        invoked = params.context.trigger_kind is types.InlineCompletionTriggerKind.Invoked
        document = server.documents.get(params.text_document.uri)
        if document is None and invoked and params.text_document.uri in server.documents.unknown:
            server.document(params.text_document.uri)  # says why there is nothing
        if document is None or server.is_disabled(document):
            return []
        if not invoked and not server.settings.automatic:
            return []
        # Everything about the text is taken from it before the first wait: it may change at any one.
        ask = Ask(
            document.document.char_at(params.position),
            invoked,
            candidates=server.settings.candidates if invoked or _is_neovim(server) else 1,
            selected=_selected(document, params.context.selected_completion_info),
        )
        suggestions = await answered(server, document, ask)
        if suggestions is not None and _is_neovim(server):
            suggestions = [_for_neovim(document, each) for each in suggestions]
        return None if suggestions is None else [_item(document, each) for each in suggestions]

    @server.command(ACCEPTED)
    @contained
    def accepted(number: Any) -> None:
        server.statistics.accepted(_number(number))

    @server.feature("setfill/didAcceptSuggestion")
    @contained
    def did_accept(params: Any) -> None:
        number = _number(_field(params, "id"))
        if isinstance(params, dict) and params.get("acceptedLength") is not None:
            server.statistics.partially_accepted(number, _number(params["acceptedLength"]))
        else:
            server.statistics.accepted(number)

    @server.feature("setfill/didShowSuggestion")
    @contained
    def did_show(params: Any) -> None:
        server.statistics.displayed(_number(_field(params, "id")))

    @server.feature("setfill/didMoveCursor")
    @contained
    def did_move_cursor(params: Any) -> None:
        place = server.protocol.converter.structure(params, types.TextDocumentPositionParams)
        if document := server.documents.get(place.text_document.uri):
            server.prepare(document, document.document.char_at(place.position))


async def answered(server: SetfillServer, document: OpenDocument, ask: Ask) -> list[Suggestion] | None:
    """Return suggestions; none of them when there is no model, which the user has been told of once.

    Asked by hand, the reason is the answer.
    """
    try:
        return await server.suggester.suggest(document, ask)
    except SetfillError as error:
        if ask.invoked:
            raise
        server.show_problem(str(error))
        return []


def accepted_command(number: int) -> types.Command:
    """Return the command that tells us of an accepted suggestion."""
    return types.Command(title="Accepted", command=ACCEPTED, arguments=[number])


def _is_neovim(server: SetfillServer) -> bool:
    """Neovim asks only as if by typing, and lets its user cycle through what it got."""
    return server.client_name.lower() == "neovim"


def _for_neovim(document: OpenDocument, suggestion: Suggestion) -> Suggestion:
    """Return a suggestion as Neovim wants it: with what stands before it on its line, and LF alone as line ending.

    Neovim 0.12 goes on offering a suggestion after other keys; with the text before it a mapping can tell whether it
    still fits. Buffers hold lines without endings; in other edits Neovim itself makes an LF of each.
    """
    text = document.text
    line_start = document.document.line_range(document.document.position_at(suggestion.start_char).line)[0]
    start = max(line_start, suggestion.start_char - _SHOWN_BEFORE_CHAR)
    whole = text[start : suggestion.start_char] + suggestion.text
    return replace(suggestion, start_char=start, text=re.sub(r"\r\n?", "\n", whole))


def _item(document: OpenDocument, suggestion: Suggestion) -> types.InlineCompletionItem:
    return types.InlineCompletionItem(
        insert_text=suggestion.text,
        range=document.document.range_at(suggestion.start_char, suggestion.end_char),
        command=accepted_command(suggestion.number),
    )


def _selected(document: OpenDocument, chosen: types.SelectedCompletionInfo | None) -> Edit | None:
    if chosen is None:
        return None
    start, end = document.document.chars_of(chosen.range)
    return Edit(start, end, chosen.text)


def _field(params: Any, name: str) -> Any:
    if not isinstance(params, dict) or name not in params:
        raise invalid_params(f"the parameters must have {name}")
    return params[name]


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise invalid_params("a suggestion is named by a whole number")
    return value
