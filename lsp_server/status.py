"""`setfill/status`: how the server is, for status lines and reports; and the command that starts the worker anew.

With `textDocument.uri` in its parameters, `document` tells the version of the text that the server has of a file, its
length and its SHA-256, so that a client can make sure that both have the same.

Knows whom to ask for what; counts and measures nothing itself.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

from lsp_server.open_document import OpenDocument
from lsp_server.protocol import contained, problem_json, uri_in
from lsp_server.server import SetfillServer
from model.errors import SetfillError

RESTART = "setfill.restart"
_STATS_SECONDS = 3.0  # for the worker's own figures, which wait for what it is doing


def register(server: SetfillServer) -> None:
    """Add the features to a server."""
    state = server.state

    @server.feature("setfill/status")
    @contained
    async def status(params: Any) -> dict[str, Any]:
        worker = state.worker
        problem = await worker.complaint()  # first: all that follows is of one moment
        description = worker.description
        answer: dict[str, Any] = {
            "state": worker.state,
            "progress": 1.0 if description else worker.loaded_share,
            **problem_json(problem),
            "model": description.name if description else state.settings.model,
            "infill": description.sees_suffix if description else None,
            "precision": description.precision if description else None,
            "enabled": state.settings.enabled,
            "debounceMs": round(state.suggester.debounce_ms(state.settings), 1),
            "decodeMs": round(state.suggester.pace.decode_ms, 1),
            "workerPid": worker.client.pid,
            "workerRestarts": worker.client.restarts,
            "lastDeath": worker.last_death,
            "statistics": dict(state.statistics.since_start),
        }
        uri = uri_in(params)
        if uri is not None:
            document = state.documents.get(uri)
            answer["document"] = _identity(document) if document else None
        if description and isinstance(params, dict) and params.get("worker"):
            try:
                async with asyncio.timeout(_STATS_SECONDS):
                    answer["worker"] = await worker.client.stats()
            except TimeoutError:
                pass  # it is busy, or does not answer: see the problem
            except SetfillError as error:
                answer |= problem_json(error)
        return answer

    @server.command(RESTART)
    @contained
    async def restart(argument: Any) -> None:
        await state.worker.restart()


def _identity(document: OpenDocument) -> dict[str, Any]:
    content = document.text.encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(content).hexdigest()
    return {"version": document.version, "characters": len(document.text), "sha256": digest}
