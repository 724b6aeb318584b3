"""`setfill lint` as its users run it: a repository, a command line, what is printed, the exit status."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from setfill import cli
from tests.lint.conftest import Git

ROOT = Path(__file__).resolve().parents[2]
CLEAN = "def area(w, h):\n    return w * h\n"
BROKEN = "def area(w, h):\n    return w * h\n\n\ndef broken(:\n    pass\n"


class Lint:
    """The command, run in a work tree."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, git: Git) -> None:
        self._capsys, self._monkeypatch, self._git = capsys, monkeypatch, git
        monkeypatch.chdir(git.root)

    def __call__(self, *arguments: str, diff: bytes | None = None, model: bool = False) -> tuple[int, str]:
        """Return the exit status and what was printed."""
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(diff or b"")))
        status = cli.run(["lint", *arguments, *([] if model else ["--no-model"])])
        out, err = self._capsys.readouterr()
        self.err = err
        return status, out

    def refused(self, *arguments: str, diff: bytes | None = None) -> str:
        """Return the line that says why nothing could be looked at."""
        status, out = self(*arguments, diff=diff)
        assert (status, out) == (2, ""), self.err
        assert self.err.count("\n") == 1
        return self.err


@pytest.fixture
def lint(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, git: Git) -> Lint:
    return Lint(capsys, monkeypatch, git)


def test_a_patch_from_everywhere(git: Git, lint: Lint, tmp_path: Path) -> None:
    """Standard input, a file, a commit and names of files: the same is found."""
    git.commit(app__py=CLEAN)
    git.write(app__py=BROKEN)
    diff = git("diff")
    (tmp_path / "x.diff").write_bytes(diff)
    for arguments in [
        (),
        ("--diff", "-"),
        ("--diff", str(tmp_path / "x.diff")),
        ("--base", "HEAD"),
        ("--base", "main", "app.py"),
        ("--base", "HEAD", "--root", str(git.root)),
        ("app.py",),
        (str(git.root / "app.py"),),
    ]:
        status, out = lint(*arguments, diff=diff)
        assert status == 1, arguments
        assert "app.py:5:" in out
        assert "[syntax-error]" in out
    assert lint("--base", "HEAD", "other.py")[0] == 0
    git.write(app__py=CLEAN)
    for arguments in [("--base", "HEAD"), (), ("app.py",)]:
        assert lint(*arguments)[0] == 0


def test_no_torch_without_the_model(git: Git) -> None:
    git.commit(app__py=CLEAN)
    git.write(app__py=BROKEN)
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); from setfill import cli; status = cli.run(sys.argv[1:]); "
        "heavy = {'torch', 'tokenizers', 'numpy', 'transformers', 'model.worker'} & set(sys.modules); "
        "assert not heavy, heavy; sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT), "lint", "--no-model", "--base", "HEAD"],
        cwd=git.root,
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    assert (done.returncode, done.stderr) == (1, "")
