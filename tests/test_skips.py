"""No test is left out silently in continuous integration."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CASES = """
import pytest

def test_that_runs():
    pass

@pytest.mark.skipif(True, reason="node is not installed")
def test_marked():
    pass

def test_calls():
    pytest.skip("no model")

@pytest.mark.skipif(True, reason="this machine cannot add int8 exactly")
def test_hardware():
    pass

@pytest.mark.slow
def test_long():
    pass

@pytest.mark.xfail(strict=True)
def test_known_to_fail():
    assert False
"""
WHOLE_FILE = 'import pytest\npytest.importorskip("no_such_module_anywhere")\n'


@pytest.mark.parametrize(
    ("environment", "code", "summary"),
    [
        ({"CI": "true"}, CASES, "1 failed, 1 passed, 2 skipped, 1 xfailed, 1 error"),
        ({}, CASES, "1 passed, 4 skipped, 1 xfailed"),
        ({"CI": "true"}, WHOLE_FILE, "1 error"),
        ({}, WHOLE_FILE, "1 skipped"),
    ],
)
def test_what_is_missing_fails_in_ci(environment: dict[str, str], code: str, summary: str, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_bytes((Path(__file__).parent / "conftest.py").read_bytes())
    (tmp_path / "test_cases.py").write_text(code, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = slow\n", encoding="utf-8")
    given = {**{name: value for name, value in os.environ.items() if name != "CI"}, **environment}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=given, capture_output=True, text=True, timeout=120)
    assert f"{summary} in " in done.stdout, done.stdout
    assert ("nothing may be missing there: node is not installed" in done.stdout) == ("1 failed" in summary)
