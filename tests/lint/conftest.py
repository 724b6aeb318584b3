"""Repositories to look at, made by the real git, which knows nothing of whoever runs the tests."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.model.worker.conftest import tiny_model

__all__ = ["tiny_model"]


class Git:
    """A work tree that a test commits to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self("init", "-q", "-b", "main")

    def __call__(self, *arguments: str) -> bytes:
        done = subprocess.run(["git", *arguments], cwd=self.root, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def write(self, **files: str | bytes) -> None:
        """Write files; `__` in a name is a dot, and `_in_` a slash."""
        for name, content in files.items():
            path = self.root / name.replace("_in_", "/").replace("__", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, **files: str | bytes) -> str:
        self.write(**files)
        self("add", "-A")
        self("commit", "-q", "--allow-empty", "-m", "change")
        return self("rev-parse", "HEAD").decode().strip()


@pytest.fixture(autouse=True)
def plain_git(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "n")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "n@example.org")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path_factory.getbasetemp()))


@pytest.fixture
def git(tmp_path: Path) -> Git:
    return Git(tmp_path / "work")
