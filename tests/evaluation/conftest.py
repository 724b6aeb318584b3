"""A real, tiny model, a small corpus, and a sandbox as good as this machine allows."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from model.evaluation.sandbox import Sandbox, SandboxLimits
from tests.model.worker.conftest import tiny_model, tiny_prefix_model
from tests.training.conftest import small_corpus

__all__ = ["small_corpus", "tiny_model", "tiny_prefix_model"]

LIMITS = SandboxLimits(wall_s=20, cpu_s=1)  # the machine may be busy


def kernel_isolates() -> bool:
    """Whether this machine can isolate programs: found out without our sandbox, whose faults are no such inability."""
    namespaces = ["--mount", "--net", "--pid", "--ipc", "--uts", "--fork"]
    users = [[], ["--user", "--map-root-user"]] if os.geteuid() == 0 else [["--user", "--map-root-user"]]
    inside = ["mount", "-t", "tmpfs", "none", "/mnt"]  # what containers refuse most often
    return shutil.which("unshare") is not None and any(
        subprocess.run(["unshare", *user, *namespaces, *inside], capture_output=True).returncode == 0 for user in users
    )


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    """For programs that do no harm: isolated wherever that can be."""
    if kernel_isolates():
        return Sandbox(limits=LIMITS)  # which must not refuse
    return Sandbox(isolated=False, limits=LIMITS)


@pytest.fixture(scope="session")
def isolation(sandbox: Sandbox) -> list[str]:
    """What a command is told on this machine: a tiny network's infills do no harm either."""
    return [] if sandbox.isolated else ["--without-isolation"]
