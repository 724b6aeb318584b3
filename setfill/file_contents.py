"""Replacing what a file contains, and nothing else of it: not its owner, mode, extended attributes or other names.

A new file that takes the old one's place does so at once, and an interruption leaves one of the two. Where the new one
can't be made to look like the old, as it has hard links or belongs to someone else, the old one is overwritten, and
until that is done a copy of it lies beside it.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class ChangedError(Exception):
    """The file does not contain what it did."""


def replace(path: Path, old: bytes, new: bytes) -> None:
    """Replace the content of the regular file at `path`, which is `old`, by `new`.

    ChangedError where it is not `old` any more; OSError. Either way the file is as it was.
    """
    if not _replace_file(path, old, new):
        _overwrite(path, old, new)


def _replace_file(path: Path, old: bytes, new: bytes) -> bool:
    """Put a new file in the place of the old; False, with nothing done, where that would show in more than content."""
    if not hasattr(os, "listxattr"):  # what else belongs to a file can't be seen here
        return False
    status = path.stat()
    if status.st_nlink > 1:
        return False
    try:
        with _scratch(path.parent, f".{path.name}.", new) as scratch:
            if not _made_alike(scratch, path, status):
                return False
            if path.read_bytes() != old:
                raise ChangedError
            os.replace(scratch, path)
    except OSError:  # a folder that is closed, a file that is mounted
        return False
    _sync_folder(path.parent)
    return True


def _made_alike(scratch: Path, path: Path, status: os.stat_result) -> bool:
    if sys.platform == "win32":
        return False
    try:
        made = scratch.stat()
        if (made.st_uid, made.st_gid) != (status.st_uid, status.st_gid):
            os.chown(scratch, status.st_uid, status.st_gid)
        os.chmod(scratch, stat.S_IMODE(status.st_mode))
        for name in os.listxattr(path):
            os.setxattr(scratch, name, os.getxattr(path, name))
        return set(os.listxattr(scratch)) == set(os.listxattr(path))
    except OSError:
        return False


def _overwrite(path: Path, old: bytes, new: bytes) -> None:
    """Overwrite the file where it is. A copy of it lies beside it, or in the folder for such, until that is done."""
    descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        if path.read_bytes() != old:
            raise ChangedError
        folder = path.parent if os.access(path.parent, os.W_OK) else Path(tempfile.gettempdir())
        with _scratch(folder, f"{path.name}.before-setfill-", old):
            try:
                _put(descriptor, new)
            except BaseException:  # the disk is full, or we are to stop: what was there fits
                _put(descriptor, old)
                raise
    finally:
        os.close(descriptor)


def _put(descriptor: int, content: bytes) -> None:
    os.lseek(descriptor, 0, os.SEEK_SET)
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
    os.ftruncate(descriptor, len(content))
    os.fsync(descriptor)


@contextmanager
def _scratch(folder: Path, prefix: str, content: bytes) -> Iterator[Path]:
    """Yield a file with this content that is on the disk, and is gone afterwards."""
    descriptor, name = tempfile.mkstemp(prefix=prefix, dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Have the new name outlive a power cut, where folders can be synced."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)
