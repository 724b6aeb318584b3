"""Where a server's messages come from and go to: standard streams, or a loopback socket that asks for a token.

Knows bytes and the ends of streams; what a message means it does not.
"""

from __future__ import annotations

import asyncio
import logging
import os
import selectors
import stat
import sys
from typing import Any

from lsprotocol import types

from lsp_server.framing import LARGEST_MESSAGE_BYTES, Messages, Skipped
from lsp_server.protocol import Unreadable, place_of
from model.api.pipes import open_pipes, waits_for_pipes
from model.errors import SetfillError

logger = logging.getLogger(__name__)


class StreamError(SetfillError):
    """The streams a server was given are none that an editor holds the other end of."""

    code = "stream"


def check_standard_streams() -> None:
    """Raise StreamError when no event loop can wait for standard input or output: for a file, /dev/null, nothing.

    To be called before there is a loop, which would take the descriptor of a stream that is closed.
    """
    if sys.stdin is None or sys.stdout is None or not (_can_be_waited_for(0) and _can_be_waited_for(1)):
        raise StreamError("standard input and output must be pipes: `setfill serve` is started by an editor")


async def standard_streams() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return the streams of standard input and output; what else is printed goes to standard error from now on."""
    messages_in, messages_out = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    reader, writer, _ = await open_pipes(messages_in, messages_out)
    return reader, writer


def _can_be_waited_for(descriptor: int) -> bool:
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):  # `select`, unlike `epoll`, takes one
            return False
        if not waits_for_pipes():
            return True  # a thread reads, whatever it is
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
    except (ValueError, OSError):
        return False
    return True


async def serve(protocol: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand each message to `protocol`, one after the other, until the client leaves, in good order or not."""
    protocol.set_writer(_Unblocked(writer))
    ways_to_end = [
        asyncio.ensure_future(way)
        for way in (_hand_on(protocol, reader), protocol.has_exited.wait(), writer.wait_closed())
    ]
    try:
        await asyncio.wait(ways_to_end, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways_to_end:
            way.cancel()
        for error in await asyncio.gather(*ways_to_end, return_exceptions=True):
            if isinstance(error, OSError | asyncio.IncompleteReadError):
                logger.info("the client vanished")
            elif isinstance(error, Exception):
                logger.error("serving ended: %s", place_of(error))


async def _hand_on(protocol: Any, reader: asyncio.StreamReader) -> None:
    """Between two messages everything else on the event loop has its turn.

    So a handler begins before the next message is looked at, and a flood starves nobody.
    """
    messages = Messages(reader)
    while not protocol.has_exited.is_set() and (message := await messages.next()) is not None:
        _handle(protocol, message)
        await asyncio.sleep(0)


def _handle(protocol: Any, message: bytes | Skipped) -> None:
    try:
        if isinstance(message, bytes):
            protocol.handle_body(message)
        elif message.size_bytes > LARGEST_MESSAGE_BYTES:
            protocol.skip(
                message, types.ErrorCodes.InvalidRequest, f"the message is too large ({message.size_bytes:,} bytes)"
            )
        else:
            protocol.skip(message, types.ErrorCodes.ParseError, "what came is not the language server protocol")
    except Unreadable as error:
        logger.warning("a message was not understood (%s)", error)
    except Exception as error:  # a failing message must not end the others
        logger.error("a message failed: %s", place_of(error))


class _Unblocked:
    """A writer as pygls wants it. What a slow client has not read yet is buffered: the event loop never waits."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def write(self, data: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(data)

    def close(self) -> None:
        self._writer.close()
