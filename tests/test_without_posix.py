"""The command line and the language server where there is no fcntl, no Unix socket, no waiting for pipes, no user id.

So it is on Windows, of which this shows one half: that nothing of ours asks for what is not there. `make check` asks
mypy the same of every line (`--platform win32`).
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lsp_server.client import Client, start
from tests.model.worker.conftest import tiny_model
from tests.without_posix import NAMES

__all__ = ["tiny_model"]

SHIM = Path(__file__).with_name("without_posix.py")
Command = tuple[str, ...]


@pytest.fixture
def without_posix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command that starts such a Python; folders of its own are set up for it."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -P {SHIM} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setenv("SETFILL_TEST_PYTHON", str(python))
    monkeypatch.setenv("SETFILL_HOME", str(tmp_path / "home"))
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    return (str(python),)


def setfill(python: Command, *arguments: str, status: int = 0) -> str:
    """Run `setfill`; return what it printed, on standard error where an error is expected."""
    done = subprocess.run(
        [*python, "-m", "setfill", *arguments], capture_output=True, text=True, encoding="utf-8", timeout=240
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr if status else done.stdout


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody waits for in this container counts too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_it_is_really_taken_away(without_posix: Command, tmp_path: Path) -> None:
    script = tmp_path / "look.py"
    names = {owner.__name__: list(names) for owner, names in NAMES.items()}
    script.write_text(
        f"""\
import asyncio, importlib, sys
for owner, names in {names!r}.items():
    assert not any(hasattr(importlib.import_module(owner), name) for name in names), owner
for module in ("fcntl", "resource"):
    try:
        importlib.import_module(module)
        sys.exit(module)
    except ImportError:
        pass
""",
        encoding="utf-8",
    )
    done = subprocess.run([*without_posix, str(script)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_command_line(without_posix: Command, tiny_model: Path, tmp_path: Path) -> None:
    assert "0.1.0" in setfill(without_posix, "--version")
    setfill(without_posix, "models", "import", str(tiny_model), "--name", "tiny")
    assert "tiny" in setfill(without_posix, "models", "list")
    source = tmp_path / "app.py"
    source.write_text("def add(a, b):\n    return a + b\n", encoding="utf-8")
    fill = ("fill", str(source), "--model", "tiny", "--max-lines", "1", "--at")
    assert json.loads(setfill(without_posix, *fill, "2:12", "--json", "--write"))["gaps"]
    assert source.read_text(encoding="utf-8").startswith("def add(a, b):\n    return ")
    assert "99" in setfill(without_posix, *fill, "99:1", status=2)
    assert "no Unix sockets" in setfill(without_posix, "doctor", "--model", "tiny")
    setfill(without_posix, "stats")


def converse(python: Command, conversation: Callable[[Client], object]) -> None:
    async def run() -> None:
        client = await start((*python, "-m", "setfill", "serve"))
        try:
            async with asyncio.timeout(120):
                await conversation(client)  # type: ignore[misc]
        finally:
            if client.process.returncode is None:
                client.process.kill()
                await client.process.wait()

    asyncio.run(run())


async def begin(client: Client, model: Path) -> int:
    """Get a first suggestion; return the worker's process id."""
    await client.initialize(model=str(model), sharedWorker=True, confidenceFloor=0, timeLimitMs=60_000)
    client.open("file:///w/a.py", "def add(a, b):\n    return ")
    await client.suggest("file:///w/a.py", kind=1)
    status = await client.request("setfill/status", {"worker": True})
    assert status["state"] == "ready"
    return int(status["workerPid"])


def test_the_server_suggests_and_its_worker_goes_with_it(without_posix: Command, tiny_model: Path) -> None:
    async def conversation(client: Client) -> None:
        pid = await begin(client, tiny_model)
        client.type("file:///w/a.py", 26, "a")
        await client.suggest("file:///w/a.py", kind=1)
        assert await client.stop() == 0
        assert is_gone(pid)  # it was asked for a shared one, and there is none to share

    converse(without_posix, conversation)


def test_a_worker_that_dies_is_started_again(without_posix: Command, tiny_model: Path) -> None:
    async def conversation(client: Client) -> None:
        pid = await begin(client, tiny_model)
        os.kill(pid, signal.SIGKILL)
        await client.suggest("file:///w/a.py", kind=1)
        status = await client.request("setfill/status", {"worker": True})
        assert status["workerPid"] != pid
        assert await client.stop() == 0

    converse(without_posix, conversation)


def test_the_worker_of_a_server_that_is_killed_ends(without_posix: Command, tiny_model: Path) -> None:
    async def conversation(client: Client) -> None:
        pid = await begin(client, tiny_model)
        client.process.kill()
        await client.process.wait()
        async with asyncio.timeout(30):
            while not is_gone(pid):
                await asyncio.sleep(0.05)

    converse(without_posix, conversation)


def test_programs_of_an_evaluation_are_refused_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    from model.errors import InputError
    from model.evaluation.sandbox import Sandbox

    for platform in ("win32", "darwin"):
        monkeypatch.setattr(sys, "platform", platform)
        for isolated in (True, False):
            with pytest.raises(InputError, match="on Linux only"):
                Sandbox(isolated=isolated)
