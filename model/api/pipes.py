"""Pipes as asyncio streams, on every system. Knows nothing of what passes through them.

Where the system can wait for many pipes at once (`select.poll`) the event loop
does. Windows cannot, least of all for the standard streams that a parent chose,
so there one thread reads and another one writes; to the reader and the writer
that is no difference.
"""

from __future__ import annotations

import asyncio
import os
import queue
import select
import threading
from typing import Any

_READ_BYTES = 2**16
_LIMIT_BYTES = 2**20  # of a reader: what it buffers before it stops reading is twice as much
_HIGH_WATER_BYTES = 2**16  # of a writer: above it `drain` waits


async def open_pipes(
    read_descriptor: int, write_descriptor: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, asyncio.BaseTransport]:
    """Return a reader and a writer over two pipe descriptors, and the transport that closes the reader's.

    ValueError or OSError for a descriptor that the event loop cannot wait for.
    """
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_LIMIT_BYTES)
    reading = asyncio.StreamReaderProtocol(reader)
    # A reader's protocol also for writing: unlike the bare mixin it can wait until the pipe is closed.
    writing = asyncio.StreamReaderProtocol(asyncio.StreamReader())
    read_transport: asyncio.BaseTransport
    write_transport: asyncio.WriteTransport
    if waits_for_pipes():
        read_transport, _ = await loop.connect_read_pipe(lambda: reading, os.fdopen(read_descriptor, "rb", buffering=0))
        write_transport, _ = await loop.connect_write_pipe(
            lambda: writing, os.fdopen(write_descriptor, "wb", buffering=0)
        )
    else:
        read_transport = ThreadedReadTransport(read_descriptor, reading)
        write_transport = ThreadedWriteTransport(write_descriptor, writing)
    return reader, asyncio.StreamWriter(write_transport, writing, None, loop), read_transport


def waits_for_pipes() -> bool:
    """Return whether an event loop can wait for pipes here."""
    return hasattr(select, "poll")


class ThreadedReadTransport(asyncio.ReadTransport):
    """A thread reads the descriptor, and the event loop is told what. Owns the descriptor."""

    def __init__(self, descriptor: int, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._descriptor = descriptor
        self._protocol = protocol
        self._may_read = threading.Event()
        self._may_read.set()
        self._closing = False
        protocol.connection_made(self)
        threading.Thread(target=self._run, name="pipe-reader", daemon=True).start()

    def is_closing(self) -> bool:
        return self._closing

    def is_reading(self) -> bool:
        return self._may_read.is_set() and not self._closing

    def pause_reading(self) -> None:
        self._may_read.clear()

    def resume_reading(self) -> None:
        self._may_read.set()

    def close(self) -> None:
        """Tell nothing more. The descriptor is closed when the read that may be under way comes back."""
        if not self._closing:
            self._closing = True
            self._may_read.set()
            self._loop.call_soon(self._protocol.connection_lost, None)

    def _run(self) -> None:
        try:
            while not self._closing:
                data = os.read(self._descriptor, _READ_BYTES)
                self._may_read.wait()
                _from_thread(self._loop, self._received, data)
                if not data:
                    return
        except OSError as error:
            _from_thread(self._loop, self._failed, error)
        finally:
            os.close(self._descriptor)

    def _received(self, data: bytes) -> None:
        if self._closing:
            return
        if data:
            self._protocol.data_received(data)
        elif not self._protocol.eof_received():
            self.close()

    def _failed(self, error: OSError) -> None:
        if not self._closing:
            self._closing = True
            self._protocol.connection_lost(error)


class ThreadedWriteTransport(asyncio.WriteTransport):
    """Takes data at once; a thread writes it to the descriptor. Owns the descriptor."""

    def __init__(self, descriptor: int, protocol: asyncio.BaseProtocol) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._descriptor = descriptor
        self._protocol = protocol
        self._data: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()  # None: there is no more to come
        self._buffered_bytes = 0  # counted on the event loop
        self._paused = False
        self._closing = False
        self._lost = False
        protocol.connection_made(self)
        threading.Thread(target=self._run, name="pipe-writer", daemon=True).start()

    def is_closing(self) -> bool:
        return self._closing

    def get_write_buffer_size(self) -> int:
        return self._buffered_bytes

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.close()

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if self._closing or not data:
            return
        self._buffered_bytes += len(data)
        self._data.put(bytes(data))
        if self._buffered_bytes > _HIGH_WATER_BYTES and not self._paused:
            self._paused = True
            self._protocol.pause_writing()

    def close(self) -> None:
        """Write what is buffered, then close the descriptor."""
        if not self._closing:
            self._closing = True
            self._data.put(None)

    def abort(self) -> None:
        """Close without waiting; a write that does not come back keeps its thread and the descriptor."""
        self.close()
        self._ended(None)

    def _run(self) -> None:
        failure: OSError | None = None
        try:
            while (data := self._data.get()) is not None and not self._lost:
                left = memoryview(data)
                while left:
                    left = left[os.write(self._descriptor, left) :]
                _from_thread(self._loop, self._written, len(data))
        except OSError as error:
            failure = error
        finally:
            os.close(self._descriptor)
        _from_thread(self._loop, self._ended, failure)

    def _written(self, size_bytes: int) -> None:
        if self._lost:
            return
        self._buffered_bytes -= size_bytes
        if self._paused and self._buffered_bytes <= _HIGH_WATER_BYTES // 4:
            self._paused = False
            self._protocol.resume_writing()

    def _ended(self, failure: OSError | None) -> None:
        if not self._lost:
            self._lost = self._closing = True
            self._buffered_bytes = 0
            self._protocol.connection_lost(failure)


def _from_thread(loop: asyncio.AbstractEventLoop, action: Any, *arguments: Any) -> None:
    try:
        loop.call_soon_threadsafe(action, *arguments)
    except RuntimeError:
        pass  # the loop has ended: nobody is there to be told
