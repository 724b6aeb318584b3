"""The client and a child worker: order, cancel, death, restart. The engine is a stand-in (see stand_in.py)."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from model.api.client import WorkerClient
from model.api.types import Edit, Gap, GapScore, InfillRequest, PartialInfill, ScoreRequest, Snippet, TokenScore
from model.errors import (
    Cancelled,
    CheckpointError,
    InputError,
    RangeError,
    SetfillError,
    UnknownFileError,
    VersionError,
    WorkerError,
)
from tests.model.worker.helpers import ROOT, Owner, at, options, talk, until


def test_open_edit_infill_score_close() -> None:
    async def conversation(client: WorkerClient) -> None:
        owner = Owner(client, "a", "a.py", "def f():\n", 1)
        owner.edit([Edit(9, 9, "    return 🐍\n"), Edit(0, 3, "async def")], 2)
        client.set_context("a", [Snippet("b.py", "# b")])
        infill = await client.infill(at("a", 2))
        assert infill.gaps[0].text == "async def f():\n    return 🐍\n# b" == owner.text + "# b"
        assert infill.gaps[0].gap == Gap(0, 0)
        score = await client.score(ScoreRequest("a", 2, (Gap(0, 0),), ("x",)))
        assert score.gaps == (GapScore((TokenScore("x", -1.0, "clean"),), -1.0, None),)
        assert (await client.stats())["open_files"] == 1
        client.close("a")
        assert (await client.stats())["open_files"] == 0
        assert (await client.describe()).name == "stand-in"
        assert (await client.status()).state == "ready"

    talk(conversation)


def test_wrong_calls_raise_at_once_and_change_nothing() -> None:
    async def conversation(client: WorkerClient) -> None:
        client.open("a", "a.py", lambda: "12345", 4)
        with pytest.raises(UnknownFileError, match="'b'"):
            client.edit("b", [], 1)
        with pytest.raises(VersionError, match="4"):
            client.edit("a", [], 4)
        with pytest.raises(RangeError, match="3 characters"):
            client.edit("a", [Edit(0, 5, "123"), Edit(3, 5, "")], 5)
        client.open("fixed", "a.py", "12345", 4)
        with pytest.raises(InputError, match="stays as it is"):
            client.edit("fixed", [Edit(0, 0, "x")], 5)
        with pytest.raises(RangeError):
            client.prepare("a", 6)
        with pytest.raises(UnknownFileError):
            await client.infill(at("b"))
        with pytest.raises(VersionError, match="version 4"):
            await client.infill(at("a", 5))
        assert (await client.infill(at("a", 4))).gaps[0].text == "12345"

    talk(conversation)


def test_lone_surrogates_pass_through() -> None:
    async def conversation(client: WorkerClient) -> None:
        client.open("a", "a.py", "\ud83d and \udc0d", 1)
        assert (await client.infill(at("a"))).gaps[0].text == "\ud83d and \udc0d"

    talk(conversation)


def test_partials_stream_until_the_task_is_cancelled_and_the_worker_is_free_again() -> None:
    async def conversation(client: WorkerClient) -> None:
        client.open("s", "slow.py", "slow", 1)
        client.open("a", "a.py", "a", 1)
        partials: list[PartialInfill] = []
        slow = asyncio.create_task(client.infill(at("s"), partials.append))
        await until(lambda: len(partials) > 3)
        behind = asyncio.create_task(client.infill(at("a")))
        slow.cancel()
        assert (await behind).gaps[0].text == "a"
        assert slow.cancelled()
        assert set(partials) == {PartialInfill(0, "slow")}

    talk(conversation)


def test_cancel_by_file_reaches_running_and_waiting_requests() -> None:
    async def conversation(client: WorkerClient) -> None:
        client.open("s", "slow.py", "slow", 1)
        client.open("a", "a.py", "a", 1)
        running = asyncio.create_task(client.infill(at("s")))
        waiting = asyncio.create_task(client.infill(at("a")))
        await asyncio.sleep(0.1)
        client.cancel("a")
        with pytest.raises(Cancelled):
            await waiting  # answered although the one before it still runs
        assert not running.done()
        assert (await client.status()).state == "ready"  # not behind it either
        client.cancel("s")
        with pytest.raises(Cancelled):
            await running

    talk(conversation)


def test_a_failing_callback_harms_nobody() -> None:
    async def conversation(client: WorkerClient) -> None:
        def fail(partial: PartialInfill) -> None:
            raise RuntimeError("no")

        client.open("s", "slow.py", "slow", 1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.infill(at("s"), fail), 0.1)
        assert (await client.stats())["open_files"] == 1

    talk(conversation)


def test_stray_prints_do_not_reach_the_frames() -> None:
    async def conversation(client: WorkerClient) -> None:
        client.open("n", "noisy.py", "noise", 1)
        for _ in range(3):
            assert (await client.infill(at("n"))).gaps[0].text == "noise"

    talk(conversation)


def test_idle_work_yields_to_requests() -> None:
    async def conversation(client: WorkerClient) -> None:
        client.open("a", "a.py", "x" * 500, 1)
        client.prepare("a", 500)  # the stand-in: 500 slices of 2 ms
        assert (await client.infill(at("a"))).version == 1
        assert (await client.stats())["idle_slices_left"] > 0
        while (await client.stats())["idle_slices_left"]:
            await asyncio.sleep(0.1)

    talk(conversation)


def test_with_nothing_to_do_it_sleeps() -> None:
    async def conversation(client: WorkerClient) -> None:
        await client.stats()
        began = cpu_ticks(client.pid)
        await asyncio.sleep(0.5)
        assert cpu_ticks(client.pid) - began <= 1  # a tick is 10 ms

    def cpu_ticks(pid: int) -> int:
        user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return int(user) + int(system)

    talk(conversation)


def test_killed_mid_request_it_restarts_with_the_current_text() -> None:
    async def conversation(client: WorkerClient) -> None:
        owner = Owner(client, "s", "slow.py", "one", 1)
        client.set_context("s", [Snippet("b.py", "# b")])
        client.open("gone", "gone.py", "", 1)
        partials: list[PartialInfill] = []
        infill = asyncio.create_task(client.infill(at("s"), partials.append))
        await until(lambda: bool(partials))
        first = client.pid
        os.kill(first, signal.SIGKILL)
        client.close("gone")  # while it is dead or dying
        partials.clear()
        await until(lambda: bool(partials))  # asked again by itself
        assert client.pid not in (first, None)
        assert client.restarts == 1
        owner = Owner(client, "s", "s.py", owner.text, 2)
        owner.edit([Edit(3, 3, " two")], 3)
        infill.cancel()
        assert (await client.infill(at("s", 3))).gaps[0].text == "one two"
        assert (await client.stats())["open_files"] == 1

    talk(conversation)


def test_edits_made_while_the_worker_is_dead_are_there_afterwards() -> None:
    async def conversation(client: WorkerClient) -> None:
        owner = Owner(client, "a", "a.py", "one", 1)
        client.set_context("a", [Snippet("b.py", "# b")])
        await client.stats()
        os.kill(client.pid, signal.SIGKILL)
        owner.edit([Edit(3, 3, " two")], 2)
        await until(lambda: client.pid is None)
        owner.edit([Edit(7, 7, " three")], 3)
        assert (await client.infill(at("a", 3))).gaps[0].text == "one two three# b"

    talk(conversation)


def test_all_who_wait_share_one_restart() -> None:
    async def conversation(client: WorkerClient) -> None:
        for name in "abcdef":
            client.open(name, "short.py", name, 1)
        waiting = [asyncio.create_task(client.infill(at(name))) for name in "abcdef"]
        await asyncio.sleep(0.01)
        os.kill(client.pid, signal.SIGKILL)
        assert [(await task).gaps[0].text for task in waiting] == list("abcdef")
        assert client.restarts == 1

    talk(conversation)


def test_an_infill_that_kills_its_worker_is_retried_once(tmp_path) -> None:
    async def conversation(client: WorkerClient) -> None:
        client.open("once", f"die:{tmp_path / 'once'}", "once", 1)
        assert (await client.infill(at("once"))).gaps[0].text == "once"
        client.open("always", f"die:{tmp_path / 'always'}", "always", 1)
        with pytest.raises(WorkerError, match="SIGKILL"):
            await client.infill(at("always"))
        assert (tmp_path / "always").read_text() == "xx"

    talk(conversation)


def test_it_gives_up_after_many_quick_deaths(tmp_path) -> None:
    async def conversation(client: WorkerClient) -> None:
        client.open("always", f"die:{tmp_path / 'always'}", "always", 1)
        for _ in range(3):
            with pytest.raises(WorkerError):
                await client.infill(at("always"))
        with pytest.raises(WorkerError, match="not started again"):
            await client.infill(at("always"))
        client.close("always")
        await client.start()  # asked for explicitly
        client.open("a", "a.py", "a", 1)
        assert (await client.infill(at("a"))).gaps[0].text == "a"

    talk(conversation)


def test_a_worker_that_cannot_start_says_why() -> None:
    async def run() -> None:
        client = WorkerClient(options("crash"))
        with pytest.raises(WorkerError, match=r"did not start \(exit status 1\): No module named 'torch'"):
            await client.start()
        await client.stop()

    asyncio.run(run())


def test_status_is_told_while_the_weights_load_and_requests_wait() -> None:
    async def conversation(client: WorkerClient) -> None:
        client.open("a", "a.py", "a", 1)
        early = asyncio.create_task(client.infill(at("a")))
        while (status := await client.status()).progress == 0:
            await asyncio.sleep(0.01)
        assert (status.state, status.progress) == ("loading", 0.25)
        withdrawn = asyncio.create_task(client.infill(at("a")))
        await asyncio.sleep(0)
        client.cancel("a")
        with pytest.raises(Cancelled):
            await early
        with pytest.raises(Cancelled):
            await withdrawn
        assert (await client.describe()).name == "stand-in"
        assert (await client.status()).state == "ready"

    talk(conversation, options("slow"))


def test_a_load_failure_is_the_answer_to_every_request_and_the_worker_stays() -> None:
    async def conversation(client: WorkerClient) -> None:
        client.open("a", "a.py", "a", 1)
        for _ in range(2):
            with pytest.raises(CheckpointError, match="import the model again"):
                await client.infill(at("a"))
            with pytest.raises(CheckpointError, match="import the model again"):
                await client.describe()
        status = await client.status()
        assert (status.state, status.error_code) == ("failed", "checkpoint")
        assert client.restarts == 0

    talk(conversation, options("fail"))


def test_internal_errors_and_logs_hold_no_user_text(caplog, tmp_path) -> None:
    secret = "api_key = 'hunter2'"
    caplog.set_level(logging.DEBUG)

    async def conversation(client: WorkerClient) -> None:
        client.open("x", "broken.py", secret, 1)
        client.open("die", f"die:{tmp_path / 'once'}", secret, 1)
        with pytest.raises(SetfillError, match=r"KeyError at stand_in.py:\d+; please report") as caught:
            await client.infill(at("x"))  # the stand-in raises KeyError(text)
        assert "hunter2" not in str(caught.value)
        await client.infill(at("die"))
        with pytest.raises(VersionError):
            await client.infill(at("x", 9))

    talk(conversation)
    assert caplog.records
    assert "hunter2" not in caplog.text


def test_the_child_ends_with_its_client() -> None:
    async def conversation(client: WorkerClient) -> int:
        client.open("s", "slow.py", "slow", 1)
        task = asyncio.create_task(client.infill(at("s")))
        await asyncio.sleep(0.05)
        task.cancel()
        return client.pid

    began = time.perf_counter()
    pid = talk(conversation)
    assert time.perf_counter() - began < 5
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_client_that_is_killed_leaves_no_orphan() -> None:
    code = """if True:
        import asyncio, time
        from model.api.client import WorkerClient
        from tests.model.worker.helpers import options, at

        async def run():
            client = WorkerClient(options())
            await client.start()
            client.open("s", "slow.py", "slow", 1)
            asyncio.create_task(client.infill(at("s"), lambda partial: print(client.pid, flush=True)))
            await asyncio.sleep(60)

        asyncio.run(run())
    """
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT) as process:
        worker = int(process.stdout.readline())
        process.kill()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{worker}/cmdline").exists() and time.monotonic() < deadline:
        if not Path(f"/proc/{worker}/cmdline").read_bytes():
            return  # ended, and not yet collected by whoever inherited it
        time.sleep(0.02)
    assert time.monotonic() < deadline


def test_shutdown_and_sigterm_end_it_cleanly() -> None:
    async def conversation(client: WorkerClient) -> None:
        child = client._connection._link.child.process
        await client.shutdown()
        assert child.returncode == 0
        with pytest.raises(WorkerError, match="stopped"):
            await client.stats()

    talk(conversation)

    async def terminated(client: WorkerClient) -> None:
        child = client._connection._link.child.process
        child.send_signal(signal.SIGINT)  # Ctrl-C is the client's business
        await client.stats()
        child.send_signal(signal.SIGTERM)
        await until(lambda: client.pid is None)
        assert child.returncode == 0

    talk(terminated)


def test_many_requests_are_answered_in_order() -> None:
    async def conversation(client: WorkerClient) -> None:
        owner = Owner(client, "a", "a.py", "", 1)
        infills = []
        for version in range(2, 302):
            owner.edit([Edit(0, 0, chr(version))], version)
            infills.append(asyncio.create_task(client.infill(InfillRequest("a", version, ()))))
            await asyncio.sleep(0)  # the request goes out before the next edit
        assert [(await task).version for task in infills] == list(range(2, 302))

    talk(conversation)
