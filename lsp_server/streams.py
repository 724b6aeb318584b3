"""Where a server's messages come from and go to: standard streams, or a loopback socket that asks for a token."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import stat
import sys
from typing import Any

from lsp_server.protocol import Unreadable, place_of
from model.api.pipes import open_pipes
from model.errors import SetfillError

logger = logging.getLogger(__name__)

_LARGEST_MESSAGE_BYTES = 2**28


class StreamError(SetfillError):
    """The streams a server was given are none that an editor holds the other end of."""

    code = "stream"


async def standard_streams() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return the streams of standard input and output; what else is printed goes to standard error from now on.

    StreamError when standard input is a file: an event loop cannot wait for one.
    """
    if stat.S_ISREG(os.fstat(0).st_mode) or stat.S_ISREG(os.fstat(1).st_mode):
        raise StreamError("standard input and output must be pipes: `setfill serve` is started by an editor")
    messages_in, messages_out = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    try:
        reader, writer, _ = await open_pipes(messages_in, messages_out)
    except (ValueError, OSError):  # a terminal that cannot be polled, /dev/null
        raise StreamError("standard input and output must be pipes: `setfill serve` is started by an editor") from None
    return reader, writer


async def serve(protocol: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand each message to `protocol`, one after the other, until the client leaves or has sent `exit`.

    Between two messages everything else on the event loop has its turn, so a
    handler begins before the next message is looked at and a flood starves nobody.
    """
    protocol.set_writer(_Unblocked(writer))
    try:
        while not protocol.has_exited and (body := await _read_body(reader)) is not None:
            _handle(protocol, body)
            await asyncio.sleep(0)
    except (OSError, asyncio.IncompleteReadError):
        logger.info("the client vanished")


def _handle(protocol: Any, body: bytes) -> None:
    try:
        protocol.handle_message(json.loads(body, object_hook=protocol.structure_message))
    except Unreadable as error:
        logger.warning("a message was not understood (%s)", error)
    except (ValueError, RecursionError):
        logger.warning("a message was no JSON")
        protocol.answer_parse_error()
    except Exception as error:  # a failing message must not end the others
        logger.error("a message failed: %s", place_of(error))


async def _read_body(reader: asyncio.StreamReader) -> bytes | None:
    """Return the next message's body, None at the end of the stream. Headers of any case and order are read."""
    length = None
    while True:
        try:
            line = await reader.readuntil(b"\n")
        except asyncio.IncompleteReadError:
            return None
        except asyncio.LimitOverrunError:
            logger.error("what the client sends is not the language server protocol")
            return None
        name, _, value = line.partition(b":")
        if not line.strip():
            if length is None:
                continue  # stray blank lines before the headers
            return await reader.readexactly(length)
        if name.strip().lower() == b"content-length":
            digits = value.strip()
            if not digits.isdigit() or int(digits) > _LARGEST_MESSAGE_BYTES:
                logger.error("what the client sends is not the language server protocol")
                return None
            length = int(digits)


class _Unblocked:
    """A writer as pygls wants it. What a slow client has not read yet is buffered: the event loop never waits."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def write(self, data: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(data)

    def close(self) -> None:
        self._writer.close()
