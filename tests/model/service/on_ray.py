"""`setfill serve-team`, or a cluster of Ray's, as a process with all that it starts; and processes to kill there."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from model.api.client import WorkerClient, WorkerOptions
from model.api.service import PATH, Service
from model.service.tokens import new_token

ROOT = Path(__file__).resolve().parents[3]
START_S, STOP_S = 240.0, 60.0  # busy machines take long to start a dozen processes
USERS = ("alice", "bob", "carol")


@dataclass
class OnRay:
    """A service, or a cluster for one. `folder` has what Ray writes, and the users' tokens by their names."""

    process: subprocess.Popen[bytes]
    command: list[str]
    environment: dict[str, str]
    folder: Path
    port: int = 0
    metrics_port: int = 0
    address: str = "auto"
    seen: dict[int, str] = field(default_factory=dict)  # processes that came of it, with their command lines

    def client(self, user: str) -> WorkerClient:
        return WorkerClient(
            WorkerOptions("", service=Service(f"http://127.0.0.1:{self.port}", str(self.folder / user)))
        )

    def change(self, *options: str) -> str:
        """Run the command that started the service once more, with other options. Return what it said."""
        command = [*self.command, "--address", self.address, *options]
        ended = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, timeout=START_S)
        said = (ended.stdout + ended.stderr).decode()
        assert ended.returncode == 0, said
        return said

    def await_saying(self, words: str) -> None:
        """Wait until the process has said `words`."""
        deadline = time.monotonic() + START_S
        while words not in (said := (self.folder / "said").read_text()):
            self.look()
            assert self.process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.1)

    def look(self) -> None:
        """Note which processes there are, to end them later."""
        self.seen |= descendants(self.process.pid)

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
    """Yield a service with a model, on a Ray of its own. Whatever happens, no process of it stays."""
    metrics_port = free_port()
    with _folder() as folder:
        command = _serve_team(model, folder, precision)
        port = int(command[-1])
        command += ["--metrics-port", str(metrics_port), *options]
        with _process(command, _environment(folder), folder, ends_with=0) as service:
            service.port, service.metrics_port = port, metrics_port
            service.await_saying("serving")
            yield service


@contextlib.contextmanager
def cluster(model: Path) -> Iterator[OnRay]:
    """Yield a cluster of Ray's on this machine without a service yet: `change` puts it there."""
    with _folder() as folder:
        port = free_port()
        address = f"127.0.0.1:{port}"
        environment = {**_environment(folder), "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        environment["RAY_worker_niceness"] = "0"
        start = [
            sys.executable,
            "-P",
            "-m",
            "ray.scripts.scripts",
            "start",
            "--head",
            "--block",
            "--disable-usage-stats",
        ]
        start += ["--node-ip-address=127.0.0.1", f"--port={port}", f"--temp-dir={folder}", "--include-dashboard=false"]
        for each in ("ray-client-server-port", "metrics-export-port", "dashboard-agent-listen-port"):
            start.append(f"--{each}={free_port()}")  # those that are the same for every Ray
        with _process(start, environment, folder, ends_with=None) as service:
            service.command = _serve_team(model, folder, "float32")
            service.port, service.address = int(service.command[-1]), address
            service.await_saying("Ray runtime started")
            yield service


def _serve_team(model: Path, folder: Path, precision: str | None) -> list[str]:
    """Return the command, whose last word is the port."""
    command = [sys.executable, "-P", "-m", "setfill", "serve-team", "--tokens", str(folder / "tokens")]
    command += ["--model", str(model), *(["--precision", precision] if precision else [])]
    return [*command, "--port", str(free_port())]


def _environment(folder: Path) -> dict[str, str]:
    more = '{"CPU": 4}'  # room for engines to be added, on any machine
    return {**os.environ, "RAY_TMPDIR": str(folder), "OMP_NUM_THREADS": "1", "RAY_OVERRIDE_RESOURCES": more}


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """Yield a folder with tokens for all users; its path is short, as sockets lie in it."""
    folder = Path(tempfile.mkdtemp(prefix="sf-"))
    lines = []
    for user in USERS:
        secret, token = new_token(user)
        (folder / user).touch(mode=0o600)
        (folder / user).write_text(secret)
        lines.append(token.line())
    (folder / "tokens").write_text("\n".join(lines))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _process(command: list[str], environment: dict[str, str], folder: Path, ends_with: int | None) -> Iterator[OnRay]:
    """Run a command; in the end no process stays that came of it. `ends_with`: its exit status, None for any."""
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=said, stderr=subprocess.STDOUT)
    service = OnRay(process, command, environment, folder)
    try:
        yield service
    finally:
        service.look()
        process.terminate()
        try:
            status = process.wait(STOP_S)
            assert ends_with is None or status == ends_with
        finally:
            process.kill()
            for pid, command_line in service.seen.items():  # each is one that came of our own process
                with contextlib.suppress(OSError):
                    if Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode() == command_line:
                        os.kill(pid, signal.SIGKILL)
