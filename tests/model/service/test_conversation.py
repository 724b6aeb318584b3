"""One connection by itself: clients that read too slowly or say nothing, and bursts beside others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from model.api import wire
from model.api.messages import AskStatus, Done, Held, Hello, Shutdown, WorkerStatus
from model.errors import UnauthorizedError
from model.service import conversation
from model.service.conversation import admitted
from model.service.quotas import Limits, Quotas
from tests.model.service.in_process import ALICE, BOB, service
from tests.model.worker.helpers import at, until
from tests.model.worker.stand_in import load

HELLO = wire.encode_frame(0, Hello(wire.PROTOCOL, "1", "0" * 32))
HELD_F = wire.encode_frame(0, Held("f", 1, 1))


class ScriptedSocket:
    """Receives what it is given, then nothing more; sends nothing while it `is_stuck`."""

    def __init__(self, *messages: bytes, is_stuck: bool = False) -> None:
        self._messages = list(messages)
        self._is_stuck = is_stuck
        self.sent: list[bytes] = []
        self.closed: list[tuple[int, str]] = []

    async def receive(self) -> bytes | None:
        if not self._messages:
            await asyncio.Event().wait()
        return self._messages.pop(0)

    async def send(self, data: bytes) -> None:
        if self._is_stuck:
            await asyncio.Event().wait()
        self.sent.append(data)

    async def close(self, code: int, reason: str) -> None:
        self.closed.append((code, reason))


class NoEngines:
    async def carry_out(self, session: str, user: str, client: str, data: bytes) -> AsyncIterator[bytes]:
        raise AssertionError("no engine was to be asked")
        yield b""

    def answered(self, outcome: str, seconds: float) -> None:
        raise AssertionError("there was no question")


def converse(socket: ScriptedSocket, user: str | None = "alice") -> None:
    def whose() -> str:
        if user is None:
            raise UnauthorizedError("who is that")
        return user

    async def run() -> None:
        async with asyncio.timeout(20):
            await admitted(whose, socket, NoEngines(), Quotas(Limits()), NoEngines())

    asyncio.run(run())


def test_a_client_that_does_not_read_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "_BACKLOG_BYTES", 1000)
    asking = [wire.encode_frame(number, AskStatus()) for number in range(1, 100)]
    socket = ScriptedSocket(HELLO, *asking, is_stuck=True)
    converse(socket)
    assert socket.closed == [(conversation.REFUSED, "the client reads too slowly")]


def test_a_client_that_says_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "_HELLO_SECONDS", 0.01)
    socket = ScriptedSocket()
    converse(socket)
    assert socket.closed == [(conversation.REFUSED, "frame")]
    assert b"none came" in socket.sent[0]


STATUS = wire.encode_frame(1, AskStatus())


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ((b"",), b"must be a hello"),
        ((b"\0\0",), b"frame"),
        ((b"\0\0\0\1x",), b"this service runs setfill"),
        ((STATUS,), b"must be a hello"),
        ((HELLO + STATUS,), b"must be a hello"),
        ((HELLO + b"x" * wire.MAX_HELLO_BYTES,), b"must be a hello"),
        ((wire.encode_frame(0, Hello(wire.PROTOCOL, "1", "../alice")),), b"with a client's name"),
        ((wire.encode_frame(0, Hello(wire.PROTOCOL, "1", "")),), b"with a client's name"),
        ((HELLO, b"\0\0\0\5x"), b"frame"),
        ((HELLO, STATUS * (wire.MAX_SERVICE_BYTES // len(STATUS) + 1)), b"over the limit"),
    ],
)
def test_who_breaks_the_protocol_is_told_and_left(messages: tuple[bytes, ...], says: bytes) -> None:
    socket = ScriptedSocket(*messages)
    converse(socket)
    assert socket.closed == [(conversation.REFUSED, "frame")]
    assert says in socket.sent[-1]


@pytest.mark.parametrize(
    "message",
    [
        STATUS[:-1] + b"\xc1",
        wire.encode_frame(7, Hello(wire.PROTOCOL, "1", "0" * 32)),
        wire.encode_frame(7, at("f")),  # without what is held
        HELD_F + wire.encode_frame(7, at("g")),
        HELD_F + wire.encode_frame(7, AskStatus()),
        HELD_F + wire.encode_frame(6, at("f")) + wire.encode_frame(7, at("f")),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_and_the_next_one_answered(message: bytes) -> None:
    socket = ScriptedSocket(HELLO, message, wire.encode_frame(8, AskStatus()), wire.encode_frame(9, Shutdown()))
    converse(socket)
    told = [wire.decode_body(body) for data in socket.sent[1:] for body in wire.split_frames(data)]
    assert [type(each) for _, each in told[-2:]] == [WorkerStatus, Done]
    refused = {request_id: each.code for request_id, each in told[:-2]}
    assert refused
    assert {*refused.values()} == {"frame"}


def test_a_client_that_leaves_at_once_is_no_accident(caplog: pytest.LogCaptureFixture) -> None:
    socket = ScriptedSocket()
    socket._messages = [None]  # type: ignore[list-item]
    converse(socket)
    assert (socket.sent, socket.closed, caplog.text) == ([], [], "")


def test_a_stranger_is_told_why_it_has_to_leave() -> None:
    socket = ScriptedSocket(HELLO)
    converse(socket, user=None)
    assert socket.closed == [(conversation.REFUSED, "unauthorized")]
    assert b"who is that" in socket.sent[0]


def test_a_burst_of_one_user_delays_another_by_one_question_at_most() -> None:
    many = Limits(questions_at_a_time=100)

    async def run() -> None:
        async with (
            asyncio.timeout(60),
            service(load, limits=many) as running,
            running.client(ALICE[0]) as alice,
            running.client(BOB[0]) as bob,
        ):
            running.route = lambda session: 0
            alice.open("s", "short.py", "20 ms each", 1)
            bob.open("a", "a.py", "b", 1)
            burst = [asyncio.create_task(alice.infill(at("s"))) for _ in range(60)]
            await until(lambda: running.hosts[0]._waiting > 30)
            answered = sum(task.done() for task in burst)
            assert (await bob.infill(at("a"))).gaps[0].text == "b"
            assert sum(task.done() for task in burst) - answered < 15  # behind them it would have been 30
            await asyncio.gather(*burst)

    asyncio.run(run())
