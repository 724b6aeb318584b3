"""What clients tell of the fate of a suggestion: shown, accepted, or a part of it. It is counted, and saved at times.

Knows suggestions by their numbers only.
"""

from __future__ import annotations

import asyncio
from typing import Any

from lsprotocol import types

from lsp_server.open_document import OpenDocument
from lsp_server.protocol import contained, invalid_params
from lsp_server.server import SetfillServer
from lsp_server.statistics import Statistics

ACCEPTED = "setfill.accepted"  # the command that an editor runs once it has inserted a suggestion
_SAVE_SECONDS = 60.0  # between two times that statistics are saved


def register(server: SetfillServer) -> None:
    """Add the feature to a server."""
    statistics = server.state.statistics
    saver = _Saver(statistics)
    server.state.documents.on_edited.append(saver.edited)
    server.state.on_end.append(saver.end)

    @server.command(ACCEPTED)
    @contained
    def accepted(number: Any) -> None:
        statistics.accepted(_number(number))

    @server.feature("setfill/didAcceptSuggestion")
    @contained
    def did_accept(params: Any) -> None:
        number = _number(_field(params, "id"))
        if isinstance(params, dict) and params.get("acceptedLength") is not None:
            statistics.partially_accepted(number, _number(params["acceptedLength"]))
        else:
            statistics.accepted(number)

    @server.feature("setfill/didShowSuggestion")
    @contained
    def did_show(params: Any) -> None:
        statistics.displayed(_number(_field(params, "id")))


def accepted_command(number: int) -> types.Command:
    """Return the command that tells us of an accepted suggestion."""
    return types.Command(title="Accepted", command=ACCEPTED, arguments=[number])


class _Saver:
    """Saves the counts while files are worked on, and at the end."""

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics
        self._waiting: asyncio.TimerHandle | None = None

    def edited(self, document: OpenDocument) -> None:
        if self._waiting is None:
            self._waiting = asyncio.get_running_loop().call_later(_SAVE_SECONDS, self._save)

    def end(self) -> None:
        if self._waiting:
            self._waiting.cancel()
        self._statistics.save(wait_seconds=1.0)

    def _save(self) -> None:
        self._waiting = None
        self._statistics.save()


def _field(params: Any, name: str) -> Any:
    if not isinstance(params, dict) or name not in params:
        raise invalid_params(f"the parameters must have {name}")
    return params[name]


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise invalid_params("a suggestion is named by a whole number")
    return value
