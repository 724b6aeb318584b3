"""Starting a worker, or finding the shared one: from options to a pair of streams.

Workers are started so that nothing of the folder the user is in, and nothing of
PYTHONPATH, can get between: by path, with `-P`, from `/`, without the variables
that change how Python imports. Imports no torch.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from model.api import runtime, wire
from model.api.messages import Failed, Hello, Welcome
from model.api.pipes import open_pipes
from model.api.processor import cpu_flags
from model.api.service import Service
from model.api.watchdog import signs_of
from model.errors import FrameError, WorkerError

logger = logging.getLogger(__name__)

_CREDENTIALS = struct.Struct("3i")  # of a socket's peer: process, user, group
# Until the hello is answered. The weights are loaded after it, but importing torch, which begins at once, holds the
# interpreter's lock for as long as the disk takes.
_START_TIMEOUT_S = 120.0
_HUNG_TIMEOUT_S = 10.0  # until a shared worker that says and does nothing is given up
_STOP_TIMEOUT_S = 5.0  # after the streams are closed; then the child is killed
_KEPT_PYTHON_VARIABLES = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "PYTHONUTF8")
# OpenMP threads that wait for each other spin, for milliseconds by default. Beside any other busy program (a
# compiler, a test run) they then burn the time slice of the very thread they wait for: forwards of 20 ms took
# 700 ms on two busy cores. A thousand turns are enough for threads that run at the same time. Where forwards find
# out how many threads pay (`network.threads`: AVX2 without VNNI) more of them do: a thread that has gone to sleep
# is woken hundreds of times in a forward, which cost as much again as all its work.
_SPIN_TURNS, _SPIN_TURNS_OF_CHOSEN_THREADS = "1000", "10000"
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
# On Windows: Ctrl-C is for the client alone, and no console opens where the client, an editor, has none.
_WINDOWS_FLAGS = 0
if sys.platform == "win32":
    _WINDOWS_FLAGS = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW


@dataclass(frozen=True)
class WorkerOptions:
    """Which worker a client wants. Unset fields are chosen by the worker."""

    model: str  # name of an installed model, or the path of a checkpoint: a relative one with a slash in it
    # One worker for all editor windows, met on a socket; else, or where there are no sockets, a child of this process.
    shared: bool = False
    # Without `shared`: a shared worker that was started for a model of this name (or path) and with these settings is
    # asked where one runs already, and goes on afterwards. Empty: none is.
    running: str = ""
    precision: str | None = None
    threads: int | None = None
    memory_budget_mb: int = 512
    linger_s: float = 300.0  # seconds a shared worker stays after its last client
    program: tuple[str, ...] = ()  # how to start the worker; empty: this Python, the package beside this one
    service: Service | None = None  # a team's service instead: then nothing is started, and only `client` reads this

    def __post_init__(self) -> None:
        for name in ("model", "running"):
            if os.path.dirname(path := getattr(self, name)):  # the worker runs in another directory
                object.__setattr__(self, name, os.path.abspath(os.path.expanduser(path)))


@dataclass
class Link:
    """Open streams to a worker that has answered the hello."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    pid: int
    child: Child | None = None
    read_transport: asyncio.BaseTransport | None = None  # of a child, whose two pipes are closed one by one

    def send(self, frames: bytes) -> None:
        """Send whole frames, without waiting."""
        self.writer.write(frames)

    async def receive(self) -> tuple[int, Any] | None:
        """Return the next (request id, message), None at the end. FrameError for what is no frame."""
        return await wire.read_frame(self.reader)

    def kill(self) -> None:
        """End the worker's process at once, also a shared one. Its streams end with it."""
        if self.child:
            self.child.process.kill()
        elif _peer_pid(self.writer) == self.pid:
            _kill(self.pid)
        else:  # it lives where process ids mean others, in a container perhaps
            self.writer.transport.abort()

    async def close(self) -> str:
        """Close the streams; of a child, wait until it has ended. Return how it ended, as far as can be told."""
        await _close(self.writer)
        if not self.child:
            return "the connection to it was lost"
        status = await self.child.reap()
        if self.read_transport:
            self.read_transport.close()
            await asyncio.sleep(0)  # the loop lets go of the descriptor
        return _describe_exit(status)


class Child:
    """A process we started. What it last said on standard error is kept, in case that it cannot start."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._words = b""
        self._listener = threading.Thread(target=self._listen, name="worker-stderr", daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stderr
        with self.process.stderr as stream:
            while words := os.read(stream.fileno(), 4096):
                self._words = (self._words + words)[-4096:]

    async def reap(self) -> int:
        """Wait for the end, which must be near, and return the exit status."""
        return await asyncio.to_thread(self._reap)

    def _reap(self) -> int:
        for _ in range(2):
            try:
                status = self.process.wait(_STOP_TIMEOUT_S)
                self._listener.join(_STOP_TIMEOUT_S)
                return status
            except subprocess.TimeoutExpired:
                self.process.kill()
        raise WorkerError(f"the model worker (process {self.process.pid}) cannot be ended")

    def last_words(self) -> str:
        """Return the last line on standard error. Only for a worker that has not been sent any text yet."""
        return _last_line(self._words)


async def open_link(options: WorkerOptions) -> Link:
    """Start or find a worker and shake hands.

    WorkerError when it cannot be had, FrameError when it is of another version.
    """
    if options.shared and runtime.has_sockets():
        return await _join_shared(options)
    if options.running and runtime.has_sockets() and (link := await _join_running(options)):
        return link
    return await _start_child(options)


def worker_command(options: WorkerOptions) -> list[str]:
    """Return the command line of a worker."""
    package = Path(__file__).resolve().parents[1] / "worker"
    command = list(options.program) or [sys.executable, "-P", str(package)]
    command += ["--model", options.model, "--memory-budget-mb", str(options.memory_budget_mb)]
    if options.precision:
        command += ["--precision", options.precision]
    if options.threads:
        command += ["--threads", str(options.threads)]
    return command


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` without what changes which Python code is run, and with how long threads spin."""
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith("PYTHON") or name in _KEPT_PYTHON_VARIABLES
    }
    return {"GOMP_SPINCOUNT": _spin_turns(set(cpu_flags())), **kept}


def _spin_turns(flags: set[str]) -> str:
    adds_in_32_bits = flags & {"avx512_vnni", "avx_vnni", "amx_int8"}
    return _SPIN_TURNS_OF_CHOSEN_THREADS if "avx2" in flags and not adds_in_32_bits else _SPIN_TURNS


async def _start_child(options: WorkerOptions) -> Link:
    to_read, child_out = os.pipe()
    child_in, to_write = os.pipe()
    try:
        child = Child(_spawn(worker_command(options), stdin=child_in, stdout=child_out, stderr=subprocess.PIPE))
    except BaseException:
        os.close(to_read)
        os.close(to_write)
        raise
    finally:
        os.close(child_in)
        os.close(child_out)
    reader, writer, read_transport = await open_pipes(to_read, to_write)
    link = Link(reader, writer, 0, child, read_transport)
    try:
        link.pid = (await _shake_hands(reader, writer)).pid
    except (WorkerError, OSError):
        await link.close()
        raise _did_not_start(child.process.returncode, child.last_words()) from None
    except BaseException:
        child.process.kill()
        await link.close()
        raise
    return link


async def _join_running(options: WorkerOptions) -> Link | None:
    """Return a link to the shared worker called `options.running`, or None where none can be had."""
    try:
        return await _try_socket(_meeting_point(options, options.running).socket)
    except (WorkerError, OSError) as error:  # an OSError: there is no place for temporary files, for example
        logger.info("no running worker is asked (%s)", type(error).__name__)
        return None


def _meeting_point(options: WorkerOptions, model: str) -> runtime.MeetingPoint:
    return runtime.meeting_point(model, (options.precision, options.threads, options.memory_budget_mb))


async def _join_shared(options: WorkerOptions) -> Link:
    point = _meeting_point(options, options.model)
    try:
        async with asyncio.timeout(_START_TIMEOUT_S):
            while True:
                if link := await _try_socket(point.socket):
                    return link
                if not await _start_shared(options, point):
                    await asyncio.sleep(0.05)  # another one is starting, or ending: look again
    except TimeoutError:
        raise WorkerError(f"no shared model worker answers on {point.socket}; see {point.log}") from None


async def _try_socket(path: Path) -> Link | None:
    """Return a link over a socket, or None when nobody listens or the listener is just leaving."""
    if sys.platform == "win32":
        raise WorkerError("there are no Unix sockets on Windows")
    try:
        reader, writer = await asyncio.open_unix_connection(path, limit=2**20)
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    except OSError as error:
        raise WorkerError(f"cannot connect to the model worker on {path}: {error.strerror}") from None
    pid = _peer_pid(writer)
    before = signs_of(pid) if pid else None
    try:
        welcome = await _shake_hands(reader, writer, _HUNG_TIMEOUT_S)
    except (WorkerError, OSError):
        await _close(writer)
        if pid and before and signs_of(pid) == before and not before.is_in_disk:
            logger.error("the shared model worker (process %d) hangs: it is ended", pid)
            _kill(pid)
        return None
    except BaseException:
        await _close(writer)
        raise
    return Link(reader, writer, welcome.pid)


async def _start_shared(options: WorkerOptions, point: runtime.MeetingPoint) -> bool:
    """Start a worker that outlives us. Return False when another one was there before it."""
    command = [*worker_command(options), "--shared", "--linger", str(options.linger_s)]
    command += ["--socket", str(point.socket), "--lock", str(point.lock)]
    with open(point.log, "ab", opener=lambda path, flags: os.open(path, flags | _NO_LINK, 0o600)) as log:
        process = _spawn(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
    assert process.stdout
    with process.stdout as answers:
        answer = await asyncio.to_thread(answers.readline)
    if answer == b"ready\n":
        _wait_in_background(process)
        return True
    status = await asyncio.to_thread(process.wait)
    if answer == b"taken\n":
        return False
    raise _did_not_start(status, _last_line(point.log.read_bytes()[-4096:]))


def _wait_in_background(process: subprocess.Popen[bytes]) -> None:
    """Collect the exit status some day, so that a shared worker that ends before us leaves no zombie."""
    threading.Thread(target=process.wait, name="shared-worker", daemon=True).start()


def _spawn(command: list[str], stdin: int, stdout: int, stderr: int | IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=clean_environment(os.environ),
            cwd="/",
            start_new_session=True,  # Ctrl-C at a terminal is for the client alone
            creationflags=_WINDOWS_FLAGS,
        )
    except OSError as error:
        raise WorkerError(f"the model worker cannot be started: {command[0]}: {error.strerror}") from None


async def _shake_hands(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, timeout_s: float = _START_TIMEOUT_S
) -> Welcome:
    writer.write(wire.encode_frame(wire.NO_REQUEST, Hello(wire.PROTOCOL, runtime.package_version())))
    try:
        async with asyncio.timeout(timeout_s):
            frame = await wire.read_frame(reader)
    except TimeoutError:
        raise WorkerError(f"the model worker did not answer within {timeout_s:.0f} s") from None
    match frame:
        case (_, Welcome() as welcome):
            return welcome
        case (_, Failed() as failed):
            raise failed.error()
        case None:
            raise WorkerError("the model worker ended before it answered")
    raise FrameError("what answers there is not a setfill worker")


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        async with asyncio.timeout(_STOP_TIMEOUT_S):
            await writer.wait_closed()
    except TimeoutError:  # what is buffered is not read: the worker hangs
        writer.transport.abort()
    except OSError:
        pass


def _peer_pid(writer: asyncio.StreamWriter) -> int | None:
    """Return the process that listens at the other end of a socket, by our process ids; None where that is not known.

    What a worker says of itself may be an id of another container.
    """
    if sys.platform != "linux":
        return None
    with suppress(OSError):
        credentials = writer.get_extra_info("socket").getsockopt(
            socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size
        )
        return int(_CREDENTIALS.unpack(credentials)[0]) or None
    return None


def _kill(pid: int) -> None:
    with suppress(OSError):  # gone already
        os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))  # on Windows every signal kills


def _did_not_start(status: int, last_words: str) -> WorkerError:
    return WorkerError(f"the model worker did not start ({_describe_exit(status)}){last_words and ': ' + last_words}")


def _describe_exit(status: int) -> str:
    if status < 0:
        name = signal.Signals(-status).name if -status in set(signal.Signals) else f"signal {-status}"
        return f"killed by {name}" + (", perhaps for want of memory" if name == "SIGKILL" else "")
    return f"exit status {status}"


def _last_line(words: bytes) -> str:
    lines = [line.strip() for line in words.decode("utf-8", "replace").splitlines()]
    return next((line for line in reversed(lines) if line), "")
