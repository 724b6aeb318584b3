"""Filling on demand: code actions and commands that edit the file, and `setfill/infill`, which only answers.

Edits carry the version they were made for, and are refused when the file has moved on. All places of one command
are one edit, so one undo takes it back.

Knows commands, ranges and edits of the protocol; `filling` knows how a place is filled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from cattrs.errors import BaseValidationError
from lsprotocol import types

from lsp_server.filling import MOST_GAPS, Filled, fill, hole_spans
from lsp_server.protocol import CONTENT_MODIFIED, contained, invalid_params, request_failed, uri_in
from lsp_server.server import SetfillServer
from lsp_server.snapshot import Snapshot
from model.api.types import PartialInfill
from model.errors import VersionError

FILL = "setfill.fill"
FILL_HOLES = "setfill.fillHoles"
INFILL = "setfill/infill"
_KIND = "refactor.rewrite.setfill"
_MOVED_ON = "the file was edited meanwhile: nothing was filled"


def register(server: SetfillServer) -> None:
    """Add the features to a server."""

    @server.feature(types.TEXT_DOCUMENT_CODE_ACTION, types.CodeActionOptions(code_action_kinds=[_KIND]))
    @contained
    def code_actions(params: types.CodeActionParams) -> list[types.CodeAction]:
        snapshot = server.state.snapshot_if_open(params.text_document.uri)
        only = params.context.only
        if snapshot is None or server.state.documents.admission.is_disabled(snapshot.document) or not _is_wanted(only):
            return []
        return _actions(server, snapshot, params.range)

    @server.command(FILL)
    @contained
    async def fill_ranges(argument: Any) -> None:
        snapshot = _snapshot_of(server, argument)
        await _fill_and_edit(server, snapshot, _spans_of(server, snapshot, argument))

    @server.command(FILL_HOLES)
    @contained
    async def fill_holes(argument: Any) -> None:
        snapshot = _snapshot_of(server, argument)
        spans = _holes_of(server, snapshot, argument)
        await _fill_and_edit(server, snapshot, spans)

    @server.feature(types.WORKSPACE_EXECUTE_COMMAND)
    @contained
    async def execute(params: types.ExecuteCommandParams) -> Any:
        """Run a command. In place of pygls' own, which a client cannot cancel."""
        command = server.protocol.fm.commands.get(params.command)
        if command is None:
            raise invalid_params("this is no command of setfill's")
        result = command((params.arguments or [None])[0])
        return await result if asyncio.iscoroutine(result) else result

    @server.feature(INFILL)
    @contained
    async def infill(params: Any) -> dict[str, Any]:
        """Answer infills for ranges or marked holes without touching the file, streamed for a `partialResultToken`."""
        snapshot = _snapshot_of(server, params)
        find = _holes_of if params.get("holes") is True else _spans_of
        spans = find(server, snapshot, params)
        stream = params.get("partialResultToken")

        def on_partial(partial: PartialInfill) -> None:
            value = {"index": partial.gap_index, "text": partial.text}
            server.protocol.notify(types.PROGRESS, types.ProgressParams(stream, value))

        candidates = params.get("candidates", 1)
        if not isinstance(candidates, int) or not 1 <= candidates <= 8:
            raise invalid_params("candidates must be a whole number from 1 to 8")
        filled = await _filled(server, snapshot, spans, on_partial if stream is not None else None, candidates)
        return {"version": snapshot.version, "infills": [_answer(snapshot, each) for each in filled]}


def _actions(server: SetfillServer, snapshot: Snapshot, span: types.Range) -> list[types.CodeAction]:
    identity = {"uri": snapshot.document.uri, "version": snapshot.version}
    start, end = snapshot.chars_of(span)
    title = "Setfill: fill in here" if start == end else "Setfill: replace the selection by an infill"
    plain_range = {
        "start": {"line": span.start.line, "character": span.start.character},
        "end": {"line": span.end.line, "character": span.end.character},
    }
    actions = [_action(server, title, FILL, {"textDocument": identity, "ranges": [plain_range]})]
    holes = len(hole_spans(snapshot.text, snapshot.settings.hole_marker))
    if 0 < holes <= MOST_GAPS:
        title = f"Setfill: fill all {holes} holes together" if holes > 1 else "Setfill: fill the marked hole"
        actions.append(_action(server, title, FILL_HOLES, {"textDocument": identity}))
    return actions


def _action(server: SetfillServer, title: str, command: str, argument: dict[str, Any]) -> types.CodeAction:
    text_document = server.client_capabilities.text_document
    known = text_document.code_action.tag_support if text_document and text_document.code_action else None
    tags = [types.CodeActionTag.LlmGenerated] if known and types.CodeActionTag.LlmGenerated in known.value_set else None
    made = types.Command(title=title, command=command, arguments=[argument])
    return types.CodeAction(title=title, kind=_KIND, command=made, tags=tags)


def _is_wanted(only: Sequence[str] | None) -> bool:
    return only is None or any(kind == _KIND or _KIND.startswith(f"{kind}.") or kind == "" for kind in map(str, only))


async def _fill_and_edit(server: SetfillServer, snapshot: Snapshot, spans: list[tuple[int, int]]) -> None:
    filled = await _filled(server, snapshot, spans)
    if all(not each.edit.text for each in filled):
        raise request_failed("the model suggests nothing here")
    edits = [types.TextEdit(snapshot.range_at(each.edit.start, each.edit.end), each.edit.text) for each in filled]
    document, workspace = snapshot.document, server.client_capabilities.workspace
    can_version = workspace and workspace.workspace_edit and workspace.workspace_edit.document_changes
    if can_version:
        identity = types.OptionalVersionedTextDocumentIdentifier(uri=document.uri, version=snapshot.version)
        edit = types.WorkspaceEdit(document_changes=[types.TextDocumentEdit(identity, edits)])
    else:
        edit = types.WorkspaceEdit(changes={document.uri: edits})
    if not snapshot.is_current or document.version != snapshot.version:  # not every client counts versions
        raise request_failed(_MOVED_ON, CONTENT_MODIFIED)
    result = await server.workspace_apply_edit_async(types.ApplyWorkspaceEditParams(edit, label="Setfill"))
    if not result.applied:
        raise request_failed(_MOVED_ON, CONTENT_MODIFIED)


async def _filled(
    server: SetfillServer,
    snapshot: Snapshot,
    spans: list[tuple[int, int]],
    on_partial: Any = None,
    candidates: int = 1,
) -> list[Filled]:
    state, document = server.state, snapshot.document
    if not document.is_known_to_worker:
        raise request_failed("this file is excluded from Setfill, see the setting `exclude`")
    state.suggester.overtake(document)
    try:
        return await fill(snapshot, spans, state.worker, state.editor.long_work, on_partial, candidates)
    except VersionError:
        raise request_failed(_MOVED_ON, CONTENT_MODIFIED) from None


def _snapshot_of(server: SetfillServer, argument: Any) -> Snapshot:
    """Return the file that an argument is about, if it still has the version the client speaks of."""
    uri = uri_in(argument)
    if uri is None:
        raise invalid_params("the argument must have textDocument.uri")
    snapshot = server.state.snapshot(uri)
    if snapshot.version is not None and argument["textDocument"].get("version") not in (None, snapshot.version):
        raise request_failed(_MOVED_ON, CONTENT_MODIFIED)
    return snapshot


def _spans_of(server: SetfillServer, snapshot: Snapshot, argument: Any) -> list[tuple[int, int]]:
    ranges = argument.get("ranges")
    if not isinstance(ranges, list) or not 1 <= len(ranges) <= MOST_GAPS:
        raise invalid_params(f"ranges must be a list of 1 to {MOST_GAPS} ranges")
    return [snapshot.chars_of(_structured(server, each, types.Range)) for each in ranges]


def _holes_of(server: SetfillServer, snapshot: Snapshot, argument: Any) -> list[tuple[int, int]]:
    """Return the marked holes of a file, or of a range of it. A failure when there are none."""
    spans = hole_spans(snapshot.text, snapshot.settings.hole_marker)
    if argument.get("range") is not None:
        first, last = snapshot.chars_of(_structured(server, argument["range"], types.Range))
        spans = [span for span in spans if first <= span[0] and span[1] <= last]
    if not spans:
        raise request_failed(f"no hole is marked: write {snapshot.settings.hole_marker} where code is missing")
    return spans


def _structured(server: SetfillServer, value: Any, kind: type) -> Any:
    try:
        return server.protocol.converter.structure(value, kind)
    except (BaseValidationError, TypeError, ValueError, KeyError, AttributeError):
        raise invalid_params(f"a {kind.__name__} was expected") from None


def _answer(snapshot: Snapshot, filled: Filled) -> dict[str, Any]:
    span = snapshot.range_at(filled.edit.start, filled.edit.end)
    return {
        "range": span,
        "text": filled.edit.text,
        "stop": filled.stop,
        "confidence": round(filled.confidence, 4),
        "alternatives": list(filled.alternatives),
    }
