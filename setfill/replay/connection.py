"""The connection to a server: pygls' client, which also notices that what was started is no language server.

pygls passes over whatever is no header, and takes its own request, sent back, for one of the server's. Then nothing is
answered, and only the time that honest servers are given ends it.

Knows processes, headers and messages; knows no file and no method but the first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from lsprotocol import types
from pygls.io_ import run_async
from pygls.lsp.client import LanguageClient
from pygls.protocol import LanguageServerProtocol

from lsp_server.protocol import raw_converter

_MAX_BYTES_OUTSIDE = 2**16  # of headers, and of what an honest server prints by mistake


class NoServer(RuntimeError):  # as pygls' own error when a server ends
    """What was started speaks no language server's protocol; the text says what it does instead."""


class Connection(LanguageClient):
    """A client of one server on its standard streams. What is asked fails with `NoServer` where it is none."""

    def __init__(self, name: str) -> None:
        logging.getLogger("pygls").setLevel(logging.CRITICAL + 1)  # it logs whole messages
        super().__init__(name, "1", protocol_cls=_Protocol, converter_factory=raw_converter)

    async def start_io(self, cmd: str, *args: Any, **kwargs: Any) -> None:
        """Start a server and read what it writes. OSError."""
        pipe = asyncio.subprocess.PIPE
        server = await asyncio.create_subprocess_exec(cmd, *args, stdin=pipe, stdout=pipe, stderr=pipe, **kwargs)
        assert server.stdin
        assert server.stdout
        assert isinstance(self.protocol, _Protocol)
        self.protocol.set_writer(server.stdin)
        output = _Output(server.stdout, self.protocol.give_up)
        reading = run_async(stop_event=self._stop_event, reader=output, protocol=self.protocol)
        self._server = server
        self._async_tasks += [asyncio.create_task(reading), asyncio.create_task(self._server_exit())]


class _Protocol(LanguageServerProtocol):
    def handle_message(self, message: Any) -> None:
        if getattr(message, "method", None) == types.INITIALIZE:
            self.give_up("it sends back what it is sent")
        else:
            super().handle_message(message)

    def give_up(self, why: str) -> None:
        """Have all that was asked fail."""
        for asked in self._request_futures.values():
            if not asked.done():
                asked.set_exception(NoServer(why))


class _Output:
    """What a server writes. `give_up` is told when no message begins for too long; then there is no more."""

    def __init__(self, stream: asyncio.StreamReader, give_up: Callable[[str], None]) -> None:
        self._stream, self._give_up = stream, give_up
        self._outside = 0  # bytes since the last message's end

    async def readline(self) -> bytes:
        try:
            line = await self._stream.readline()
        except ValueError:  # longer than the stream holds
            line, self._outside = b"", _MAX_BYTES_OUTSIDE + 1
        self._outside += len(line)
        if self._outside > _MAX_BYTES_OUTSIDE:
            self._give_up("it writes other things than messages of the protocol")
            while await self._stream.read(_MAX_BYTES_OUTSIDE):
                pass  # it is seen to have ended once all is read
            return b""
        return line

    async def readexactly(self, n: int) -> bytes:
        self._outside = 0
        return await self._stream.readexactly(n)
