"""`textDocument/inlineCompletion`: suggestions as editors want them. Knows no way to find one."""

from __future__ import annotations

import re
from dataclasses import replace

from lsprotocol import types

from lsp_server.fates import accepted_command
from lsp_server.protocol import contained
from lsp_server.server import SetfillServer
from lsp_server.snapshot import Snapshot
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
        uri = params.text_document.uri
        if invoked and uri in state.documents.unknown:
            state.snapshot(uri)  # says why there is nothing
        snapshot = state.snapshot_if_open(uri)
        if snapshot is None or state.documents.admission.is_disabled(snapshot.document):
            return []
        if not invoked and not snapshot.settings.automatic:
            return []
        ask = Ask(
            snapshot.char_at(params.position),
            invoked,
            candidates=snapshot.settings.candidates if invoked or state.editor.is_neovim else 1,
            selected=_selected(snapshot, params.context.selected_completion_info),
        )
        suggestions = await answered(state, snapshot, ask)
        if suggestions is not None and state.editor.is_neovim:
            suggestions = [_for_neovim(snapshot, each) for each in suggestions]
        return None if suggestions is None else [_item(snapshot, each) for each in suggestions]


async def answered(state: State, snapshot: Snapshot, ask: Ask) -> list[Suggestion] | None:
    """Return suggestions; none of them when there is no model, which the user has been told of once.

    Asked by hand, the reason is the answer.
    """
    try:
        return await state.suggester.suggest(snapshot, ask)
    except SetfillError as error:
        if ask.invoked:
            raise
        state.editor.show_problem(str(error))
        return []


def _for_neovim(snapshot: Snapshot, suggestion: Suggestion) -> Suggestion:
    """Return a suggestion as Neovim wants it: with what stands before it on its line, and LF alone as line ending.

    Neovim 0.12 goes on offering a suggestion after other keys; with the text before it a mapping can tell whether it
    still fits. Buffers hold lines without endings; in other edits Neovim itself makes an LF of each.
    """
    edit = suggestion.edit
    start = max(snapshot.line_start(edit.start), edit.start - _SHOWN_BEFORE_CHAR)
    whole = snapshot.text[start : edit.start] + edit.text
    return replace(suggestion, edit=Edit(start, edit.end, re.sub(r"\r\n?", "\n", whole)))


def _item(snapshot: Snapshot, suggestion: Suggestion) -> types.InlineCompletionItem:
    return types.InlineCompletionItem(
        insert_text=suggestion.edit.text,
        range=snapshot.range_at(suggestion.edit.start, suggestion.edit.end),
        command=accepted_command(suggestion.number),
    )


def _selected(snapshot: Snapshot, chosen: types.SelectedCompletionInfo | None) -> Edit | None:
    if chosen is None:
        return None
    start, end = snapshot.chars_of(chosen.range)
    return Edit(start, end, chosen.text)
