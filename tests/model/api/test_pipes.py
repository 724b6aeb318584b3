"""Pipes as streams: by the event loop and by threads, which must be the same to who reads and writes."""

from __future__ import annotations

import asyncio
import os
import select
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from model.api.pipes import open_pipes, waits_for_pipes


@pytest.fixture(params=["polled", "threaded"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "threaded":
        monkeypatch.delattr(select, "poll")
    assert waits_for_pipes() == (request.param == "polled")


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter, asyncio.BaseTransport]


def talk(conversation: Callable[[Streams, int, int], Awaitable[Any]]) -> None:
    """Run a conversation with streams and with the far ends of their pipes: what it reads is written to the first."""

    async def run() -> None:
        to_read, far_out = os.pipe()
        far_in, to_write = os.pipe()
        streams = await open_pipes(to_read, to_write)
        async with asyncio.timeout(30):
            await conversation(streams, far_out, far_in)
        streams[1].close()
        streams[2].close()

    asyncio.run(run())


async def read_all(descriptor: int) -> bytes:
    def read() -> bytes:
        with open(descriptor, "rb") as file:
            return file.read()

    return await asyncio.to_thread(read)


def write_all(descriptor: int, data: bytes) -> None:
    with open(descriptor, "wb") as file:
        file.write(data)


def test_bytes_arrive_in_order_and_then_the_end() -> None:
    data = bytes(range(256)) * 40_000  # more than any buffer on the way

    async def conversation(streams: Streams, far_out: int, far_in: int) -> None:
        reader, writer, _ = streams
        writing = threading.Thread(target=write_all, args=(far_out, data))
        writing.start()
        for start in range(0, len(data), 1000):
            writer.write(data[start : start + 1000])
        writer.close()
        assert await read_all(far_in) == data
        await writer.wait_closed()
        assert await reader.read() == data
        assert reader.at_eof()
        writing.join()

    talk(conversation)


def test_each_byte_comes_at_once() -> None:
    async def conversation(streams: Streams, far_out: int, far_in: int) -> None:
        reader, writer, _ = streams
        for index in range(50):
            os.write(far_out, bytes([index]))
            assert await reader.readexactly(1) == bytes([index])
            writer.write(bytes([index]))
            assert await asyncio.to_thread(os.read, far_in, 10) == bytes([index])
        os.close(far_out)
        os.close(far_in)

    talk(conversation)


def test_a_reader_that_is_slow_holds_up_its_writer() -> None:
    """At most a few buffers of it are in memory."""
    written = 0
    size = 64 * 2**20

    def pour(descriptor: int) -> None:
        nonlocal written
        while written < size:
            written += os.write(descriptor, b"x" * 2**16)
        os.close(descriptor)

    async def conversation(streams: Streams, far_out: int, far_in: int) -> None:
        reader, _, _ = streams
        pouring = threading.Thread(target=pour, args=(far_out,))
        pouring.start()
        before = -1
        while before != written:  # until nothing moves any more
            before = written
            await asyncio.sleep(0.3)
        assert 0 < written < 8 * 2**20
        while await reader.read(2**20):
            pass
        assert written == size
        pouring.join()
        os.close(far_in)

    talk(conversation)


def test_a_far_end_that_is_slow_is_waited_for() -> None:
    async def conversation(streams: Streams, far_out: int, far_in: int) -> None:
        _, writer, _ = streams
        writer.write(b"x" * 2**20)
        assert writer.transport.get_write_buffer_size() > 2**19
        draining = asyncio.create_task(writer.drain())
        await asyncio.sleep(0.05)
        assert not draining.done()
        left = 2**20
        while left:
            left -= len(await asyncio.to_thread(os.read, far_in, 2**16))
        await draining
        while writer.transport.get_write_buffer_size():
            await asyncio.sleep(0.01)
        os.close(far_out)
        os.close(far_in)

    talk(conversation)


def test_a_far_end_that_is_gone_is_noticed() -> None:
    async def conversation(streams: Streams, far_out: int, far_in: int) -> None:
        reader, writer, _ = streams
        os.close(far_out)
        os.close(far_in)
        assert await reader.read() == b""
        while not writer.transport.is_closing():
            writer.write(b"x")
            await asyncio.sleep(0.01)
        try:
            await writer.wait_closed()
        except BrokenPipeError:
            pass

    talk(conversation)


def test_a_writer_can_be_dropped_though_nobody_reads() -> None:
    async def conversation(streams: Streams, far_out: int, far_in: int) -> None:
        _, writer, _ = streams
        writer.write(b"x" * 2**20)
        writer.transport.abort()
        await writer.wait_closed()
        assert writer.transport.get_write_buffer_size() == 0
        os.close(far_in)
        os.close(far_out)

    talk(conversation)


def test_no_descriptor_and_no_thread_is_left() -> None:
    async def conversation(streams: Streams, far_out: int, far_in: int) -> None:
        _, writer, transport = streams
        os.close(far_out)
        writer.close()
        await writer.wait_closed()
        transport.close()
        os.close(far_in)

    def count() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    talk(conversation)
    before = count()
    for _ in range(5):
        talk(conversation)
    for thread in threading.enumerate():
        if thread.name.startswith("pipe-"):
            thread.join(10)
    assert count() <= before
