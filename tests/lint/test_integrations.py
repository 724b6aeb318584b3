"""The GitHub action, the pre-commit hook and what the documentation says of them, run as their services run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from lint.settings import Settings
from setfill import cli
from tests.lint.conftest import Git

ROOT = Path(__file__).resolve().parents[2]
ACTION: Any = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS: dict[str, Any] = {step.get("name", step.get("uses")): step for step in ACTION["runs"]["steps"]}
BROKEN = "def f(:\n"


def test_nothing_is_interpolated_into_scripts() -> None:
    for step in STEPS.values():
        assert "${{" not in step.get("run", "")
        assert ("run" in step) == ("shell" in step)
    expressions = re.findall(r"\$\{\{ inputs\.([a-z-]+) \}\}", str(STEPS))
    assert set(expressions) == set(ACTION["inputs"])


def run_lint_step(git: Git, tmp_path: Path, inputs: dict[str, str], **environment: str) -> tuple[int, str, str]:
    """Run the action's last step as a runner does; return its status, what it printed and its outputs."""
    values = {name: given["default"] for name, given in ACTION["inputs"].items()} | inputs
    step = STEPS["Lint"]

    def value_of(expression: str) -> str:
        found = re.fullmatch(r"\$\{\{ inputs\.([a-z-]+) \}\}", expression)
        return values[found[1]] if found else ""

    launcher = tmp_path / "setfill" / "bin" / "setfill"
    launcher.parent.mkdir(parents=True, exist_ok=True)
    launcher.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -P -m setfill "$@"\n')
    launcher.chmod(0o755)
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=git.root,
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            **{name: value_of(expression) for name, expression in step["env"].items()},
            "RUNNER_TEMP": str(tmp_path),
            "GITHUB_OUTPUT": str(tmp_path / "output"),
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
            **environment,
        },
    )
    return done.returncode, done.stdout + done.stderr, (tmp_path / "output").read_text()


def test_the_action_annotates_a_pull_request(git: Git, tmp_path: Path) -> None:
    git.commit(app__py="x = 1\n")
    git("update-ref", "refs/remotes/origin/main", "HEAD")
    git.commit(app__py=BROKEN)
    status, out, output = run_lint_step(git, tmp_path, {}, GITHUB_BASE_REF="main")
    assert status == 1, out
    assert out.startswith("::error file=app.py,line=1,")
    assert output == "status=1\n"
    assert "syntax" in (tmp_path / "summary").read_text()
    for base in ({}, {"EVENT_BASE": "0" * 40}, {"EVENT_BASE": git("rev-parse", "HEAD~1").decode().strip()}):
        assert run_lint_step(git, tmp_path, {}, **base)[0] == 1  # a push
    assert run_lint_step(git, tmp_path, {"base": "HEAD"})[0] == 0
    assert run_lint_step(git, tmp_path, {"fail-level": "never"}, GITHUB_BASE_REF="main")[0] == 0
    status, out, _ = run_lint_step(git, tmp_path, {}, GITHUB_BASE_REF="none")
    assert status == 2
    assert "git knows no commit that is called 'origin/none'" in out


@pytest.mark.parametrize("name", ["base", "fail-level", "max-findings"])
def test_inputs_are_never_run(git: Git, tmp_path: Path, name: str) -> None:
    git.commit(app__py="x = 1\n")
    for value in (
        "$(touch was-run)",
        "`touch was-run`",
        "; touch was-run",
        '"; touch was-run; "',
        "HEAD --output=was-run",
    ):
        status, out, _ = run_lint_step(git, tmp_path, {name: value})
        assert status == 2, out
        assert not (git.root / "was-run").exists()


def test_the_hook_looks_at_what_is_to_be_committed(git: Git) -> None:
    [hook] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    program, *arguments = hook["entry"].split()
    assert program == "setfill"

    def status() -> int:
        command = [sys.executable, "-P", "-m", "setfill", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, cwd=git.root, env=environment, capture_output=True, check=False).returncode

    git.write(app__py=BROKEN)
    git("add", "app.py")
    assert status() == 1  # also before the first commit
    git.commit()
    assert status() == 0
    git.write(other__py="def f(:  # setfill: ignore\n")
    git("add", "other.py")
    assert status() == 0


def test_the_page_names_every_setting_and_options_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    section = page[page.index("## Settings") : page.index("## Keeping")]
    assert set(re.findall(r"^\| `([a-z-]+)` \| .* \| .* \|$", section, re.MULTILINE)) == {
        each.name.replace("_", "-") for each in fields(Settings)
    }
    assert cli.run(["lint", "--help"]) == 0
    helped = capsys.readouterr().out
    for option in re.findall(r"(?<![\w-])--(?!cc)[a-z]+(?:-[a-z]+)*", page):
        assert option in helped, f"docs/ci.md names {option}"


def test_what_the_light_installation_has() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "light_requirements.py")], capture_output=True, text=True, check=True
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    left_out = set(project["dependencies"]) - set(done.stdout.splitlines())
    assert sorted(re.split(r"\W", each)[0] for each in left_out) == [
        "numpy",
        "pygls",
        "safetensors",
        "tokenizers",
        "torch",
        "websockets",
    ]
