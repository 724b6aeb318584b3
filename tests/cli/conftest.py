"""A real, tiny model for the command line to run."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a random two-layer network that is adapted to infilling."""
    from model.checkpoint import save_checkpoint
    from tests.model.tiny import tiny_checkpoint

    path = tmp_path_factory.mktemp("models") / "tiny"
    save_checkpoint(tiny_checkpoint(), path)
    return path
