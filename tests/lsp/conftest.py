"""What the server's tests share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.worker.conftest import tiny_model, tiny_prefix_model

__all__ = ["tiny_model", "tiny_prefix_model"]


@pytest.fixture(autouse=True)
def private_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that a test leaves behind may reach, or come from, the user's own folders."""
    for name in ("RUNTIME_DIR", "STATE_HOME", "CONFIG_HOME"):
        folder = tmp_path / f".{name.lower()}"
        folder.mkdir()
        monkeypatch.setenv(f"XDG_{name}", str(folder))


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., str]:
    """Write what the stand-in worker says; return its path, which is the name of a model."""

    def write(target: str = "", **settings: Any) -> str:
        path = tmp_path / "script.json"
        path.write_text(json.dumps({"target": target, **settings}))
        return str(path)

    return write


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "editor: drives a real editor, which is fetched into .cache/editors")
