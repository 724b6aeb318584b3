"""The environment of a worker for benchmarks that compute in their own process. Knows nothing of what they measure."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from model.api.launch import clean_environment

_SET_BY_WORKERS = "GOMP_SPINCOUNT"  # OpenMP reads it before any line of ours runs


def run_as_worker(module: str, arguments: Sequence[str] | None) -> int | None:
    """Run a benchmark again in a process that has a worker's environment; return its exit status.

    Returns None where this process has that environment, or another number of turns that threads spin was asked for.
    """
    if _SET_BY_WORKERS in os.environ:
        return None
    command = [sys.executable, "-m", module, *(sys.argv[1:] if arguments is None else arguments)]
    return subprocess.run(command, env=clean_environment(os.environ), check=False).returncode
