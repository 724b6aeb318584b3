"""Real, tiny models for workers to run."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a random two-layer network that is adapted to infilling."""
    return _save(tmp_path_factory.mktemp("models") / "tiny", infill=True)


@pytest.fixture(scope="session")
def tiny_prefix_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of one that sees the prefix only.

    Its answers follow from text and cursor alone: they do not depend on the
    chunks that a session's history leaves on the right stack.
    """
    return _save(tmp_path_factory.mktemp("models") / "prefix", infill=False)


def _save(path: Path, infill: bool) -> Path:
    from model.checkpoint import save_checkpoint
    from tests.model.tiny import tiny_checkpoint

    save_checkpoint(tiny_checkpoint(infill=infill), path)
    return path
