"""What the operating system says of the processor. Imports no torch, whose own answer comes seconds later."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def cpu_flags() -> Iterator[str]:
    """Yield the names of the processor's features, as Linux has them; none elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        if line.startswith(("flags", "Features")):  # x86, ARM
            yield from line.partition(":")[2].split()
            return
