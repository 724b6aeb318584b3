"""`setfill/traceLastInfill`: a page that replays how the last fill of a file was decoded.

A decode is not traced as it runs, for few are looked at; it is repeated, from the text of then. The text is read anew
for it, so the cuts of the text behind may lie elsewhere than in a file that was edited much: where the model wavers,
the replay may say something else.

Knows what was asked last; how a decode is drawn, `trace_page` knows.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from typing import Any

from lsp_server.open_document import LastFill, OpenDocument
from lsp_server.protocol import contained, invalid_params, request_failed, uri_in
from lsp_server.server import SetfillServer
from model.api import trace_page
from model.api.types import Infill

TRACE_LAST = "setfill/traceLastInfill"

_SHOW_PROGRESS_SECONDS = 0.5
_numbers = itertools.count(1)


def register(server: SetfillServer) -> None:
    """Add the feature to a server."""
    state = server.state

    @server.feature(TRACE_LAST)
    @contained
    async def trace_last(params: Any) -> dict[str, str]:
        uri = uri_in(params)
        if uri is None:
            raise invalid_params("the parameters must have textDocument.uri")
        document = state.snapshot(uri).document
        if document.last_fill is None:
            raise request_failed("nothing was filled in this file yet: fill a selection, a cursor or marked holes")
        if not document.is_known_to_worker:
            raise request_failed("this file is excluded from Setfill, see the setting `exclude`")
        last = document.last_fill
        description = await state.worker.ready()
        repeating = asyncio.ensure_future(_repeated(document, last))
        title = "Setfill: repeating the last infill"
        async with state.editor.long_work.shown(title, repeating.cancel, after_seconds=_SHOW_PROGRESS_SECONDS):
            infill = await repeating
        page = await asyncio.to_thread(trace_page.render, document.name, last.text, infill, description.name)
        return {"title": f"How {document.name} was filled", "html": page}


async def _repeated(document: OpenDocument, last: LastFill) -> Infill:
    """Fill once more, in the text of then, and report every forward."""
    client, file_id = document.client, f"trace:{next(_numbers)}"
    client.open(file_id, document.name, last.text, 1)
    try:
        client.set_context(file_id, document.snippets)
        request = replace(last.request, file_id=file_id, version=1, candidates=1, trace=True)
        return await client.infill(request)
    finally:
        client.close(file_id)
