"""Which lines each test runs, and how long it takes: a mutant meets only tests that can notice it, quick ones first.

Measured by coverage.py, one test file at a time, in this process and in those that tests start, and kept in `.cache`. A
test file is measured again when it changes; of a source file that has changed since, it counts which tests ran any of
it. The module is also the pytest plugin that tells coverage.py which test is running. Knows nothing of mutants.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import coverage
import hypothesis
import pytest

_AT_ONCE = 3  # test files measured side by side
_REPORT = "MUTATION_REACH_REPORT"  # the variable that names the plugin's file
_FUNCTION = re.compile(
    r"[^\[ ]+"
)  # of "tests/test_a.py::test_b[parameters] (call)", what pytest takes for all parameters
_CONFIGURATION = """
[run]
parallel = true
sigterm = true
data_file = {folder}/data
source = {sources}
context = ${{PYTEST_CURRENT_TEST-}}
disable_warnings = no-data-collected, module-not-measured
"""


class Reach:
    """What was measured of test files. `sources` are the folders of the code in question."""

    def __init__(self, root: Path, sources: Iterable[str]) -> None:
        self._root = root
        self._sources = tuple(sources)
        self._path = root / ".cache" / "mutation-reach.json"
        self._found: dict[str, dict[str, Any]] = {}
        if self._path.exists():
            self._found = json.loads(self._path.read_text(encoding="utf-8"))

    def measure(self, tree: Path, tests: Iterable[str], left_out: Iterable[str]) -> None:
        """Measure the test files of a tree that changed since they were."""
        names = {path.relative_to(tree).as_posix() for name in tests for path in _test_files(tree / name)}
        shas = {name: sha_of(tree / name) for name in sorted(names.difference(left_out))}
        self._found = {name: found for name, found in self._found.items() if found["sha"] == shas.get(name)}
        due = [name for name in shas if name not in self._found]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for name, found in zip(due, pool.map(lambda name: _measured(tree, name, self._sources), due), strict=True):
                self._found[name] = {"sha": shas[name], **found}
                self._path.write_text(json.dumps(self._found), encoding="utf-8")
                took_s = found["took_s"]
                print(f"measured {name}: {len(took_s)} tests, {sum(took_s.values()):.0f} s", flush=True)

    def tests_of(self, file: str, line: int) -> list[tuple[str, float]]:
        """Return the test functions that run a line, with their seconds, the quickest first.

        Those that run anything of the file, where the line runs on import, none is known to run it, or it has moved.
        """
        path = self._root / file
        lines = _statement(path, line)
        exact, somehow = [], []
        for found in self._found.values():
            for test, took_s in found["took_s"].items():
                if ran := found["ran"].get(test, {}).get(file):
                    somehow.append((test, took_s))
                    if found["sources"][file] == sha_of(path) and lines.intersection(ran):
                        exact.append((test, took_s))
        return sorted(exact or somehow, key=lambda each: each[1])


def sha_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _test_files(path: Path) -> list[Path]:
    return [path] if path.is_file() else list(path.rglob("test_*.py"))


def _statement(path: Path, line: int) -> frozenset[int]:
    """Return the lines of the statement of a function at a line, its body left out; none outside of functions."""
    found: frozenset[int] = frozenset()
    for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for each in (node for statement in function.body for node in ast.walk(statement)):
                if isinstance(each, (ast.stmt, ast.excepthandler)):
                    body = getattr(each, "body", [])
                    end = body[0].lineno - 1 if body else each.end_lineno or each.lineno
                    if each.lineno <= line <= max(end, each.lineno):
                        found = frozenset(range(each.lineno, max(end, each.lineno) + 1))
    return found


def _measured(tree: Path, name: str, sources: tuple[str, ...]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="setfill-reach-") as scratch:
        folder = Path(scratch)
        configuration = folder / "coveragerc"
        listed = "".join(f"\n    {tree / source}" for source in sources)
        configuration.write_text(_CONFIGURATION.format(folder=folder, sources=listed), encoding="utf-8")
        environment = {"COVERAGE_PROCESS_START": str(configuration), _REPORT: str(folder / "report")}
        subprocess.run(
            tests_command(name), cwd=tree, env=test_environment(tree, **environment),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        measuring = coverage.Coverage(data_file=folder / "data", config_file=str(configuration))
        data_files = list(folder.glob("data.*"))
        if data_files:
            measuring.combine([str(folder)])
        took_s: dict[str, float] = json.loads((folder / "report").read_text(encoding="utf-8"))
        ran: dict[str, dict[str, list[int]]] = {}
        data = measuring.get_data()
        for path in data.measured_files():
            source = Path(path).relative_to(tree).as_posix()
            for line, contexts in data.contexts_by_lineno(path).items():
                for test in {match[0] for each in contexts if (match := _FUNCTION.match(each))}:
                    ran.setdefault(test, {}).setdefault(source, []).append(line)
        files = {source for each in ran.values() for source in each}
        return {"took_s": took_s, "ran": ran, "sources": {source: sha_of(tree / source) for source in files}}


def tests_command(*arguments: str) -> list[str]:
    """Return how tests are run for mutants: in one process, without an editor, the same each time."""
    fixed = ("-q", "-n", "0", "-p", "no:cacheprovider", "-p", __name__, "-m", "not editor", "--hypothesis-seed=0")
    return [sys.executable, "-m", "pytest", *fixed, *arguments]


def test_environment(tree: Path, **more: str) -> dict[str, str]:
    """Return the environment in which processes that tests start import the code of `tree`."""
    fixed = {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "HYPOTHESIS_STORAGE_DIRECTORY": ""}
    return {**os.environ, **fixed, **more}


# -- the plugin

_took_s: dict[str, float] = {}
_unfit: set[str] = set()  # failed, or left out


def pytest_configure() -> None:
    """That an example fails is enough to know: looking for a smaller one takes minutes."""
    hypothesis.settings.register_profile("mutation", phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate))
    hypothesis.settings.load_profile("mutation")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    if measuring := coverage.Coverage.current():
        measuring.switch_context(item.nodeid)
    return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    match = _FUNCTION.match(report.nodeid)
    assert match
    _took_s[match[0]] = _took_s.get(match[0], 0.0) + report.duration
    if report.failed:
        _unfit.add(match[0])


def pytest_sessionfinish() -> None:
    fit = {test: took_s for test, took_s in _took_s.items() if test not in _unfit}
    if report := os.environ.get(_REPORT):
        Path(report).write_text(json.dumps(fit), encoding="utf-8")
