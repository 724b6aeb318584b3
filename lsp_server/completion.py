"""`textDocument/completion` with the same infill, for editors that know no inline completion."""

from __future__ import annotations

import re

from lsprotocol import types

from lsp_server.fates import accepted_command
from lsp_server.inline_completion import answered
from lsp_server.protocol import contained
from lsp_server.server import SetfillServer
from lsp_server.snapshot import Snapshot
from lsp_server.suggester import Ask, Suggestion

_TRIGGERS = [" ", "\t", "\n", "(", "[", "{", ".", ",", "=", ":", '"', "'", ">"]
_LABEL_CHAR = 60
_WORD = re.compile(r"\w*$")


def register(server: SetfillServer) -> None:
    """Add the feature for a client without inline completion; others would show everything twice."""
    text_document = server.client_capabilities.text_document
    if text_document and text_document.inline_completion:
        return
    state = server.state
    options = types.CompletionOptions(trigger_characters=_TRIGGERS, resolve_provider=False)

    @server.feature(types.TEXT_DOCUMENT_COMPLETION, options)
    @contained
    async def complete(params: types.CompletionParams) -> types.CompletionList | None:
        nothing = types.CompletionList(is_incomplete=True, items=[])
        snapshot = state.snapshot_if_open(params.text_document.uri)
        if snapshot is None or state.documents.admission.is_disabled(snapshot.document):
            return nothing
        if not snapshot.settings.automatic:
            return nothing
        ask = Ask(snapshot.char_at(params.position), candidates=snapshot.settings.candidates)
        suggestions = await answered(state, snapshot, ask)
        if suggestions is None:
            return nothing
        return types.CompletionList(
            is_incomplete=True, items=[_item(snapshot, each, rank) for rank, each in enumerate(suggestions)]
        )


def _item(snapshot: Snapshot, suggestion: Suggestion, rank: int) -> types.CompletionItem:
    """Return the item. It replaces the word before the cursor, as editors filter by that word."""
    text, edit = snapshot.text, suggestion.edit
    word = _WORD.search(text[max(0, edit.start - 200) : edit.start])
    start = edit.start - (len(word[0]) if word else 0)
    whole = text[start : edit.start] + edit.text
    first_line = whole.strip().splitlines()[0]
    shortened = (
        first_line if first_line == whole.strip() and len(first_line) <= _LABEL_CHAR else first_line[:_LABEL_CHAR] + "…"
    )
    language_id = snapshot.document.language_id
    return types.CompletionItem(
        label=shortened,
        kind=types.CompletionItemKind.Text,
        detail="Setfill",
        documentation=types.MarkupContent(types.MarkupKind.Markdown, f"```{language_id}\n{whole}\n```"),
        filter_text=whole,
        sort_text=f"\uffff{rank}",  # behind what a language server knows
        insert_text_mode=types.InsertTextMode.AsIs,
        text_edit=types.TextEdit(snapshot.range_at(start, edit.end), whole),
        command=accepted_command(suggestion.number),
    )
