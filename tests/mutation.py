"""How much the tests notice: random small changes of the code, and the share of them that some test fails for.

    make mutation                                        100 mutants drawn with seed 0
    python -m tests.mutation --count 40 --seed 3 --files 'lsp_server/*' --minutes 30

cosmic-ray knows how to change a file; this draws which changes to try, for all of them would take weeks, and runs the
tests that `mutation.toml` names for the file. Places are drawn, then one change at each: a `+` that can become ten
other operators counts once. Annotations are left out, as nothing runs them. A mutant whose tests run on without end
counts as noticed. What was found is kept in `.cache`, so a run that was interrupted goes on, and changes are made in
a worktree of the last commit, so the working tree stays as it is.
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
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache"
CONFIGURATION = Path(__file__).with_suffix(".toml")
SLOWEST_TIMES, LEAST_LIMIT_S = 4, 120  # a mutant may take so many times as long as unchanged code, and so long at least


@dataclass(frozen=True)
class Mutant:
    """One small change: the `occurrence`-th place in a file where an operator of cosmic-ray applies."""

    file: str
    line: int
    operator: str
    arguments: tuple[tuple[str, Any], ...]
    occurrence: int
    tests: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.operator} #{self.occurrence}"

    @property
    def folder(self) -> str:
        return self.file.rpartition("/")[0]


class Kept:
    """What earlier runs on the same commit found: in a file that is only added to."""

    def __init__(self, path: Path) -> None:
        self.results: dict[Mutant, tuple[bool, str]] = {}  # whether it was noticed, and the change
        self._times_s: dict[tuple[str, ...], float] = {}
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            fields = json.loads(line)
            tests = tuple(fields["tests"])
            if "took_s" in fields:
                self._times_s[tests] = fields["took_s"]
            else:
                noticed, diff = fields.pop("noticed"), fields.pop("diff")
                arguments = tuple((name, value) for name, value in fields.pop("arguments"))
                self.results[Mutant(**{**fields, "tests": tests, "arguments": arguments})] = noticed, diff

    def add(self, mutant: Mutant, noticed: bool, diff: str) -> None:
        self.results[mutant] = noticed, diff
        self._write({**asdict(mutant), "noticed": noticed, "diff": diff})

    def limit_s(self, tests: tuple[str, ...], measure: Callable[[tuple[str, ...]], float]) -> float:
        """Return how long the tests of a mutant may take, from what they take on unchanged code."""
        if tests not in self._times_s:
            self._times_s[tests] = measure(tests)
            self._write({"tests": tests, "took_s": self._times_s[tests]})
        return max(LEAST_LIMIT_S, SLOWEST_TIMES * self._times_s[tests])

    def _write(self, fields: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(fields) + "\n")


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    until = time.monotonic() + 60 * options.minutes
    drawn = _drawn(options.files, options.count, options.seed)
    kept = Kept(CACHE / f"mutation-{_commit()}.jsonl")
    with _worktree() as tree:
        for number, mutant in enumerate(drawn, start=1):
            if time.monotonic() > until:
                print(f"out of time after {number - 1} of {len(drawn)}: run it again to go on")
                drawn = drawn[: number - 1]
                break
            if mutant not in kept.results:
                limit_s = kept.limit_s(mutant.tests, lambda tests: _time_s(tree, tests))
                kept.add(mutant, *_try(tree, mutant, limit_s))
            noticed, _ = kept.results[mutant]
            print(f"{number:4} {'noticed ' if noticed else 'SURVIVED'} {mutant}", flush=True)
    results = {mutant: kept.results[mutant] for mutant in drawn}
    for noticed, diff in results.values():
        if not noticed:
            print(f"\n{diff}")
    folders = Counter((mutant.folder, noticed) for mutant, (noticed, _) in results.items())
    for folder in sorted({folder for folder, _ in folders}):
        _print_score(folder, folders[folder, True], folders[folder, False])
    noticed = sum(noticed for noticed, _ in results.values())
    _print_score("all", noticed, len(results) - noticed)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=str(__doc__).split("\n")[0])
    parser.add_argument("--count", type=int, default=100, help="mutants to try (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the drawing (default: %(default)s)")
    parser.add_argument("--files", default="*", help="only files of this pattern")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no mutant after so many minutes")
    return parser


def _drawn(pattern: str, count: int, seed: int) -> list[Mutant]:
    """Return mutants at `count` places drawn from all."""
    places: dict[tuple[Any, ...], list[Mutant]] = {}
    for place, mutant in _mutants(tomllib.loads(CONFIGURATION.read_text(encoding="utf-8"))["part"], pattern):
        places.setdefault(place, []).append(mutant)
    chance = random.Random(seed)
    keys = chance.sample(list(places), min(count, len(places)))
    print(f"{len(places)} places, of which {len(keys)} drawn with seed {seed}", flush=True)
    return [chance.choice(places[key]) for key in keys]


def _mutants(parts: list[dict[str, Any]], pattern: str) -> Iterator[tuple[tuple[Any, ...], Mutant]]:
    """Yield every mutant with its place: file, where in it, and what kind of thing stands there."""
    from cosmic_ray.commands import init
    from cosmic_ray.work_db import WorkDB, use_db

    seen: set[Path] = set()
    for part in parts:
        paths = [path for path in sorted(ROOT.glob(part["files"])) if path not in seen]
        seen.update(paths)
        chosen = [path for path in paths if fnmatch.fnmatch(path.relative_to(ROOT).as_posix(), pattern)]
        with use_db(":memory:", WorkDB.Mode.create) as work:
            init(chosen, work, {})
            found = [mutation for item in work.work_items for mutation in item.mutations]
        annotations = {path: _annotations(path) for path in chosen}
        for each in sorted(
            found, key=lambda each: (each.module_path, each.start_pos, each.operator_name, each.occurrence)
        ):
            if not any(begin <= each.start_pos < end for begin, end in annotations[each.module_path]):
                file = each.module_path.relative_to(ROOT).as_posix()
                arguments, tests = tuple(each.operator_args.items()), tuple(part["tests"])
                kind = each.operator_name.partition("_")[0]
                mutant = Mutant(file, each.start_pos[0], each.operator_name, arguments, each.occurrence, tests)
                yield (file, each.start_pos, kind), mutant


def _annotations(path: Path) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return where the annotations of a file begin and end, by line and column."""
    found: list[ast.expr | None] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.arg, ast.AnnAssign)):
            found.append(node.annotation)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.append(node.returns)
    return [
        ((each.lineno, each.col_offset), (each.end_lineno or 0, each.end_col_offset or 0)) for each in found if each
    ]


@contextmanager
def _worktree() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="setfill-mutation-") as folder:
        tree = Path(folder) / "tree"
        subprocess.run(["git", "worktree", "add", "--detach", tree], cwd=ROOT, check=True, capture_output=True)
        try:
            yield tree
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=ROOT, check=True)


def _commit() -> str:
    command = ["git", "rev-parse", "--short=12", "HEAD"]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def _time_s(tree: Path, tests: tuple[str, ...]) -> float:
    """Return how long tests take on unchanged code, where they must pass."""
    began = time.monotonic()
    if not _passes(tree, tests, 3600):
        sys.exit(f"the tests fail on unchanged code: {' '.join(tests)}")
    took_s = time.monotonic() - began
    print(f"unchanged code: {took_s:.0f} s for {' '.join(tests)}", flush=True)
    return took_s


def _passes(tree: Path, tests: tuple[str, ...], limit_s: float) -> bool:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-n",
        "0",
        "-p",
        "no:cacheprovider",
        "-m",
        "not editor",
        *tests,
    ]
    process = subprocess.Popen(
        command, cwd=tree, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "HYPOTHESIS_STORAGE_DIRECTORY": ""},
    )  # fmt: skip
    try:
        return process.wait(limit_s) == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def _try(tree: Path, mutant: Mutant, limit_s: float) -> tuple[bool, str]:
    from cosmic_ray.mutating import use_mutation
    from cosmic_ray.plugins import get_operator

    path = tree / mutant.file
    before = path.read_text(encoding="utf-8")
    with use_mutation(path, get_operator(mutant.operator)(**dict(mutant.arguments)), mutant.occurrence):
        after = path.read_text(encoding="utf-8")
        assert before != after, f"{mutant} changes nothing"
        noticed = not _passes(tree, mutant.tests, limit_s)
    return noticed, _diff(before, after, mutant.file)


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
