"""How much memory a process has: what tests of leaks, and the soak, measure."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

needs_proc = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc, which only Linux has")


def resident_mb(pid: int | str = "self") -> float:
    """Return the resident memory of a process, in megabytes of a million bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
