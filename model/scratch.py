"""Directories that appear whole or not at all: built in a scratch folder beside their place, then renamed into it."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SCRATCH_PREFIX = ".setfill-"
ABANDONED_AFTER_SECONDS = 24 * 3600  # of a scratch folder whose process was killed


@contextmanager
def scratch_directory(parent: Path) -> Iterator[Path]:
    """Yield a new folder in `parent`, on its file system so that renames are atomic; it goes whatever happens."""
    scratch = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX, dir=parent))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def remove_abandoned(parent: Path) -> None:
    """Delete the scratch folders that killed processes left in `parent`."""
    for scratch in parent.glob(f"{SCRATCH_PREFIX}*"):
        try:
            age_seconds = time.time() - scratch.stat().st_mtime
        except FileNotFoundError:  # not abandoned: its owner just finished
            continue
        if age_seconds > ABANDONED_AFTER_SECONDS:
            shutil.rmtree(scratch, ignore_errors=True)


def move_into_place(built: Path, directory: Path, scratch: Path) -> None:
    """Rename a finished directory to its name, replacing what is there; of several writers, the last one stays.

    Raises OSError.
    """
    for attempt in range(100):
        try:
            built.rename(directory)
            return
        except OSError:
            if not directory.exists():
                raise
        try:  # a directory is only renamed over an empty one: take the old one away, unless another writer just did
            directory.rename(scratch / f"replaced-{attempt}")
        except FileNotFoundError:
            pass
    raise OSError(f"{directory} is being replaced by others all the time")
