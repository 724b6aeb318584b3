"""What the operating system says of the processor. Imports no torch, whose own answer comes seconds later."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def cpu_flags() -> Iterator[str]:
    """Yield the names of the processor's features, as Linux has them; none elsewhere."""
    yield from (_of_cpuinfo("flags", "Features") or "").split()  # x86, ARM


def cpu_name() -> str | None:
    """Return what the processor is called, as Linux has it."""
    return _of_cpuinfo("model name")


def usable_cores() -> int:
    """Return on how many cores this process may run."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _of_cpuinfo(*names: str) -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None  # not on Linux
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(names)), None)
