"""The code that runs is ours: from a folder with packages of the same names, and with PYTHONPATH set to it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from setfill import entry

ROOT = Path(__file__).resolve().parents[2]
TRAP = "raise SystemExit('the code of the folder was run')\n"


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder whose tree has our names, and some of the standard library's and our dependencies'."""
    for name in ("model", "grammars", "lsp_server", "rich", "msgpack"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(TRAP)
    for name in ("argparse", "asyncio", "json", "logging", "torch"):
        (tmp_path / f"{name}.py").write_text(TRAP)
    (tmp_path / "code.py").write_text("x = 1\n")
    return tmp_path


def run_from(folder: Path, *command: str, pythonpath: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    if pythonpath is not None:
        environment["PYTHONPATH"] = pythonpath
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


def start(first_on_path: str) -> list[str]:
    """Start as a console script does, with `first_on_path` in front as `python -m` has the working directory."""
    code = f"import sys; sys.path[:0] = [{first_on_path!r}]; sys.path.append({str(ROOT)!r}); "
    code += "import importlib.util as u; s = u.spec_from_file_location('setfill.entry', "
    code += f"{str(ROOT / 'setfill' / 'entry.py')!r}); m = u.module_from_spec(s); s.loader.exec_module(m); "
    return [sys.executable, "-c", code + "sys.exit(m.main())"]


@pytest.mark.parametrize("way", ["", "."])
def test_a_folder_with_packages_of_our_names(hostile: Path, way: str) -> None:
    for first in ("", str(hostile)):
        done = run_from(hostile, *start(first), "--version", pythonpath=way or str(hostile))
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("setfill ")


def test_a_package_that_is_missing_is_named(tmp_path: Path) -> None:
    """Of an installation without its dependencies Python's traceback was all that there was to see."""
    python, option, code = start("")
    done = run_from(tmp_path, python, option, f"import sys; sys.modules['rich'] = None; {code}", "--version")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "setfill: error: the package rich is missing: install setfill again, with all it needs\n"


def test_the_worker_too(hostile: Path) -> None:
    """`doctor` starts a worker; that the model is missing is the only thing wrong."""
    done = run_from(hostile, *start(""), "doctor", "--model", "/nowhere/at/all", pythonpath=str(hostile))
    lines = done.stdout.splitlines()
    assert done.returncode == 1, done.stderr
    assert [line for line in lines if line.startswith("wrong")] == [lines[5]]
    assert lines[5].startswith("wrong model      /nowhere/at/all does not exist")
    assert lines[6].startswith("ok    worker     process")


@pytest.mark.parametrize("as_file", [False, True])
def test_a_package_of_our_name_that_comes_first_is_told(tmp_path: Path, as_file: bool) -> None:
    if as_file:
        (tmp_path / "model.py").write_text(TRAP)
    else:
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "__init__.py").write_text(TRAP)
    done = run_from(ROOT.parent, *start(str(tmp_path)), "--version")  # neither PYTHONPATH nor the working directory
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"{tmp_path}/model{'.py' * as_file} hides setfill's own package `model`" in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_is_dropped_from_the_import_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    library = os.path.dirname(os.__file__)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["/theirs", library, str(ROOT), ""]))

    def check(path: list[str], expected: list[str]) -> None:
        assert entry._trusted(path, str(ROOT)) == expected

    check(["", "/theirs", library, str(ROOT)], [library, str(ROOT)])
    check([str(tmp_path), "/other", library], [str(ROOT), "/other", library])
    check([".", str(ROOT), "/other"], [str(ROOT), "/other"])


def check_without(modules: set[str], code: str) -> None:
    done = run_from(ROOT, sys.executable, "-c", f"{code}\nimport sys\nassert not {modules} & {{*sys.modules}}")
    assert (done.returncode, done.stderr) == (0, "")


def test_client_and_command_line_import_no_torch() -> None:
    check_without({"torch"}, "import model.api.client, model.store")
    check_without({"torch"}, "import setfill.cli\nassert setfill.cli.run(['models', 'list']) == 0")
    check_without({"torch"}, "import model.worker.process, model.worker.server")


def test_who_uses_no_teams_service_imports_none_of_it(tmp_path: Path) -> None:
    of_teams = {"ray", "starlette", "websockets", "model.api.remote", "model.service.application"}
    check_without(of_teams, "import lsp_server.run, lsp_server.server, model.worker.process, model.worker.engine")
    (tmp_path / "app.py").write_text("value = \n")
    commands = [["lint", str(tmp_path / "app.py"), "--no-model", "--root", str(tmp_path)], ["models", "list"]]
    check_without(of_teams, f"from setfill import cli\nfor each in {commands}:\n    assert cli.run(each) in (0, 1)")
