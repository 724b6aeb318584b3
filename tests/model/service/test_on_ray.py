"""A real local Ray with two engines of a tiny model: users type and ask while it is well, and while parts of it die.

All tests share one service, as starting Ray takes longer than all of them. The model sees the prefix only: its answers
follow from text and place alone, and so can be compared with those of a single engine without a history.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("ray")

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from model.api import wire
from model.api.client import WorkerClient, WorkerOptions
from model.api.messages import Failed, Held, Hello
from model.api.service import Service
from model.errors import BusyError, NeedFullError, UnauthorizedError
from tests.model.service.on_ray import OnRay, free_port, running
from tests.model.service.typists import Typist, ask, check_answers, leave, typists
from tests.model.worker.helpers import until

pytestmark = [
    pytest.mark.xdist_group("ray"),
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="this machine cannot tell of its processes in /proc"),
]

CONNECTIONS = 60
LIMITS = ("--connections-per-user", str(CONNECTIONS), "--questions-a-minute", "100000", "--questions-at-a-time", "50")


@pytest.fixture(scope="module")
def service(tiny_prefix_model: Path) -> Iterator[OnRay]:
    with running(tiny_prefix_model, "--engines", "2", *LIMITS) as found:
        yield found


def test_all_of_these_run_in_one_process(request: pytest.FixtureRequest) -> None:
    """Two of them would each start a service, and change the other's. pytest-xdist writes the group into ids."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        assert request.node.nodeid.endswith("@ray")


def test_in_calm_every_answer_is_right_and_every_user_stays_with_an_engine(
    service: OnRay, tiny_prefix_model: Path
) -> None:
    async def run() -> list[Typist]:
        users = await typists(service, 20)
        await asyncio.gather(*(each.type(4) for each in users))
        stats = [await each.client.stats() for each in users]
        assert sum(int(each["files_sent_again"]) for each in stats) <= 4  # of 80 questions: one in twenty
        assert (await users[0].client.describe()).name
        await leave(users)
        return users

    users = asyncio.run(run())
    assert not [refusal for each in users for refusal in each.refusals]
    assert [len(each.answers) for each in users] == [4] * 20
    check_answers(users, tiny_prefix_model)


def test_engines_are_added_and_die_ingresses_die_and_no_answer_is_wrong(
    service: OnRay, tiny_prefix_model: Path
) -> None:
    async def run() -> list[Typist]:
        users = await typists(service, 20)

        async def disturb() -> None:
            engines = set(service.replicas("Engine"))
            assert len(engines) == 2
            await asyncio.to_thread(service.change, "--engines", "3", *LIMITS)
            assert len(service.replicas("Engine")) == 3
            assert engines < {*service.replicas("Engine")}  # which stay as they are, as do connections
            assert not any(each.client.restarts for each in users)
            engines = {*service.replicas("Engine")}
            service.kill("Engine")
            await asyncio.sleep(0.5)
            ingress = service.replicas("Ingress")
            service.kill("Ingress")
            # Ray Serve puts others in their places, by and by.
            await until(lambda: len(set(service.replicas("Engine")) - engines) == 1, timeout_s=100)
            await until(lambda: bool(service.replicas("Ingress")) and service.replicas("Ingress") != ingress, 100)

        disturbing = asyncio.create_task(disturb())
        while not disturbing.done():
            await asyncio.gather(*(each.type(1) for each in users))
        await disturbing
        await until(service.is_well, timeout_s=100)
        for each in users:
            await each.client.start()  # those that had given up too
            each.refusals.clear()
        await asyncio.gather(*(each.type(1) for each in users))
        assert not any(each.refusals for each in users)
        await leave(users)
        return users

    users = asyncio.run(run())
    check_answers(users, tiny_prefix_model)


def test_tokens_that_are_wrong_or_missing(service: OnRay, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.touch(mode=0o600)
    wrong.write_text("setfill_wrong")

    async def run() -> None:
        client = WorkerClient(WorkerOptions("", service=Service(f"http://127.0.0.1:{service.port}", str(wrong))))
        with pytest.raises(UnauthorizedError, match="does not know this token"):
            await client.start()
        async with connect(service.socket_url) as nobody:
            assert (await told(nobody)).code == "unauthorized"

    asyncio.run(run())


async def told(socket: ClientConnection) -> Failed:
    """Return the failure that a service tells of before it closes the connection."""
    message = wire.decode_body(wire.split_frames(await socket.recv(decode=False))[-1])[1]
    with pytest.raises(ConnectionClosed):
        await socket.recv()
    assert isinstance(message, Failed)
    return message


def test_frames_that_are_broken_too_large_or_out_of_place(service: OnRay) -> None:
    hello = wire.encode_frame(0, Hello(wire.PROTOCOL, "1", "ab" * 16))

    async def run() -> None:
        bearer = {"Authorization": f"Bearer {service.token('carol')}"}
        for first, second in (
            (b"\0\0", None),
            (b"\0\0\0\1x", None),
            (wire.encode_frame(0, Hello(wire.PROTOCOL, "1", "../alice")), None),
            (b"x" * 5000, None),
            (hello, b"\0\0\0\5x"),
            (hello, b"\0" * (wire.MAX_SERVICE_BYTES + 5)),
        ):
            async with connect(service.socket_url, additional_headers=bearer, max_size=None) as socket:
                await socket.send(first)
                if second is not None:
                    await socket.recv()
                    await socket.send(second)
                assert (await told(socket)).code == "frame"
        async with connect(service.socket_url, additional_headers=bearer) as socket:
            await socket.send(hello)
            await socket.recv()
            held = wire.encode_frame(0, Held("f", 1, 1))
            for frames, code in (
                (wire.encode_frame(7, ask(1, 0)), "frame"),
                (held + wire.encode_frame(8, ask(1, 0)), "need_full"),
                (held + wire.encode_frame(9, ask(1, 0)) + wire.encode_frame(10, ask(1, 0)), "frame"),
            ):
                await socket.send(frames)
                message = wire.decode_body(wire.split_frames(await socket.recv(decode=False))[0])[1]
                assert isinstance(message, Failed)
                assert message.code == code

    asyncio.run(run())


def test_two_hundred_idle_connections_keep_nobody_else_out(service: OnRay, tiny_prefix_model: Path) -> None:
    async def run() -> list[Typist]:
        async def connected() -> ClientConnection | None:
            socket = await connect(service.socket_url, additional_headers=bearer, open_timeout=60)
            with contextlib.suppress(ConnectionClosed):  # refused already, which can still be read
                await socket.send(wire.encode_frame(0, Hello(wire.PROTOCOL, "1", "cd" * 16)))
            message = wire.decode_body(wire.split_frames(await socket.recv(decode=False))[0])[1]
            if isinstance(message, Failed):
                assert message.code == "busy"
                assert message.retry_s
                await socket.wait_closed()
                return None
            return socket

        bearer = {"Authorization": f"Bearer {service.token('carol')}"}
        idle = await asyncio.gather(*(connected() for _ in range(200)))
        assert sum(socket is not None for socket in idle) == CONNECTIONS
        with pytest.raises(BusyError, match=f"you have {CONNECTIONS} connections"):
            await service.client("carol").start()
        users = await typists(service, 2)
        await asyncio.gather(*(each.type(2) for each in users))
        await leave(users)
        await asyncio.gather(*(socket.close() for socket in idle if socket))
        return users

    users = asyncio.run(run())
    assert [len(each.answers) for each in users] == [2, 2]
    check_answers(users, tiny_prefix_model)


def test_no_other_users_file_is_read_by_its_id(service: OnRay) -> None:
    async def run() -> None:
        users = await typists(service, 1)  # Alice's
        await users[0].type(1)
        spy = service.client("bob")
        spy._name = users[0].client._name
        async with spy:
            connection = spy._connection
            assert connection
            assert spy._holdings
            spy._holdings._told["f"] = Held("f", 1, 2)
            with pytest.raises(NeedFullError):
                await connection.request(ask(2, 0))
        await users[0].type(1)
        assert not users[0].refusals
        await leave(users)

    asyncio.run(run())


def test_a_cluster_that_is_not_there_is_told_at_once(service: OnRay) -> None:
    with pytest.raises(AssertionError, match=r"no Ray cluster answers at 127.0.0.1:\d+: start one"):
        service.change("--address", f"127.0.0.1:{free_port()}")


def test_metrics_count_and_logs_tell_no_code_and_no_token(service: OnRay) -> None:
    deadline = time.monotonic() + 60  # they are gathered now and then
    while 'outcome="ok"' not in service.metrics() and time.monotonic() < deadline:
        time.sleep(0.5)
    assert 'outcome="ok"' in service.metrics()
    logged = list(service.logged())
    assert any("serve" in path.name for path, _ in logged)
    for path, text in logged:
        assert "hunter2" not in text, path
        assert not any(service.token(user) in text for user in ("alice", "bob", "carol")), path
