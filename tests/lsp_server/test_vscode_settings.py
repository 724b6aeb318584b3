"""The VS Code extension offers the server's settings, and no others under their names."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

EXTENSION = Path(__file__).resolve().parents[2] / "vscode-client"
SCRIPT = EXTENSION / "settings_from_server.py"


def check(folder: Path) -> int:
    return subprocess.run([sys.executable, folder / SCRIPT.name, "--check"], check=False).returncode


def test_the_manifest_has_the_settings_of_the_server() -> None:
    assert check(EXTENSION) == 0


def test_a_manifest_that_differs_is_found(tmp_path: Path) -> None:
    manifest = json.loads((EXTENSION / "package.json").read_text(encoding="utf-8"))
    manifest["contributes"]["configuration"]["properties"]["setfill.maxLines"]["default"] = 11
    folder = tmp_path / "vscode-client"
    folder.mkdir()
    (folder / "package.json").write_text(json.dumps(manifest), encoding="utf-8")
    (folder / SCRIPT.name).write_text(SCRIPT.read_text(encoding="utf-8"), encoding="utf-8")
    assert check(folder) == 1
