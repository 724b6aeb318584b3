"""Python without what only POSIX systems have: `python -P tests/without_posix.py SCRIPT ARGUMENTS`, or `-m MODULE ...`.

A stand-in for Windows where there is none: what is taken away here is absent there. The standard library is Linux's
and keeps what it has bound already, and what libraries use because `sys.platform` says Linux stays (filelock's
os.fchmod, numpy's os.uname). So this shows what our code leans on, not that Windows works. Python started by our code,
which calls it `sys.executable`, comes here too: SETFILL_TEST_PYTHON names a script that does that.
"""

from __future__ import annotations

import asyncio
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

MODULES = ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "curses", "readline")
NAMES: dict[Any, tuple[str, ...]] = {
    os: (
        *("getuid", "geteuid", "getgid", "getegid", "getresuid", "getgroups", "getlogin", "setuid", "setgroups"),
        *("getpgid", "getpgrp", "killpg", "setsid", "setpgid", "fork", "forkpty", "nice", "wait", "wait3", "wait4"),
        *("fchown", "chown", "lchown", "chroot", "mkfifo", "mknod", "statvfs", "fstatvfs", "pathconf"),
        *("getxattr", "setxattr", "listxattr", "removexattr", "sendfile", "pread", "pwrite", "readv", "writev"),
        *("sched_getaffinity", "sched_setaffinity", "getloadavg", "sysconf", "ctermid", "openpty", "memfd_create"),
        *("O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK", "O_DIRECTORY", "O_SYNC", "EX_OK", "EX_SOFTWARE", "EX_USAGE"),
    ),
    signal: ("SIGKILL", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGSTOP", "SIGCONT", "alarm"),
    socket: ("AF_UNIX", "SO_PEERCRED", "sethostname"),
    select: ("poll", "epoll"),
    asyncio: ("open_unix_connection", "start_unix_server", "SelectorEventLoop"),
}  # fmt: skip


def refuse(*arguments: Any, **named: Any) -> Any:
    raise NotImplementedError


def take_away() -> None:
    """Take all of it away, now that the standard library has been loaded."""
    socket.socketpair = partial(socket.socketpair, socket.AF_UNIX)  # Windows has it too, of another family
    for module in MODULES:
        sys.modules[module] = None  # type: ignore[assignment]
    for owner, names in NAMES.items():
        for name in names:
            if hasattr(owner, name):
                delattr(owner, name)
    loops = asyncio.unix_events._UnixSelectorEventLoop  # type: ignore[attr-defined]
    for name in ("connect_read_pipe", "connect_write_pipe", "add_signal_handler", "create_unix_connection"):
        setattr(loops, name, refuse)
    subprocess.Popen.kill = lambda self: self.send_signal(9)  # type: ignore[method-assign]


def main(arguments: list[str]) -> None:
    """Run a script or a module as Python would."""
    while arguments[0].startswith("-") and arguments[0] != "-m":
        arguments.pop(0)  # -P: how this one was started
    take_away()
    sys.executable = os.environ["SETFILL_TEST_PYTHON"]
    is_module = arguments[0] == "-m"
    target = arguments[is_module]
    sys.argv[:] = arguments[is_module:]
    if is_module:
        sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
        runpy.run_module(target, run_name="__main__", alter_sys=True)
    else:
        place = Path(target)
        sys.path.insert(0, str(place if place.is_dir() else place.parent))
        runpy.run_path(str(place), run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
