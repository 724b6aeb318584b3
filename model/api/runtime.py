"""Where a shared worker is met: the runtime directory, the socket's name, the lock beside it.

Anyone who can write to the socket can read what its clients edit, so the
directory must belong to this user and be closed to all others.
"""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from model.api.wire import PROTOCOL
from model.errors import WorkerError

_LONGEST_SOCKET_PATH = 100  # bytes; the kernel's limit is 108 on Linux and 104 on macOS


def package_version() -> str:
    """Return the version of the installed setfill, or `0` in a checkout that is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("setfill")
    except PackageNotFoundError:
        return "0"


def has_sockets() -> bool:
    """Return whether processes can meet on Unix sockets here, which asyncio cannot do on Windows."""
    return sys.platform != "win32" and hasattr(socket, "AF_UNIX")


def runtime_dir() -> Path:
    """Return the per-user directory for sockets, made with mode 0700 where it is missing.

    `$XDG_RUNTIME_DIR/setfill`, or `setfill-UID` in the temporary directory.
    WorkerError when it belongs to another user or is no directory, or where there are no sockets.
    """
    if sys.platform == "win32":
        raise WorkerError("there are no Unix sockets on Windows: a model worker cannot be shared")
    user = os.getuid()
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    # After `sudo` or `su` the variable may still name the directory of the user before.
    if os.path.isabs(base) and os.path.isdir(base) and os.stat(base).st_uid == user:
        return _private_dir(Path(base, "setfill"), user)
    return _private_dir(Path(tempfile.gettempdir(), f"setfill-{user}"), user)


def _private_dir(path: Path, user: int) -> Path:
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        status = path.lstat()  # not stat: a link could lead anywhere
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != user:
            raise WorkerError(
                f"{path} is not a directory of yours: "
                "remove it, or set XDG_RUNTIME_DIR to a directory that only you can use"
            )
        if stat.S_IMODE(status.st_mode) != 0o700:
            path.chmod(0o700)
    except OSError as error:
        raise WorkerError(f"cannot use the runtime directory {path}: {error.strerror}; set XDG_RUNTIME_DIR") from None
    return path


@dataclass(frozen=True)
class MeetingPoint:
    """The files of one shared worker."""

    socket: Path
    lock: Path  # held by the worker for as long as it lives; never removed, or two could hold it
    log: Path


def meeting_point(model: str, settings: tuple[object, ...] = ()) -> MeetingPoint:
    """Return where the worker for `model` is met by clients of this package version.

    `settings` are what else makes two workers differ. WorkerError when there is no safe place.
    """
    identity = repr((PROTOCOL, model, package_version(), settings))
    key = hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    directory = runtime_dir()
    point = MeetingPoint(*(directory / f"worker-{key}.{ending}" for ending in ("sock", "lock", "log")))
    if len(os.fsencode(point.socket)) > _LONGEST_SOCKET_PATH:
        raise WorkerError(f"the path {point.socket} is too long for a socket: set XDG_RUNTIME_DIR to a shorter one")
    return point


def take_lock(path: Path) -> FileLock | None:
    """Lock `path` for the life of the object returned; None when another process holds it."""
    lock = FileLock(path, mode=0o600)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    return lock
