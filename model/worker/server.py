"""The event loop's side of the worker: connections, handshake, answers, and when to leave.

Reads frames and hands requests to the compute thread; itself answers only what
must not wait for it (status, cancel, shutdown). A broken frame is answered with
an error and harms nobody but its sender.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from typing import Any

from model.api import wire
from model.api.messages import (
    AskStats,
    AskStatus,
    Cancel,
    CloseFile,
    Describe,
    Done,
    EditFile,
    Failed,
    Hello,
    OpenFile,
    Prepare,
    SetContext,
    Shutdown,
    Welcome,
)
from model.api.runtime import package_version
from model.api.types import InfillRequest, PartialInfill, ScoreRequest
from model.errors import FrameError
from model.worker.compute import CANCELLED, Compute, Job, Load

logger = logging.getLogger(__name__)

_COMPUTED = (
    AskStats,
    CloseFile,
    Describe,
    EditFile,
    InfillRequest,
    OpenFile,
    Prepare,
    ScoreRequest,
    SetContext,
)
_HELLO_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 2.0  # a forward under way may finish
_LARGEST_BACKLOG_BYTES = 2**20  # partial results are not sent to a client that is this far behind


class Server:
    """All connections of one worker. Ends when told to, or `linger_s` seconds after the last client (None: never)."""

    def __init__(self, load: Load, model: str, linger_s: float | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._compute = Compute(load, model, os.getpid(), on_crash=lambda: self.from_thread(self._crash))
        self._linger_s = linger_s
        self._numbers = itertools.count(1)
        self._writers: dict[int, asyncio.StreamWriter] = {}
        self._ended = asyncio.Event()
        self._leaving: asyncio.TimerHandle | None = None
        self.crashed = False

    async def run(self) -> None:
        """Compute for whoever connects, until it is time to leave."""
        self._compute.start()
        self._leave_when_alone()
        await self._ended.wait()
        await asyncio.to_thread(self._compute.stop, _STOP_TIMEOUT_S)
        await asyncio.sleep(0)  # the last answers reach their writers
        for writer in list(self._writers.values()):
            writer.close()

    def end(self) -> None:
        """Make `run` return soon."""
        self._ended.set()

    def from_thread(self, action: Any, *arguments: Any) -> None:
        """Have the event loop call `action`; does nothing once the loop has ended."""
        try:
            self._loop.call_soon_threadsafe(action, *arguments)
        except RuntimeError:
            pass

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk to one client until it leaves."""
        number = next(self._numbers)
        self._writers[number] = writer
        self._leave_when_alone()
        try:
            if await self._greet(reader, writer):
                await self._read_requests(number, reader)
        except FrameError as error:
            self._send(number, wire.NO_REQUEST, Failed(error.code, str(error)))
        except OSError:
            pass  # the client vanished
        except Exception as error:
            logger.error("connection %d ended by an internal %s", number, type(error).__name__)
        finally:
            self._compute.queue.leave(number)
            del self._writers[number]
            writer.close()
            self._leave_when_alone()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        async with asyncio.timeout(_HELLO_TIMEOUT_S):
            length = await wire.read_length(reader)
            if length is None:
                return False
            if length > wire.MAX_HELLO_BYTES:
                raise FrameError("the first frame must be a hello: this is the socket of a setfill worker")
            request_id, hello = wire.decode_body(await wire.read_body(reader, length))
        if not isinstance(hello, Hello):
            raise FrameError("the first frame must be a hello")
        welcome = Welcome(wire.PROTOCOL, package_version(), os.getpid())
        writer.write(wire.encode_frame(request_id, welcome))
        return True

    async def _read_requests(self, number: int, reader: asyncio.StreamReader) -> None:
        while (length := await wire.read_length(reader)) is not None:
            try:
                wire.check_length(length)
            except FrameError as error:
                self._send(number, wire.NO_REQUEST, Failed(error.code, str(error)))
                await wire.skip_body(reader, length)
                continue
            body = await wire.read_body(reader, length)
            try:
                request_id, message = wire.decode_body(body)
            except FrameError as error:
                self._send(number, wire.peek_request_id(body), Failed(error.code, str(error)))
                continue
            self._handle(number, request_id, message)

    def _handle(self, number: int, request_id: int, message: Any) -> None:
        match message:
            case AskStatus():
                self._send(number, request_id, self._compute.status)
            case Cancel():
                if self._compute.queue.cancel(number, message.request_id):
                    self._send(number, message.request_id, CANCELLED)
            case Shutdown():
                logger.info("told to shut down")
                self._send(number, request_id, Done())
                self.end()
            case _ if isinstance(message, _COMPUTED):
                self._compute.queue.push(self._job(number, request_id, message))
            case _:
                error = FrameError(f"{type(message).__name__} is not a request")
                self._send(number, request_id, Failed(error.code, str(error)))

    def _job(self, number: int, request_id: int, message: Any) -> Job:
        def answer(reply: Any) -> None:
            self.from_thread(self._send, number, request_id, reply)

        def on_partial(partial: PartialInfill) -> None:
            self.from_thread(self._send_partial, number, request_id, partial)

        return Job(number, request_id, message, answer, on_partial)

    def _send(self, number: int, request_id: int, reply: Any) -> None:
        writer = self._writers.get(number)
        if writer is None or writer.is_closing():
            return
        try:
            frame = wire.encode_frame(request_id, reply)
        except FrameError as error:
            frame = wire.encode_frame(request_id, Failed(error.code, str(error)))
        writer.write(frame)

    def _send_partial(self, number: int, request_id: int, partial: PartialInfill) -> None:
        writer = self._writers.get(number)
        if writer and writer.transport.get_write_buffer_size() < _LARGEST_BACKLOG_BYTES:
            self._send(number, request_id, partial)  # a later one replaces it, so none is needed

    def _leave_when_alone(self) -> None:
        if self._leaving:
            self._leaving.cancel()
            self._leaving = None
        if not self._writers and self._linger_s is not None:
            self._leaving = self._loop.call_later(self._linger_s, self.end)

    def _crash(self) -> None:
        self.crashed = True
        self.end()
