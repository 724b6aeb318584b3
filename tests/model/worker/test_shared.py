"""The shared worker: its socket and directory, several clients, its end. The engine is a stand-in."""

from __future__ import annotations

import asyncio
import os
import stat
import time
from pathlib import Path

import pytest

from model.api import runtime
from model.api.client import WorkerClient
from model.api.types import Edit, PartialInfill
from model.errors import CheckpointError, SetfillError, UnknownFileError, WorkerError
from tests.model.worker.helpers import Owner, at, options, talk, until

SHARED = options(shared=True, linger_s=0.3)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_two_clients_share_a_worker_and_never_mix() -> None:
    async def edit_and_fill(client: WorkerClient, name: str) -> None:
        owner = Owner(client, "same id", "short.py", "", 0)
        for version in range(1, 30):
            owner.edit([Edit(0, 0, name)], version)
            infill = await client.infill(at("same id", version))
            assert infill.gaps[0].text == name * version

    async def conversation(first: WorkerClient, second: WorkerClient) -> None:
        assert first.pid == second.pid
        await asyncio.gather(edit_and_fill(first, "a"), edit_and_fill(second, "b"))
        assert (await first.stats())["open_files"] == 2
        first.open("only here", "a.py", "", 1)
        with pytest.raises(UnknownFileError):
            await second._ask(at("only here"))  # past the client's own check
        await second.stop()
        assert (await first.stats())["open_files"] == 2
        assert (await first.infill(at("same id", 29))).gaps[0].text == "a" * 29

    talk(conversation, SHARED, SHARED)


def test_who_only_asks_a_running_worker_starts_none_that_stays(runtime_dir: Path) -> None:
    """The command line loaded the model again though an editor's worker held it, and took seconds instead of one."""
    asks = options(running="stand-in")

    async def with_editor(editor: WorkerClient, command: WorkerClient, of_other_precision: WorkerClient) -> None:
        assert command.pid == editor.pid != of_other_precision.pid
        command.open("file", "short.py", "text", 1)
        assert (await command.infill(at("file"))).gaps[0].text == "text"
        await command.stop()
        assert (await editor.stats())["open_files"] == 0

    async def alone(command: WorkerClient) -> None:
        assert not list(runtime_dir.rglob("*.sock"))
        command.open("file", "short.py", "text", 1)
        assert (await command.infill(at("file"))).gaps[0].text == "text"

    talk(alone, asks)
    talk(with_editor, SHARED, asks, options(running="stand-in", precision="float32"))


def test_a_client_that_comes_after_a_load_failure_has_it_tried_again(tmp_path, monkeypatch) -> None:
    """The model was fetched, and the editor restarted: it met the worker that had found none, which said so again."""
    fetched = tmp_path / "fetched"
    monkeypatch.setenv("SETFILL_TEST_FETCHED", str(fetched))
    which = options("fetched", shared=True, linger_s=0.3)

    async def conversation(first: WorkerClient) -> None:
        with pytest.raises(CheckpointError):
            await first.describe()
        second = WorkerClient(which)
        await second.start()
        with pytest.raises(CheckpointError):  # it is still missing
            await second.describe()
        await second.stop()
        fetched.touch()
        with pytest.raises(CheckpointError):
            await first.describe()
        second = WorkerClient(which)
        await second.start()
        assert second.pid == first.pid
        for client in (second, first):
            assert (await client.describe()).name == "stand-in"
            assert (await client.status()).state == "ready"
        await second.stop()

    talk(conversation, which)


def test_a_client_that_asks_much_does_not_hold_up_another() -> None:
    async def conversation(greedy: WorkerClient, modest: WorkerClient) -> None:
        greedy.open("g", "short.py", "g", 1)
        modest.open("m", "short.py", "m", 1)
        many = [asyncio.create_task(greedy.infill(at("g"))) for _ in range(50)]
        await asyncio.sleep(0.05)
        await modest.infill(at("m"))
        assert sum(task.done() for task in many) < 25
        for task in many:
            task.cancel()

    talk(conversation, SHARED, SHARED)


def test_a_client_that_leaves_mid_request_frees_the_worker() -> None:
    async def conversation(leaving: WorkerClient, staying: WorkerClient) -> None:
        partials: list[PartialInfill] = []
        leaving.open("s", "slow.py", "slow", 1)
        slow = asyncio.create_task(leaving.infill(at("s"), partials.append))
        await until(lambda: bool(partials))
        await leaving.stop()
        with pytest.raises(WorkerError):
            await slow
        while (await staying.stats())["open_files"]:
            await asyncio.sleep(0.01)

    talk(conversation, SHARED, SHARED)


def test_the_log_holds_no_user_text(runtime_dir: Path) -> None:
    async def conversation(client: WorkerClient) -> None:
        client.open("x", "broken.py", "api_key = 'hunter2'", 1)
        with pytest.raises(SetfillError, match="KeyError"):
            await client.infill(at("x"))  # the stand-in raises KeyError(text)

    talk(conversation, SHARED)
    (log,) = runtime_dir.glob("*.log")
    assert "InfillRequest failed: KeyError at stand_in.py" in log.read_text()
    assert "hunter2" not in log.read_text()


def test_modes_and_idle_exit(runtime_dir: Path) -> None:
    async def conversation(client: WorkerClient) -> int:
        assert stat.S_IMODE(runtime_dir.stat().st_mode) == 0o700
        (socket,) = runtime_dir.glob("*.sock")
        assert stat.S_IMODE(socket.stat().st_mode) == 0o600
        assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in runtime_dir.iterdir())
        await asyncio.sleep(0.5)  # longer than it lingers, but it has a client
        assert (await client.status()).state == "ready"
        return client.pid

    pid = talk(conversation, SHARED)
    assert not gone(pid)
    assert talk(conversation, SHARED) == pid  # came back in time

    deadline = time.monotonic() + 10
    while not gone(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert gone(pid)
    assert not list(runtime_dir.glob("*.sock"))


def test_clients_that_start_at_once_get_one_worker(runtime_dir: Path) -> None:
    async def run() -> None:
        clients = [WorkerClient(SHARED) for _ in range(4)]
        await asyncio.gather(*(client.start() for client in clients))
        assert len({client.pid for client in clients}) == 1
        for client in clients:
            await client.stop()

    asyncio.run(run())


def test_a_stale_socket_is_replaced_and_a_killed_worker_restarted(runtime_dir: Path) -> None:
    async def conversation(first: WorkerClient, second: WorkerClient) -> None:
        pid = first.pid
        first.open("a", "a.py", "one", 1)
        second.open("a", "a.py", "two", 1)
        os.kill(pid, 9)
        assert (await first.infill(at("a"))).gaps[0].text == "one"
        assert (await second.infill(at("a"))).gaps[0].text == "two"
        assert first.pid == second.pid != pid

    talk(conversation, SHARED, SHARED)


def test_shutdown_is_for_all(runtime_dir: Path) -> None:
    async def conversation(first: WorkerClient, second: WorkerClient) -> None:
        pid = first.pid
        await first.shutdown()
        await until(lambda: gone(pid))
        assert (await second.stats())["open_files"] == 0  # by another worker
        assert second.pid != pid
        await second.shutdown()

    talk(conversation, SHARED, SHARED)


def test_different_models_get_different_workers() -> None:
    assert runtime.meeting_point("a") != runtime.meeting_point("b")
    assert runtime.meeting_point("a") == runtime.meeting_point("a")
    assert runtime.meeting_point("a", ("int8",)) != runtime.meeting_point("a", ("float32",))


def test_a_runtime_directory_that_is_not_ours_alone_is_mended_or_refused(runtime_dir: Path) -> None:
    runtime_dir.mkdir()
    runtime_dir.chmod(0o755)
    assert stat.S_IMODE(runtime.runtime_dir().stat().st_mode) == 0o700
    runtime_dir.rmdir()
    runtime_dir.symlink_to(runtime_dir.parent)
    with pytest.raises(WorkerError, match="not a directory of yours"):
        runtime.runtime_dir()
    runtime_dir.unlink()
    runtime_dir.write_text("")
    with pytest.raises(WorkerError, match="XDG_RUNTIME_DIR"):
        runtime.runtime_dir()


def test_another_users_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner could read what our clients edit, whatever the directory's mode."""
    us, them = os.getuid(), os.getuid() + 1
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", "")
    (tmp_path / f"setfill-{us}").mkdir(mode=0o700)
    assert runtime.runtime_dir() == tmp_path / f"setfill-{us}"
    (tmp_path / f"setfill-{them}").mkdir(mode=0o700)
    monkeypatch.setattr(os, "getuid", lambda: them)  # so what we have just made is another user's
    with pytest.raises(WorkerError, match="not a directory of yours"):
        runtime.runtime_dir()
    inherited = tmp_path / "inherited"  # as after `sudo`: not ours, so it is passed over
    inherited.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(inherited))
    with pytest.raises(WorkerError, match=f"setfill-{them} is not a directory of yours"):
        runtime.runtime_dir()
    assert not list(inherited.iterdir())


def test_without_xdg_it_is_a_folder_of_this_user_in_the_temporary_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for value in ("", "relative", "/nowhere/at/all"):
        monkeypatch.setenv("XDG_RUNTIME_DIR", value)
        assert runtime.runtime_dir() == tmp_path / f"setfill-{os.getuid()}"


def test_too_long_a_path_is_an_error_that_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 90)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    with pytest.raises(WorkerError, match="XDG_RUNTIME_DIR"):
        runtime.meeting_point("a")


def test_a_shared_worker_that_cannot_start_says_why() -> None:
    async def run() -> None:
        client = WorkerClient(options("crash", shared=True))
        with pytest.raises(WorkerError, match="No module named 'torch'"):
            await client.start()
        await client.stop()

    asyncio.run(run())
