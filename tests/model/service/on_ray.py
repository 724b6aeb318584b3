"""`setfill serve-team` as a process of its own, with all that Ray starts below it; and processes to be killed there."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from model.api.client import WorkerClient, WorkerOptions
from model.api.service import PATH, Service
from model.service.tokens import new_token

ROOT = Path(__file__).resolve().parents[3]
START_S, STOP_S = 240.0, 60.0  # busy machines take long to start a dozen processes
USERS = ("alice", "bob", "carol")


@dataclass
class OnRay:
    """A service that runs. `folder` has what Ray writes, and the users' tokens by their names."""

    process: subprocess.Popen[bytes]
    command: list[str]
    environment: dict[str, str]
    folder: Path
    port: int
    metrics_port: int

    def client(self, user: str) -> WorkerClient:
        return WorkerClient(
            WorkerOptions("", service=Service(f"http://127.0.0.1:{self.port}", str(self.folder / user)))
        )

    def change(self, *options: str) -> str:
        """Run the command that started the service once more, with other options. Return what it said."""
        command = [*self.command, "--address", "auto", *options]
        ended = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, timeout=START_S)
        said = (ended.stdout + ended.stderr).decode()
        assert ended.returncode == 0, said
        return said

    def token(self, user: str) -> str:
        return (self.folder / user).read_text().strip()

    @property
    def socket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}{PATH}"

    def replicas(self, deployment: str) -> list[int]:
        """Return the process ids of a deployment's replicas."""
        title = f"ray::ServeReplica:setfill:{deployment}"
        return [pid for pid, command in descendants(self.process.pid).items() if command.startswith(title)]

    def kill(self, deployment: str) -> None:
        """Kill one replica, as a machine does that runs out of memory."""
        os.kill(self.replicas(deployment)[0], signal.SIGKILL)

    def is_well(self) -> bool:
        with contextlib.suppress(OSError):
            url = f"http://127.0.0.1:{self.port}{PATH}/health"
            return bool(urllib.request.urlopen(url, timeout=10).status == 200)
        return False

    def metrics(self) -> str:
        with contextlib.suppress(OSError):
            url = f"http://127.0.0.1:{self.metrics_port}/metrics"
            return urllib.request.urlopen(url, timeout=10).read().decode()
        return ""

    def logged(self) -> Iterator[tuple[Path, str]]:
        """Yield every file that Ray wrote, and what is in it."""
        for path in self.folder.rglob("*"):
            if path.is_file() and path.parent != self.folder:
                with contextlib.suppress(OSError):
                    yield path, path.read_bytes().decode("utf-8", "replace")


def descendants(pid: int) -> dict[int, str]:
    """Return the command lines of all processes that came of one, by their ids."""
    parents, commands = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError, ValueError):
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                commands[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    found, wanted = {}, {pid}
    while wanted:
        wanted = {each for each, parent in parents.items() if parent in wanted}
        found |= {each: commands.get(each, "") for each in wanted}
    return found


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def running(model: Path, *options: str, precision: str | None = "float32") -> Iterator[OnRay]:
    """Yield a service with a model. Whatever happens, no process of it stays."""
    folder = Path(tempfile.mkdtemp(prefix="sf-"))  # short, as sockets lie in it
    environment = {**os.environ, "RAY_TMPDIR": str(folder), "OMP_NUM_THREADS": "1"}
    environment["RAY_OVERRIDE_RESOURCES"] = '{"CPU": 4}'  # room for engines to be added, on any machine
    tokens = folder / "tokens"
    lines = []
    for user in USERS:
        secret, token = new_token(user)
        (folder / user).touch(mode=0o600)
        (folder / user).write_text(secret)
        lines.append(token.line())
    tokens.write_text("\n".join(lines))
    port, metrics_port = free_port(), free_port()
    command = [sys.executable, "-P", "-m", "setfill", "serve-team", "--tokens", str(tokens), "--model", str(model)]
    command += ["--port", str(port), "--metrics-port", str(metrics_port), *options]
    command += ["--precision", precision] if precision else []
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=said, stderr=subprocess.STDOUT)
    service = OnRay(process, command, environment, folder, port, metrics_port)
    children: dict[int, str] = {}
    try:
        deadline = time.monotonic() + START_S
        while b"serving" not in (folder / "said").read_bytes():
            children |= descendants(process.pid)
            assert process.poll() is None, (folder / "said").read_text()
            assert time.monotonic() < deadline, (folder / "said").read_text()
            time.sleep(0.1)
        yield service
    finally:
        children |= descendants(process.pid)
        process.terminate()
        try:
            assert process.wait(STOP_S) == 0
        finally:
            process.kill()
            for pid, command_line in children.items():  # each is one that came of our own process
                with contextlib.suppress(OSError):
                    if Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode() == command_line:
                        os.kill(pid, signal.SIGKILL)
            shutil.rmtree(folder, ignore_errors=True)
