"""`textDocument/inlineCompletion`: suggestions as editors want them. Knows no way to find one."""

from __future__ import annotations

import re
from dataclasses import replace

from lsprotocol import types

from lsp_server.fates import accepted_command
from lsp_server.open_document import OpenDocument
from lsp_server.protocol import contained
from lsp_server.server import SetfillServer
from lsp_server.state import State
from lsp_server.suggester import Ask, Suggestion
from model.api.types import Edit
from model.errors import SetfillError

_SHOWN_BEFORE_CHAR = 200  # of a line, to Neovim


def register(server: SetfillServer) -> None:
    """Add the feature to a server."""
    state = server.state

    @server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())
    @contained
    async def inline_completion(params: types.InlineCompletionParams) -> list[types.InlineCompletionItem] | None:
        invoked = params.context.trigger_kind is types.InlineCompletionTriggerKind.Invoked
        document = state.documents.get(params.text_document.uri)
        if document is None and invoked and params.text_document.uri in state.documents.unknown:
            state.document(params.text_document.uri)  # says why there is nothing
        if document is None or state.documents.admission.is_disabled(document):
            return []
        if not invoked and not state.settings.automatic:
            return []
        # Everything about the text is taken from it before the first wait: it may change at any one.
        ask = Ask(
            document.content.char_at(params.position),
            invoked,
            candidates=state.settings.candidates if invoked or state.editor.is_neovim else 1,
            selected=_selected(document, params.context.selected_completion_info),
        )
        suggestions = await answered(state, document, ask)
        if suggestions is not None and state.editor.is_neovim:
            suggestions = [_for_neovim(document, each) for each in suggestions]
        return None if suggestions is None else [_item(document, each) for each in suggestions]


async def answered(state: State, document: OpenDocument, ask: Ask) -> list[Suggestion] | None:
    """Return suggestions; none of them when there is no model, which the user has been told of once.

    Asked by hand, the reason is the answer.
    """
    try:
        return await state.suggester.suggest(document, ask)
    except SetfillError as error:
        if ask.invoked:
            raise
        state.editor.show_problem(str(error))
        return []


def _for_neovim(document: OpenDocument, suggestion: Suggestion) -> Suggestion:
    """Return a suggestion as Neovim wants it: with what stands before it on its line, and LF alone as line ending.

    Neovim 0.12 goes on offering a suggestion after other keys; with the text before it a mapping can tell whether it
    still fits. Buffers hold lines without endings; in other edits Neovim itself makes an LF of each.
    """
    text = document.text
    line_start = document.content.line_range(document.content.position_at(suggestion.start_char).line)[0]
    start = max(line_start, suggestion.start_char - _SHOWN_BEFORE_CHAR)
    whole = text[start : suggestion.start_char] + suggestion.text
    return replace(suggestion, start_char=start, text=re.sub(r"\r\n?", "\n", whole))


def _item(document: OpenDocument, suggestion: Suggestion) -> types.InlineCompletionItem:
    return types.InlineCompletionItem(
        insert_text=suggestion.text,
        range=document.content.range_at(suggestion.start_char, suggestion.end_char),
        command=accepted_command(suggestion.number),
    )


def _selected(document: OpenDocument, chosen: types.SelectedCompletionInfo | None) -> Edit | None:
    if chosen is None:
        return None
    start, end = document.content.chars_of(chosen.range)
    return Edit(start, end, chosen.text)
