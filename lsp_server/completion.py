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
_BACKTICKS = re.compile(r"`+")


def register(server: SetfillServer) -> None:
    """Add the feature for a client without inline completion; others would show everything twice."""
    text_document = server.client_capabilities.text_document
    if text_document and text_document.inline_completion:
        return
    state = server.state
    item = text_document and text_document.completion and text_document.completion.completion_item
    in_markdown = types.MarkupKind.Markdown in ((item and item.documentation_format) or ())
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
            is_incomplete=True,
            items=[_item(snapshot, each, rank, in_markdown=in_markdown) for rank, each in enumerate(suggestions)],
        )


def _item(snapshot: Snapshot, suggestion: Suggestion, rank: int, *, in_markdown: bool) -> types.CompletionItem:
    """Return the item. It replaces the word before the cursor, as editors filter by that word."""
    text, edit = snapshot.text, suggestion.edit
    word = _WORD.search(text[max(0, edit.start - 200) : edit.start])
    start = edit.start - (len(word[0]) if word else 0)
    whole = text[start : edit.start] + edit.text
    return types.CompletionItem(
        label=_label(whole),
        kind=types.CompletionItemKind.Text,
        detail="Setfill",
        documentation=_documentation(whole, snapshot.document.language_id, in_markdown=in_markdown),
        filter_text=whole,
        sort_text=f"\uffff{rank}",  # behind what a language server knows
        insert_text_mode=types.InsertTextMode.AsIs,
        text_edit=types.TextEdit(snapshot.range_at(start, edit.end), whole),
        command=accepted_command(suggestion.number),
    )


def _documentation(text: str, language_id: str, *, in_markdown: bool) -> types.MarkupContent:
    """Return the text as an editor shows it beside the list; behind a fence that is longer than any in it."""
    if not in_markdown:
        return types.MarkupContent(types.MarkupKind.PlainText, text)
    fence = "`" * (1 + max([2, *map(len, _BACKTICKS.findall(text))]))
    return types.MarkupContent(types.MarkupKind.Markdown, f"{fence}{language_id}\n{text}\n{fence}")


def _label(text: str) -> str:
    """Return the first line that is not blank, or as much of it as fits in a list."""
    first_line = text.strip().splitlines()[0]
    is_all = first_line == text.strip() and len(first_line) <= _LABEL_CHAR
    return first_line if is_all else first_line[:_LABEL_CHAR] + "…"
