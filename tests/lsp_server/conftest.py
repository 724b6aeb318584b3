"""What the server's tests share."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.model.worker.conftest import tiny_model, tiny_prefix_model

__all__ = ["tiny_model", "tiny_prefix_model"]


@pytest.fixture(autouse=True)
def private_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing that a test leaves behind may reach, or come from, the user's own folders."""
    for name in ("STATE_HOME", "CONFIG_HOME"):
        folder = tmp_path / f".{name.lower()}"
        folder.mkdir()
        monkeypatch.setenv(f"XDG_{name}", str(folder))
    with tempfile.TemporaryDirectory(prefix="setfill-") as short:  # the path of a socket must be
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        yield


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., str]:
    """Write what the stand-in worker says; return its path, which is the name of a model."""

    def write(target: str = "", **settings: Any) -> str:
        path = tmp_path / "script.json"
        path.write_text(json.dumps({"target": target, **settings}))
        return str(path)

    return write
