"""How much the tests notice: random small changes of the code, and the share of them that some test fails for.

    make mutation                                        100 mutants drawn with seed 0
    python -m tests.mutation --count 40 --seed 3 --files 'lsp_server/*' --minutes 30

cosmic-ray knows how to change a file; this draws which changes to try, for all of them would take weeks. Places are
drawn, then one change at each: a `+` that can become ten other operators counts once. Left out is what nothing could
notice, or should: annotations, what is logged, `__repr__`, how long is waited, what only makes a mistake loud. Mutants
that `mutation.toml` lists as equivalent, with the reason, are counted apart.

A mutant meets the tests that run its line (`mutation_reach`), the quickest first, until one fails; when they run on
without end, it counts as noticed. What was found is kept in `.cache`: what was noticed, for as long as the changed file
stays the same, what was not, for as long as the tests do. So a run that was interrupted goes on, and after new tests
only survivors are tried. Changes are made in a worktree of the last commit, so the working tree stays as it is.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import fnmatch
import json
import math
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.mutation_reach import Reach, sha_of, test_environment, tests_command

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache"
CONFIGURATION = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
SLOWEST_TIMES, LEAST_LIMIT_S = (
    4,
    60,
)  # a mutant may compute so many times as long as unchanged code, and so long at least
_BUSY_S = 0.5  # a test that takes so long may wait for a process
WAITING_TIMES = 8  # and take so many times that, for tests also wait, and share their machine


@dataclass(frozen=True)
class Mutant:
    """One small change: the `occurrence`-th place in a file where an operator of cosmic-ray applies."""

    file: str
    line: int
    operator: str
    occurrence: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.operator} #{self.occurrence}"

    @property
    def folder(self) -> str:
        return self.file.rpartition("/")[0]


@dataclass(frozen=True)
class Result:
    """What became of a mutant. `by`: the test that failed, as pytest names it."""

    noticed: bool
    by: str
    diff: str

    @property
    def reason(self) -> str | None:
        """Why no test can notice it, if it is listed as equivalent."""
        header, _, *lines = self.diff.splitlines()
        changed = {line[0]: line[1:].strip() for line in lines if line[:1] in ("-", "+")}
        for each in CONFIGURATION["equivalent"]:
            listed = f"--- {each['file']}", each["was"], each["becomes"]
            if listed == (header, changed.get("-"), changed.get("+", "")):
                return str(each["why"])
        return None


class Kept:
    """What earlier runs found: in a file that is only added to."""

    def __init__(self, path: Path, tests: str) -> None:
        self.results: dict[Mutant, Result] = {}
        self._path, self._tests = path, tests
        path.parent.mkdir(parents=True, exist_ok=True)
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            fields = json.loads(line)
            source = ROOT / fields["mutant"]["file"]
            if source.exists() and fields["source"] == sha_of(source):
                result = Result(**fields["result"])
                if result.noticed or fields["tests"] == tests:
                    self.results[Mutant(**fields["mutant"])] = result

    def add(self, mutant: Mutant, result: Result) -> None:
        self.results[mutant] = result
        source = sha_of(ROOT / mutant.file)
        fields = {"mutant": asdict(mutant), "source": source, "tests": self._tests, "result": asdict(result)}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(fields) + "\n")


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped: run it again to go on"))  # and leave nothing behind
    until = time.monotonic() + 60 * options.minutes
    drawn = _drawn(options.files, options.count, options.seed)
    kept = Kept(CACHE / "mutation.jsonl", _git("rev-parse", "--short=12", "HEAD:tests"))
    reach = Reach(ROOT, CONFIGURATION["folders"])
    with _worktree() as tree:
        reach.measure(tree, CONFIGURATION["tests"], CONFIGURATION["left_out"])
        for number, mutant in enumerate(drawn, start=1):
            if time.monotonic() > until:
                print(f"out of time after {number - 1} of {len(drawn)}: run it again to go on")
                drawn = drawn[: number - 1]
                break
            if mutant not in kept.results:
                kept.add(mutant, _try(tree, mutant, _within(reach.tests_of(mutant.file, mutant.line), options.seconds)))
            result = kept.results[mutant]
            state = "noticed " if result.noticed else "equal   " if result.reason else "SURVIVED"
            print(f"{number:4} {state} {mutant} {result.by}", flush=True)
    _print_report({mutant: kept.results[mutant] for mutant in drawn})
    return 0


def _print_report(results: dict[Mutant, Result]) -> None:
    survivors = [result for result in results.values() if not result.noticed]
    for result in survivors:
        print(f"\n{result.diff}" + (f"\nequivalent: {result.reason}" if result.reason else ""))
    equivalent = sum(result.reason is not None for result in survivors)
    print(f"\n{len(results)} mutants, of which {equivalent} are listed as equivalent and not counted below")
    counted = {mutant: result.noticed for mutant, result in results.items() if result.noticed or not result.reason}
    folders = Counter((mutant.folder, noticed) for mutant, noticed in counted.items())
    for folder in sorted({folder for folder, _ in folders}):
        _print_score(folder, folders[folder, True], folders[folder, False])
    _print_score("all", sum(counted.values()), len(counted) - sum(counted.values()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=str(__doc__).split("\n")[0])
    parser.add_argument("--count", type=int, default=100, help="mutants to try (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the drawing (default: %(default)s)")
    parser.add_argument("--files", default="*", help="only files of this pattern")
    parser.add_argument(
        "--seconds", type=float, default=math.inf, help="no more than so many seconds of tests a mutant"
    )
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no mutant after so many minutes")
    return parser


def _drawn(pattern: str, count: int, seed: int) -> list[Mutant]:
    """Return mutants at `count` places drawn from all."""
    places: dict[tuple[Any, ...], list[Mutant]] = {}
    for place, mutant in _mutants(pattern):
        places.setdefault(place, []).append(mutant)
    chance = random.Random(seed)
    keys = chance.sample(list(places), min(count, len(places)))
    print(f"{len(places)} places, of which {len(keys)} drawn with seed {seed}", flush=True)
    return [chance.choice(places[key]) for key in keys]


def _mutants(pattern: str) -> Iterator[tuple[tuple[Any, ...], Mutant]]:
    """Yield every mutant with its place: file, where in it, and what kind of thing stands there.

    What `cosmic-ray init` does, but for its database, and with one walk through each file: it takes seconds.
    """
    from cosmic_ray.ast import ast_nodes, get_ast_from_path
    from cosmic_ray.plugins import get_operator, operator_names

    operators = {name: get_operator(name)() for name in operator_names() if not get_operator(name).arguments()}
    paths = sorted(path for folder in CONFIGURATION["folders"] for path in (ROOT / folder).glob("*.py"))
    for path in paths:
        file = path.relative_to(ROOT).as_posix()
        if not fnmatch.fnmatch(file, pattern):
            continue
        silent = list(_silent(path))
        nodes = list(ast_nodes(get_ast_from_path(path)))
        for name, operator in sorted(operators.items()):
            found = (start for node in nodes for start, _ in operator.mutation_positions(node))
            for occurrence, start in enumerate(found):
                if not any(begin <= start < end for begin, end in silent):
                    yield (file, start, name.partition("_")[0]), Mutant(file, start[0], name, occurrence)


# Arguments that change no result of a right program: they refuse mistakes, or say how long is waited, how much is kept.
_SILENT_ARGUMENTS = ("frozen", "slots", "repr", "eq", "kw_only", "strict", "timeout", "maxsize", "daemon")
_SILENT_NAMES = ("seconds", "timeout", "_s", "_ms")  # how the names of constants end that say how long is waited
_SIZE = 10  # the least number of a constant that is a size: by such a one more or less nothing goes wrong
_SILENT_FUNCTIONS = ("__repr__", "__str__")


def _silent(path: Path) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield where the parts of a file begin and end, by line and column, whose changes no test need notice."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        for each in _silent_parts(node):
            if each is not None:
                yield (each.lineno, each.col_offset), (each.end_lineno or 0, each.end_col_offset or 0)


def _is_size(constant: ast.Assign | ast.AnnAssign) -> bool:
    """Whether a constant says how long something is waited for, or how much there may be of it: one more or less."""
    targets = constant.targets if isinstance(constant, ast.Assign) else [constant.target]
    is_time = any(ast.unparse(target).lower().endswith(_SILENT_NAMES) for target in targets)
    value = constant.value.value if isinstance(constant.value, ast.Constant) else None
    return isinstance(value, (int, float)) and not isinstance(value, bool) and (is_time or value >= _SIZE)


def _silent_parts(node: ast.AST) -> Iterator[ast.expr | ast.stmt | None]:
    if isinstance(node, (ast.arg, ast.AnnAssign)):
        yield node.annotation
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        yield node.returns
        if node.name in _SILENT_FUNCTIONS:
            yield node
        yield from (each for each in node.decorator_list if "cache" in ast.unparse(each))
    elif isinstance(node, (ast.Module, ast.ClassDef)):
        yield from (
            each.value for each in node.body if isinstance(each, (ast.Assign, ast.AnnAssign)) and _is_size(each)
        )
    elif isinstance(node, ast.Call):
        if ast.unparse(node.func).startswith("logger."):
            yield node
        yield from (each.value for each in node.keywords if each.arg in _SILENT_ARGUMENTS)


@contextmanager
def _worktree() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="setfill-mutation-") as folder:
        tree = Path(folder) / "tree"
        subprocess.run(["git", "worktree", "add", "--detach", tree], cwd=ROOT, check=True, capture_output=True)
        try:
            yield tree
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=ROOT, check=True)


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def _within(tests: list[tuple[str, float]], seconds: float) -> dict[str, float]:
    """Return tests with their seconds from a list of them, as many as fit into the time, one at least."""
    chosen: dict[str, float] = {}
    for test, took_s in tests:
        if not chosen or sum(chosen.values()) + took_s <= seconds:
            chosen[test] = took_s
    return chosen


def _surely_failing(tree: Path, tests: dict[str, float]) -> str | None:
    """Return what pytest says of the first test that fails, None when all pass.

    Tests of processes may fail when the machine is busy with other things: such a one has to fail twice.
    """
    left = list(tests)
    while left and (failing := _failing(tree, {test: tests[test] for test in left})):
        name = failing.partition(" ")[2].partition("[")[0].partition(" ")[0]
        if tests.get(name, 0.0) < _BUSY_S or _failing(tree, {name: tests[name]}):
            return failing
        left = left[left.index(name) + 1 :]
    return None


def _failing(tree: Path, tests: dict[str, float]) -> str | None:
    """Return what pytest says of the first test that fails, None when all pass."""
    limit_s = int(max(LEAST_LIMIT_S, SLOWEST_TIMES * sum(tests.values())))
    process = subprocess.Popen(
        tests_command("-x", "--tb=no", "-rfE", *tests), cwd=tree, env=test_environment(tree), start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s)),
    )  # fmt: skip
    try:
        said, _ = process.communicate(timeout=WAITING_TIMES * limit_s)
    except subprocess.TimeoutExpired:
        return "without end"
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
    if process.returncode == 0:
        return None
    failures = [line for line in said.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failures[0][:120] if failures else f"pytest ends with {process.returncode}"


def _try(tree: Path, mutant: Mutant, tests: dict[str, float]) -> Result:
    from cosmic_ray.mutating import use_mutation
    from cosmic_ray.plugins import get_operator

    path = tree / mutant.file
    before = path.read_text(encoding="utf-8")
    with use_mutation(path, get_operator(mutant.operator)(), mutant.occurrence):
        after = path.read_text(encoding="utf-8")
        assert before != after, f"{mutant} changes nothing"
        failing = _surely_failing(tree, tests)
    return Result(failing is not None, failing or f"{len(tests)} tests", _diff(before, after, mutant.file))


def _diff(before: str, after: str, name: str) -> str:
    return "\n".join(difflib.unified_diff(before.splitlines(), after.splitlines(), name, name, lineterm="", n=2))


def _print_score(name: str, noticed: int, survived: int) -> None:
    count = noticed + survived
    if count:
        low, high = wilson_interval(noticed, count)
        print(f"{name:24} {noticed:4} of {count:4} noticed: {noticed / count:4.0%} [{low:.0%}, {high:.0%}]")


def wilson_interval(hits: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """Return the 95 % interval of a share."""
    share, extra = hits / count, z * z / count
    middle = (share + extra / 2) / (1 + extra)
    half = z / (1 + extra) * math.sqrt(share * (1 - share) / count + extra / (4 * count))
    return middle - half, middle + half


if __name__ == "__main__":
    sys.exit(main())
