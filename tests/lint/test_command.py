"""`setfill lint` as its users run it: a repository, a command line, what is printed, the exit status."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lint.formats import FORMATS
from setfill import cli
from tests.lint.conftest import Git

ROOT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("light_requirements", ROOT / ".ci" / "light_requirements.py")
assert _spec
assert _spec.loader
light_requirements = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(light_requirements)
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


FENCED = "def area(w, h):\n    return w * h\n\n\n# ```python\n```python\n"


def test_exit_statuses(git: Git, lint: Lint) -> None:
    git.commit(app__py=CLEAN)
    git.write(app__py=BROKEN)
    for arguments, status in [
        ((), 1),
        (("--exit-zero",), 0),
        (("--fail-level=never",), 0),
        (("--fail-level=note",), 1),
        (("--level", "syntax-error=warning"), 0),
        (("--level", "syntax-error=warning", "--fail-level", "warning"), 1),
        (("--level", "syntax-error=off"), 0),
        (("--max-findings=1",), 1),
    ]:
        done, out = lint("--base", "HEAD", *arguments)
        assert done == status, arguments
        assert ("[syntax-error]" in out) == ("syntax-error=off" not in arguments)
    assert lint()[0] == 0  # an empty diff


def test_what_is_refused(git: Git, lint: Lint, tmp_path: Path) -> None:
    git.commit(app__py=CLEAN)
    (tmp_path / "outside.py").write_text(BROKEN)
    (git.root / "folder").mkdir()
    for arguments, expected in [
        (("--base", "nowhere"), "git knows no commit that is called 'nowhere'"),
        (("--base", "--output=x"), "expected one argument"),
        (("--base=--output=x",), "is no name of a commit or branch"),
        (("--base", "HEAD", "--diff", "x"), "--diff and --base do not go together"),
        (("--diff", "x", "app.py"), "--diff and names of files do not go together"),
        (("--diff", "none.diff"), "cannot read none.diff: No such file"),
        (("--trust-patch", "app.py"), "--trust-patch goes with --base: of a diff or of files, settings"),
        (("--trust-patch",), "--trust-patch goes with --base"),
        (("--filter", "some"), "invalid choice: 'some'"),
        (("--level", "syntax-error"), "expected RULE=LEVEL: expected off, note, warning or error, not ''"),
        (("--level", "syntx-error=off"), "--level: there is no rule 'syntx-error'; did you mean syntax-error?"),
        (("--max-findings", "0"), "a whole number above 0"),
        (("--format", "xml"), "invalid choice: 'xml'"),
        (("--root", "none"), "none is no folder"),
        (("none.py",), "cannot read none.py: No such file"),
        ((".",), ". is a folder: name files, or give --base"),
        (("folder",), "folder is a folder: name files, or give --base"),
        ((str(tmp_path / "outside.py"),), f"is outside of {git.root}: give a folder around it with --root"),
        (("--baseline", "none.json", "app.py"), "none.json: write one with --write-baseline"),
        (("--output", "no/folder/x", "app.py"), "no/folder/x"),
    ]:
        assert expected in lint.refused(*arguments), arguments
    assert "there is no unified diff in the input" in lint.refused(diff=b"hello")
    diff = b"--- a/app.py\n+++ b/app.py\n@@ -1 +1 @@\n-a\n+b\n"
    assert "app.py is not what the diff leads to: line 1 differs: check out the commit" in lint.refused(diff=diff)
    git.write(pyproject__toml="[tool.setfill.lint]\nmax = 1\n")
    assert "there is no key 'max'" in lint.refused("app.py")


def test_a_terminal_is_not_waited_for(
    lint: Lint, git: Git, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    assert cli.run(["lint"]) == 2
    assert "say what to look at: a diff on standard input, --base REF" in capsys.readouterr().err


def test_a_patch_cannot_switch_off_its_own_check(git: Git, lint: Lint) -> None:
    """Settings, ignoring comments and the baseline are those of the base, unless the patch is trusted."""
    git.commit(app__py=CLEAN, pyproject__toml="[project]\nname = 'x'\n")
    silent = BROKEN.replace("def broken(:", "def broken(:  # setfill: ignore")
    off = "[tool.setfill.lint]\nrules = { syntax-error = 'off' }\n"
    for change, note in [
        ({"app__py": silent}, "`setfill: ignore` in lines that the patch adds counts with --trust-patch only"),
        (
            {"app__py": BROKEN, "pyproject__toml": off},
            "the settings of main count here, which are others",
        ),
        ({"app__py": BROKEN, "pyproject__toml": "[tool.setfill.lint]\nnonsense"}, "the settings of main count here"),
        (
            {"app__py": BROKEN, "__setfill__toml": "[lint]\nexclude = ['*']\n"},
            "the settings of main count here",
        ),
    ]:
        git("checkout", "-q", "-b", "topic")
        git.commit(**change)
        status, out = lint("--base", "main")
        assert status == 1
        assert note in out
        if "nonsense" not in str(change):
            assert lint("--base", "main", "--trust-patch")[0] == 0
            assert lint(diff=git("diff", "main"))[0] == 0  # there is no base to ask
        git("checkout", "-q", "main")
        git("branch", "-q", "-D", "topic")
    git.commit(pyproject__toml="[tool.setfill.lint]\npatch-suppressions = true\n")
    git.write(app__py=silent)
    assert lint("--base", "main")[0] == 0
    git.commit(pyproject__toml=off, app__py=CLEAN)
    git.write(app__py=BROKEN, pyproject__toml="")
    status, out = lint("--base", "main")
    assert status == 0
    assert "the settings of main count here" in out
    git.write(app__py=CLEAN, pyproject__toml=off + "[project]\nname = 'y'\n")
    assert "settings" not in lint("--base", "main")[1]  # what else is in the file is no matter


def test_known_findings(git: Git, lint: Lint, tmp_path: Path) -> None:
    git.commit(app__py=BROKEN)
    assert lint("app.py")[0] == 1
    assert lint("--write-baseline", "known.json", "app.py")[0] == 0
    git.write(app__py="\n\n" + BROKEN)
    status, out = lint("--baseline", "known.json", "app.py")
    assert status == 0
    assert "suppressed" in out
    (tmp_path / "known.json").write_bytes((git.root / "known.json").read_bytes())
    git("checkout", "-q", "app.py")
    git.write(app__py=BROKEN + FENCED, pyproject__toml="[tool.setfill.lint]\nbaseline = 'known.json'\n")
    assert lint("app.py")[0] == 1
    git.write(app__py=BROKEN)
    assert lint("app.py")[0] == 0
    git("add", "pyproject.toml")
    git("commit", "-q", "-m", "settings")
    git.write(new__py=BROKEN)
    git("add", "-N", "new.py")
    assert lint("--base", "HEAD", "--write-baseline", "known.json")[0] == 0
    assert lint("--base", "HEAD")[0] == 1  # the baseline is not in the base
    assert lint("--base", "HEAD", "--trust-patch")[0] == 0
    (tmp_path / "known.json").write_bytes((git.root / "known.json").read_bytes())
    assert lint("--base", "HEAD", "--baseline", "known.json")[0] == 1
    assert lint("--base", "HEAD", "--baseline", str(tmp_path / "known.json"))[0] == 0  # no patch wrote that one


def test_what_is_written(git: Git, lint: Lint, tmp_path: Path) -> None:
    git.commit(app__py=CLEAN)
    git.write(app__py=BROKEN)
    output, summary = tmp_path / "out", tmp_path / "summary.md"
    for format in FORMATS:
        status, out = lint("--base", "HEAD", "--format", format)
        assert status == 1
        assert "syntax-error" in out
        written, printed = lint(
            "--base", "HEAD", "--format", format, "--output", str(output), "--summary", str(summary)
        )
        assert (written, printed) == (1, "")
        assert output.read_text(encoding="utf-8") == out
    assert summary.read_text(encoding="utf-8").count("### ") == len(FORMATS)  # it is appended to


def test_rules_are_listed(lint: Lint) -> None:
    status, out = lint("--rules")
    assert status == 0
    assert "syntax-error (error)\n    The change brings a syntax error\n" in out
    assert "surprising-line (note, needs the model)" in out


def test_what_is_left_out_is_told(git: Git, lint: Lint) -> None:
    git.commit(a__py=CLEAN)
    git.write(b__lock="x\n", c__py=BROKEN)
    git("add", "b.lock")
    status, out = lint("--base", "HEAD")
    assert status == 0
    assert "b.lock: not looked at, as it is excluded" in out
    assert "untracked files were not looked at (1): git add -N makes them part of the change" in out


def run_outside(git: Git, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}", *arguments],
        cwd=git.root,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_without_the_model_nothing_of_it_is_imported(git: Git) -> None:
    """What .ci/light_requirements.py leaves out is not needed: it can't be imported here."""
    git.commit(app__py=CLEAN)
    git.write(app__py=BROKEN)
    left_out = [*light_requirements.MODEL_ONLY, *light_requirements.EDITOR_ONLY, "transformers", "model.worker"]
    code = f"sys.modules.update(dict.fromkeys({left_out}))\nfrom setfill import cli; sys.exit(cli.run(sys.argv[1:]))"
    done = run_outside(git, code, "lint", "--no-model", "--base", "HEAD")
    assert (done.returncode, done.stderr) == (1, "")


def test_with_a_model(git: Git, lint: Lint, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    git.commit(app__py=CLEAN)
    git.write(app__py=CLEAN + "\n\nprint(area(2, 3))\n")
    outs = set()
    for _ in range(2):
        status, out = lint("--base", "HEAD", "--model", str(tiny_model), "--format", "json", "--exit-zero", model=True)
        assert status == 0, lint.err
        outs.add(out)
    assert len(outs) == 1
    status, out = lint("--base", "HEAD", "--model", str(tiny_model), model=True)
    assert re.search(r"scored 1 line with tiny \(\w+\)", out), out
    missing = ("--base", "HEAD", "--model", "./none")
    assert lint(*missing, model=True)[0] == 2
    assert "none does not exist" in lint.err
    assert lint(*missing, "--level", "surprising-line=off", model=True)[0] == 0  # no model is asked, so none is loaded
    git.write(app__py=CLEAN)
    assert lint(*missing, model=True)[0] == 0


def test_interrupt_ends_with_130_and_leaves_no_process(git: Git, tiny_model: Path, tmp_path: Path) -> None:
    git.commit(app__py=CLEAN)
    git.write(app__py=CLEAN + "x = area(2, 3)\n" * 4000)
    # Whoever runs the tests in the background of a shell has SIGINT ignored, and so would the command.
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from setfill.entry import main; sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", code, "lint", "--base", "HEAD", "--model", str(tiny_model)],
        cwd=git.root,
        env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_RUNTIME_DIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 60
    while not (child := children.read_text().split()) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert child, process.communicate()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "")
    deadline = time.monotonic() + 30
    while Path(f"/proc/{child[0]}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{child[0]}").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no terminal of our own there")
def test_interrupt_while_lines_are_scored_shows_what_was_found(git: Git, tiny_model: Path, tmp_path: Path) -> None:
    """At a terminal: the bar shows how far it is, and what was found before the interrupt is not lost."""
    import pty

    git.commit(app__py=CLEAN)
    git.write(app__py=f"{CLEAN}<|endoftext|>\n" + "x = area(2, 3)\n" * 20_000)
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from setfill.entry import main; sys.exit(main())"
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", code, "lint", "--base", "HEAD", "--model", str(tiny_model)],
        cwd=git.root,
        env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_RUNTIME_DIR": str(tmp_path), "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    while b"scoring lines" not in shown:
        shown += os.read(ours, 4096)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    while ready := select.select([ours], [], [], 0)[0]:
        try:
            shown += os.read(ready[0], 4096)
        except OSError:  # Linux: whoever wrote there is gone
            break
    os.close(ours)
    assert process.returncode == 130
    assert b"Traceback" not in shown
    assert b"special-token" in out
    assert re.search(rb"interrupted: 0 of 20\d\d\d lines were scored", out), out
