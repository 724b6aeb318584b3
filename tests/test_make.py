"""What `make` would run, on the systems that people have."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("system", "wanted"), [("Linux", "torch==2.13.0+cpu"), ("Darwin", "torch==2.13.0"), ("FreeBSD", "torch==2.13.0")]
)
def test_setup_asks_for_the_build_of_pytorch_that_exists(system: str, wanted: str, tmp_path: Path) -> None:
    uname = tmp_path / "uname"
    uname.write_text(f"#!/bin/sh\necho {system}\n", encoding="utf-8")
    uname.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    command = ["make", "--dry-run", "setup", f"VENV={tmp_path / 'venv'}"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert f'install -q "{wanted}"' in done.stdout


def test_what_is_run_once_a_week_can_be_made() -> None:
    """Nobody looks at a scheduled run that fails for years because a target has another name."""
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "slow.yml").read_text(encoding="utf-8"))
    job = workflow["jobs"]["slow"]
    assert job["steps"][-1]["run"] == "make ${{ matrix.target }}"
    for target in job["strategy"]["matrix"]["target"]:
        done = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert ".venv/bin" in done.stdout or "npm" in done.stdout
