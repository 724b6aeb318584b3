"""A worker that hangs is noticed and ended; one that is slow is not."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from model.api import launch
from model.api.client import WorkerClient, WorkerOptions
from model.api.messages import WorkerStatus
from model.api.watchdog import Patience, Signs, Watchdog, signs_of
from model.errors import WorkerError
from tests.model.worker.helpers import at, options, until

READY = WorkerStatus("ready", 1.0, "m", 1)
LOADING = WorkerStatus("loading", 0.0, "m", 1)
SHORT = Patience(
    tick_s=0.05, stopped_s=0.5, silent_s=1.0, unseen_s=1.0, idle_s=1.0, working_s=60.0, loading_s=60.0
)  # fmt: skip
FAIR = replace(SHORT, silent_s=5.0, unseen_s=5.0, idle_s=5.0)  # to a process that other processes leave little time
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes by /proc")


def seconds_until_given_up(
    statuses: Callable[[int], WorkerStatus | None], signs: Callable[[int], Signs | None], computes: bool = True
) -> tuple[int, str]:
    """Return when a worker that answers and looks as said is given up, and why."""
    watchdog = Watchdog(Patience())
    for second in range(2_000):
        if status := statuses(second):
            watchdog.heard()
            watchdog.told(status)
        if reason := watchdog.tick(signs(second), computes):
            return second, reason
    return -1, "never"


def asleep(second: int) -> Signs:
    return Signs(False, False, (1, 2, 3))


def working(second: int) -> Signs:
    return Signs(False, False, (1, second, 3))


def stopped(second: int) -> Signs:
    return Signs(True, False, (1, 2, 3))


def in_disk(second: int) -> Signs:
    return Signs(False, True, (1, 2, 3))


def first(status: WorkerStatus) -> Callable[[int], WorkerStatus | None]:
    """It says this once, and nothing after it."""
    return lambda second: status if second == 0 else None


CASES = {
    "stopped": (first(READY), stopped, 10, "was stopped"),
    "stopped while loading": (first(LOADING), stopped, 10, "was stopped"),
    "silent and asleep": (first(READY), asleep, 20, "did not answer"),
    "silent and asleep while loading": (first(LOADING), asleep, 600, "did not answer"),
    "silent and asleep from the start": (lambda second: None, asleep, 600, "did not answer"),
    "silent but working": (first(READY), working, 300, "did not answer"),
    "silent, waiting for a disk": (first(READY), in_disk, 300, "did not answer"),
    "silent and not to be seen": (first(READY), lambda second: None, 60, "did not answer"),
    "answers, does nothing": (lambda second: READY, asleep, 60, "got nothing done"),
    "answers, works, finishes nothing": (lambda second: replace(READY, cpu_ms=99 * second), working, 300, "nothing"),
    "answers, its answers cost a little": (lambda second: replace(READY, cpu_ms=second), working, 60, "nothing done"),
    "loads": (lambda second: LOADING, asleep, 600, "got nothing done"),
    "works": (lambda second: replace(READY, steps=second // 50), working, -1, "never"),
    "loads with progress": (lambda second: replace(LOADING, steps=second // 500), asleep, -1, "never"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_when_a_worker_is_given_up(case: str) -> None:
    statuses, signs, expected, why = CASES[case]
    second, reason = seconds_until_given_up(statuses, signs)
    assert abs(second - expected) <= 1
    assert why in reason


def test_of_a_worker_that_need_not_compute_only_silence_counts() -> None:
    assert seconds_until_given_up(lambda second: READY, asleep, computes=False) == (-1, "never")
    assert seconds_until_given_up(first(READY), asleep, computes=False)[0] in (19, 20, 21)


def talk(
    conversation: Callable[..., Coroutine[Any, Any, Any]],
    which: WorkerOptions | None = None,
    patience: Patience = SHORT,
) -> Any:
    async def run() -> Any:
        client = WorkerClient(which or options(), patience)
        async with asyncio.timeout(60):
            try:
                await client.start()
                return await conversation(client)
            finally:
                await client.stop()

    return asyncio.run(run())


@on_linux
def test_a_stopped_worker_is_ended_and_the_request_answered_by_another() -> None:
    async def conversation(client: WorkerClient) -> None:
        deaths: list[tuple[str, bool]] = []
        client.on_death = lambda reason, was_hung: deaths.append((reason, was_hung))
        client.open("a", "a.py", "text", 1)
        assert (await client.stats())["open_files"] == 1
        first_pid = client.pid
        os.kill(first_pid, signal.SIGSTOP)
        assert (await client.infill(at("a"))).gaps[0].text == "text"
        assert client.pid != first_pid
        assert client.restarts == 1
        ((reason, was_hung),) = deaths
        assert "it was stopped" in reason
        assert was_hung

    talk(conversation)


def test_a_compute_thread_that_hangs_is_noticed_though_the_event_loop_answers() -> None:
    async def conversation(client: WorkerClient) -> None:
        client.open("s", "stuck.py", "text", 1)
        client.open("a", "a.py", "a", 1)
        stuck = asyncio.create_task(client.infill(at("s")))
        with pytest.raises(WorkerError, match="got nothing done"):
            await stuck  # twice
        assert client.restarts >= 1
        assert (await client.infill(at("a"))).gaps[0].text == "a"

    talk(conversation)


@on_linux
@pytest.mark.parametrize("load", ["held", "load"])
def test_a_slow_start_is_no_hanging(load: str) -> None:
    async def conversation(client: WorkerClient) -> None:
        client.open("a", "a.py", "a", 1)
        assert (await client.infill(at("a"))).gaps[0].text == "a"
        assert client.restarts == 0

    talk(conversation, options(load), FAIR)


def test_a_long_step_is_no_hanging() -> None:
    async def conversation(client: WorkerClient) -> None:
        client.open("a", "busy.py", "a", 1)
        assert (await client.infill(at("a"))).gaps[0].text == "a"
        assert client.restarts == 0

    talk(conversation, patience=FAIR)


def test_a_look_is_taken_once_a_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each question to the worker began a round of looks of its own: a minute's patience was a second's."""
    looks = 0

    def tick(*_: Any) -> None:
        nonlocal looks
        looks += 1

    monkeypatch.setattr(Watchdog, "tick", tick)

    async def conversation(client: WorkerClient) -> None:
        client.open("s", "slow.py", "slow", 1)
        asking = asyncio.create_task(client.infill(at("s")))
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        await asyncio.sleep(1.0)
        assert 1 <= looks <= (loop.time() - begun_s) / SHORT.tick_s + 1
        asking.cancel()

    talk(conversation)


def test_nobody_looks_while_nothing_is_awaited() -> None:
    async def conversation(client: WorkerClient) -> None:
        await client.stats()
        assert client._connection
        await until(lambda: client._connection._looking is None)
        os.kill(client.pid, signal.SIGSTOP)
        await asyncio.sleep(1.0)
        os.kill(client.pid, signal.SIGCONT)
        assert (await client.status()).state == "ready"
        assert client.restarts == 0

    talk(conversation)


def test_a_restart_is_one() -> None:
    async def conversation(client: WorkerClient) -> None:
        client.open("a", "a.py", "a", 1)
        client.open("s", "slow.py", "slow", 1)
        pids = [client.pid]
        waiting = asyncio.create_task(client.infill(at("s")))
        await client.stats()
        await client.restart()
        assert not waiting.done(), "it is asked again"
        waiting.cancel()
        pids.append(client.pid)
        os.kill(client.pid, signal.SIGSTOP)
        await client.restart()
        pids.append(client.pid)
        assert len(set(pids)) == 3
        assert None not in pids
        assert (await client.infill(at("a"))).gaps[0].text == "a"

    talk(conversation)


@pytest.mark.parametrize("shared", [False, True])
def test_a_hung_worker_does_not_hold_up_leaving(shared: bool) -> None:
    """Nor does text that it has not read: the pipe is full."""

    async def conversation(client: WorkerClient) -> int:
        await client.stats()
        pid = client.pid
        os.kill(pid, signal.SIGSTOP)
        for number in range(40):
            client.open(f"a{number}", "a.py", "x" * 100_000, 1)
        return pid

    pid = talk(conversation, options(shared=shared))
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        assert not shared
    else:
        assert shared


@on_linux
def test_a_hung_shared_worker_is_ended_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "_HUNG_TIMEOUT_S", 1.0)

    async def run() -> None:
        first, second, late = (WorkerClient(options(shared=True, linger_s=0.1), SHORT) for _ in range(3))
        async with asyncio.timeout(60):
            try:
                for client in (first, second):
                    await client.start()
                    client.open("a", "a.py", "a", 1)
                    await client.stats()
                hung = first.pid
                assert second.pid == hung
                os.kill(hung, signal.SIGSTOP)
                await late.start()  # shakes hands with nobody, and looks why
                answers = await asyncio.gather(*(client.infill(at("a")) for client in (first, second)))
                assert [answer.gaps[0].text for answer in answers] == ["a", "a"]
                assert {first.pid, second.pid, late.pid} == {first.pid}
                assert first.pid != hung
                assert signs_of(hung) is None
            finally:
                for client in (first, second, late):
                    await client.stop()

    asyncio.run(run())
