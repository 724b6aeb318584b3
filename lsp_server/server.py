"""The server of one client: the protocol, and one place for what is held for the client.

Knows no feature: `features` has the list of them, and `life_cycle` adds them once the client has said who it is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from lsp_server.protocol import Protocol, not_initialized, place_of, raw_converter
from lsp_server.state import State
from model.api.runtime import package_version

logger = logging.getLogger(__name__)

NOTEBOOKS = types.NotebookDocumentSyncOptions([types.NotebookDocumentFilterWithNotebook(notebook="*")])
"""Which notebooks clients that know them are asked to tell of: all cells of all."""


Feature = Callable[["SetfillServer"], None]
"""What adds handlers to a server whose state is whole."""


class SetfillServer(LanguageServer):
    """The protocol with one client, and its state from `initialize` on."""

    protocol: Protocol

    def __init__(self) -> None:
        super().__init__(
            "setfill",
            package_version(),
            notebook_document_sync=NOTEBOOKS,
            protocol_cls=Protocol,
            converter_factory=raw_converter,
            max_workers=2,
        )
        self._state: State | None = None

    @property
    def state(self) -> State:
        """What is held for the client. Before `initialize` a failure, as the protocol wants it answered."""
        if self._state is None:
            raise not_initialized()
        return self._state

    def begin(self, state: State, features: Sequence[Feature]) -> None:
        """Hold what was made for the client, add the features, and listen to it."""
        self._state = state
        for add in features:
            add(self)
        self.protocol.is_initialized = True

    async def end(self) -> None:
        """Let go of everything that is held or under way."""
        if self._state:
            await self._state.end()
        self.shutdown()  # pygls' thread pool

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Log a failure of a message without its text; pygls would show it to the user."""
        logger.error("a message failed: %s", place_of(error))
