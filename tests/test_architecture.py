"""The invariants that ARCHITECTURE.md tells as absences."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("model", "grammars", "lsp_server", "setfill")


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted names that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
            yield node.module


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [
        ("grammars", ("model", "lsp_server", "setfill", "torch", "pygls", "lsprotocol")),
        ("model", ("lsp_server", "setfill", "pygls", "lsprotocol", "grammars")),
        ("model/api", ("torch", "model.network", "model.worker")),
        ("model/checkpoint", ("model.network", "model.sessions", "model.worker")),
        ("model/decoding", ("model.worker", "model.api.client", "model.api.wire")),
        ("lsp_server", ("torch", "model.network", "model.sessions", "model.worker", "setfill")),
    ],
)
def test_dependencies_point_one_way(folder: str, forbidden: tuple[str, ...]) -> None:
    for path in files(folder):
        for name in imports(path):
            for other in forbidden:
                assert name != other, f"{path.relative_to(ROOT)} imports {name}"
                assert not name.startswith(other + "."), f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("module", ["model.api.client", "model.store", "setfill.cli", "grammars"])
def test_importing_the_torch_free_side_brings_no_torch(module: str) -> None:
    code = f"import {module}, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_no_weights_are_pickled() -> None:
    for package in PACKAGES:
        for path in files(package):
            assert "pickle" not in set(imports(path)), path


def test_the_readme_shows_the_two_commands_first() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.index("make demo") < text.index("make test") < text.index("##")


def test_files_stay_readable() -> None:
    """A file that outgrows this is more than one thing."""
    for package in PACKAGES:
        for path in files(package):
            assert len(path.read_text(encoding="utf-8").splitlines()) <= 600, path
