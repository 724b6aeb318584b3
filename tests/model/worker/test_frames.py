"""Broken frames at a live worker: each is answered, and nobody else notices. The engine is a stand-in."""

from __future__ import annotations

import asyncio
import struct

import msgpack

from model.api import wire
from model.api.client import WorkerClient
from model.api.messages import Describe, Failed, Hello, Infill, Welcome
from model.api.types import InfillRequest, ModelDescription
from tests.model.worker.helpers import at, options, talk

SHARED = options(shared=True, linger_s=0.3)


class Stranger:
    """A raw connection to the shared worker."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def come(cls, greet: bool = True) -> Stranger:
        from model.api.runtime import runtime_dir

        (path,) = runtime_dir().glob("*.sock")
        stranger = cls(*await asyncio.open_unix_connection(path))
        if greet:
            stranger.send(wire.encode_frame(0, Hello(wire.PROTOCOL, "0")))
            assert isinstance((await stranger.receive())[1], Welcome)
        return stranger

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def receive(self) -> tuple[int, object] | None:
        return await wire.read_frame(self.reader)

    async def leave(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


def check(*data: bytes, greet: bool, expect: str, stays: bool) -> None:
    """Send broken `data`; expect an error about it, and that the sender may go on iff `stays`."""

    async def conversation(bystander: WorkerClient) -> None:
        bystander.open("a", "a.py", "a", 1)
        stranger = await Stranger.come(greet)
        for each in data:
            stranger.send(each)
        _, failed = await stranger.receive()
        assert isinstance(failed, Failed)
        assert failed.code == "frame"
        assert expect in failed.text
        if stays:
            stranger.send(wire.encode_frame(7, Describe()))
            request_id, answer = await stranger.receive()
            assert request_id == 7
            assert isinstance(answer, ModelDescription)
        else:
            assert await stranger.receive() is None
        await stranger.leave()
        assert (await bystander.infill(at("a"))).gaps[0].text == "a"
        assert bystander.restarts == 0

    talk(conversation, SHARED)


def body(*parts: object) -> bytes:
    packed = msgpack.packb(list(parts))
    return struct.pack(">I", len(packed)) + packed


def test_garbage_in_a_frame() -> None:
    check(struct.pack(">I", 5) + b"\xc1\xff\x00ab", greet=True, expect="not msgpack", stays=True)


def test_a_frame_that_is_no_request() -> None:
    check(wire.encode_frame(3, Failed("x", "y")), greet=True, expect="Failed is not a request", stays=True)


def test_a_request_with_a_wrong_field_is_answered_under_its_id() -> None:
    check(body("infill", 5, {"file_id": 3}), greet=True, expect="infill: missing fields gaps, version", stays=True)


def test_an_oversized_frame_is_skipped() -> None:
    size = wire.MAX_FRAME_BYTES + 1
    check(struct.pack(">I", size), b"x" * size, greet=True, expect="over the limit", stays=True)


def test_another_protocol_version() -> None:
    check(body("hello", 0, {"protocol": 99, "more": 1}), greet=False, expect="speaks protocol 99", stays=False)


def test_a_stranger_who_speaks_something_else() -> None:
    check(b"GET / HTTP/1.1\r\n\r\n", greet=False, expect="must be a hello", stays=False)


def test_a_request_before_the_hello() -> None:
    check(wire.encode_frame(1, Describe()), greet=False, expect="must be a hello", stays=False)


def test_truncated_frames_and_sudden_ends() -> None:
    async def conversation(bystander: WorkerClient) -> None:
        bystander.open("a", "a.py", "a", 1)
        for data in (b"", b"\x00\x00", struct.pack(">I", 100) + b"half"):
            stranger = await Stranger.come()
            stranger.send(data)
            await stranger.leave()
        stranger = await Stranger.come()
        stranger.send(struct.pack(">I", 100) + b"half")
        stranger.writer.write_eof()
        _, failed = await stranger.receive()
        assert failed == Failed("frame", "the stream ended 96 bytes before the frame did")
        await stranger.leave()
        assert (await bystander.infill(at("a"))).gaps[0].text == "a"

    talk(conversation, SHARED)


def test_wrong_files_and_versions_sent_raw() -> None:
    from model.api.messages import Done, EditFile, OpenFile
    from model.api.types import Edit

    async def conversation(bystander: WorkerClient) -> None:
        stranger = await Stranger.come()

        async def ask(message: object) -> object:
            stranger.send(wire.encode_frame(1, message))
            return (await stranger.receive())[1]

        assert (await ask(EditFile("a", (), 2))).code == "unknown_file"
        assert await ask(OpenFile("a", "a.py", "text", 5)) == Done()
        assert (await ask(EditFile("a", (), 5))).code == "version"
        assert (await ask(EditFile("a", (Edit(3, 9, ""),), 6))).code == "range"
        assert (await ask(InfillRequest("a", 6, ()))).code == "version"
        assert isinstance(await ask(InfillRequest("a", 5, ())), Infill)
        await stranger.leave()

    talk(conversation, SHARED)
