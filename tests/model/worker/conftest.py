"""Real, tiny models for workers to run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def runtime_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime directory of the test's own; its path is short, as paths of sockets have to be."""
    with tempfile.TemporaryDirectory(prefix="setfill-") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder) / "setfill"


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a random two-layer network that is adapted to infilling."""
    return _save(tmp_path_factory.mktemp("models") / "tiny", adapted=True)


@pytest.fixture(scope="session")
def tiny_prefix_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of one that sees the prefix only.

    Its answers follow from text and cursor alone: they do not depend on the
    chunks that a session's history leaves on the right stack.
    """
    return _save(tmp_path_factory.mktemp("models") / "prefix", adapted=False)


def _save(path: Path, adapted: bool) -> Path:
    from model.checkpoint.own_format import save_checkpoint
    from tests.model.tiny import tiny_checkpoint

    save_checkpoint(tiny_checkpoint(adapted=adapted), path)
    return path
