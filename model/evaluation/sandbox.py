"""Runs a generated program that nobody has looked at, and tells whether it got to its end. On Linux only.

The program gets namespaces of its own (mounts, network, processes, IPC, and
users where we are not root): no network at all, a read-only root with only Python
and the system's libraries in it, 16 MB of scratch space in memory, no capabilities,
limits on CPU time, memory, files and processes, and a wall-clock limit that ends
everything in it. `check_isolation` tries all that before the first program is run.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from model.errors import InputError

_INSIDE = Path(__file__).with_name("sandbox_inside.py")
_SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/nix/store", "/etc/ld.so.cache")  # what Python's own libraries need
_MOST_OUTPUT_BYTES = 4 << 20


@dataclass(frozen=True)
class SandboxLimits:
    """What one program may use."""

    wall_s: float = 6.0
    cpu_s: int = 4
    memory_bytes: int = 512 << 20  # of address space, for each process
    processes: int = 4


class Ending(StrEnum):
    """How a program ended."""

    PASSED = "passed"  # it came to its end
    FAILED = "failed"
    TIMEOUT = "timeout"


@dataclass(frozen=True)
class Outcome:
    """What became of a program; `output` is the last of what it printed."""

    ending: Ending
    output: str

    @property
    def passed(self) -> bool:
        return self.ending is Ending.PASSED


class Sandbox:
    """Where programs are run.

    Raises InputError, which says why, where programs cannot be isolated, unless
    `isolated` is False: then only limits and a scratch folder are between the
    program and the machine. On other systems than Linux raises it in any case.
    """

    def __init__(self, isolated: bool = True, limits: SandboxLimits | None = None) -> None:
        _check_system()
        self.limits = limits or SandboxLimits()
        self._namespaces = _working_namespaces() if isolated else None

    @property
    def isolated(self) -> bool:
        return self._namespaces is not None

    def run(self, program: str) -> Outcome:
        """Run `program` and tell whether its last line was reached.

        After that line it prints a number drawn for this run alone, so leaving
        early, with whatever status, is not passing.
        """
        return _run(program, self._namespaces, self.limits)


def _check_system() -> None:
    if sys.platform != "linux":
        raise InputError(
            "generated programs are run on Linux only: elsewhere nothing limits what they use and do; "
            "run the evaluation on a Linux machine, or in a container or virtual machine with Linux"
        )


def _run(program: str, namespaces: tuple[str, ...] | None, limits: SandboxLimits) -> Outcome:
    nonce = secrets.token_hex(16)
    source = f"{program}\n__import__('os').write(1, b'\\n{nonce}\\n')\n".encode("utf-8", "replace")
    python = os.path.realpath(sys.executable)
    with tempfile.TemporaryDirectory(prefix="setfill-sandbox-") as root, tempfile.TemporaryFile() as output:
        settings = {
            "isolated": namespaces is not None,
            "namespaces": namespaces,
            "root": os.path.realpath(root),
            "readable": _readable(),
            "python": python,
            "limits": _limits(limits, isolated=namespaces is not None),
        }
        inside = [python, "-I", "-S", "-B", str(_INSIDE), json.dumps(settings)]
        process = subprocess.Popen(
            [*_unshare(namespaces), *inside], stdin=subprocess.PIPE, stdout=output, stderr=output,
            cwd="/", env={"PATH": os.defpath}, start_new_session=True,
        )  # fmt: skip
        ending = None
        try:
            process.communicate(source, timeout=limits.wall_s)
        except subprocess.TimeoutExpired:
            ending = Ending.TIMEOUT
        finally:
            _end(process)
        output.seek(0)
        printed = output.read(_MOST_OUTPUT_BYTES + 1).decode("utf-8", "replace")
    passed = process.returncode == 0 and f"\n{nonce}\n" in printed
    return Outcome(ending or (Ending.PASSED if passed else Ending.FAILED), printed[-2000:])


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and its group; the kernel ends what else is in its namespace."""
    if sys.platform != "win32":
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _unshare(namespaces: tuple[str, ...] | None) -> list[str]:
    if namespaces is None:
        return []
    return ["unshare", *(f"--{name}" for name in namespaces), "--fork", "--kill-child=KILL"]


def _limits(limits: SandboxLimits, isolated: bool) -> dict[str, int]:
    """Return resource limits by name. Processes are counted per user, so outside a namespace that would be all ours."""
    found = {
        "RLIMIT_CPU": limits.cpu_s,
        "RLIMIT_AS": limits.memory_bytes,
        "RLIMIT_FSIZE": _MOST_OUTPUT_BYTES,
        "RLIMIT_NOFILE": 64,
        "RLIMIT_CORE": 0,
    }
    return {**found, "RLIMIT_NPROC": limits.processes} if isolated else found


def _readable() -> list[str]:
    """Return the folders that the program may read, none inside another."""
    wanted = [*(path for path in _SYSTEM if os.path.isdir(path)), os.path.realpath(sys.base_prefix)]
    real = [path for path in wanted if not os.path.islink(path)]
    return [
        path for path in dict.fromkeys(wanted)
        if not any(path != other and path.startswith(other + "/") for other in real)
    ]  # fmt: skip


# -- is it really isolated? -------------------------------------------------------------------

_PROBE = """\
import os, socket, sys, time
def refused(action):
    try:
        action()
    except OSError:
        return True
    return False
assert refused(lambda: socket.create_connection(("127.0.0.1", {port}), 1)), "the network can be reached"
assert not os.path.exists({secret!r}), "files outside can be seen"
assert refused(lambda: open("/usr/setfill-probe", "w")), "the disk can be written to"
def fork():
    if os.fork() == 0:
        time.sleep(60)
assert refused(lambda: [fork() for _ in range({forks})]), "processes are not limited"
"""


@cache
def _working_namespaces() -> tuple[str, ...]:
    """Return the namespaces in which a probe is contained. Raises InputError with what went wrong."""
    remedy = "; give --without-isolation to run the generated programs all the same, in a machine that you can lose"
    if not shutil.which("unshare"):
        raise InputError(f"programs cannot be isolated here: that needs the program `unshare`{remedy}")
    common = ("mount", "net", "pid", "ipc", "uts")
    choices: list[tuple[str, ...]] = [("user", "map-root-user", *common)]
    if sys.platform != "win32" and os.geteuid() == 0:
        choices.insert(0, common)
    said = ""
    for namespaces in choices:
        outcome = check_isolation(namespaces)
        if outcome.passed:
            return namespaces
        said = (outcome.output.strip().splitlines() or [outcome.ending.value])[-1]
    raise InputError(f"programs cannot be isolated here ({said}){remedy}")


def check_isolation(namespaces: tuple[str, ...] | None) -> Outcome:
    """Run a program that passes only if it could not get out."""
    limits = SandboxLimits()
    with socket.create_server(("127.0.0.1", 0)) as server, tempfile.NamedTemporaryFile() as secret:
        probe = _PROBE.format(port=server.getsockname()[1], secret=secret.name, forks=limits.processes + 8)
        return _run(probe, namespaces, limits)
