"""A real, tiny model, a small corpus, and a sandbox as good as this machine allows."""

from __future__ import annotations

import pytest

from model.errors import InputError
from model.evaluation.sandbox import Sandbox, SandboxLimits
from tests.training.conftest import small_corpus
from tests.worker.conftest import tiny_model, tiny_prefix_model

__all__ = ["small_corpus", "tiny_model", "tiny_prefix_model"]

LIMITS = SandboxLimits(wall_s=20, cpu_s=1)  # the machine may be busy


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    """For programs that do no harm: isolated where that can be."""
    try:
        return Sandbox(limits=LIMITS)
    except InputError:
        return Sandbox(isolated=False, limits=LIMITS)


@pytest.fixture(scope="session")
def isolation(sandbox: Sandbox) -> list[str]:
    """What a command is told on this machine: a tiny network's infills do no harm either."""
    return [] if sandbox.isolated else ["--without-isolation"]
