"""Programs of which it is known which lines are wrong, and a cache of what the model says of their lines.

Scores come through the worker's client, as `setfill lint` has them. They are
kept in a file of JSON lines, so that a run that was ended goes on.
"""

from __future__ import annotations

import difflib
import gzip
import json
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.seeded_faults import SeededFile
from lint.records import ChangedFile, split_lines
from lint.scoring import LineScore, score_lines
from model.api.client import WorkerClient
from model.api.types import TokenScore

_SUFFIXES = {"python": "py", "js": "js", "javascript": "js", "java": "java", "go": "go", "cpp": "cpp", "rust": "rs"}
_DIGITS = 4


@dataclass(frozen=True)
class Case:
    """A file with faults. Cases of one `cluster` fail together: a problem in six languages, a package."""

    key: str
    cluster: str
    language: str
    path: str
    text: str
    kinds: dict[int, str]  # of fault, by line
    right: dict[int, str | None]  # what stood there before, where one line was replaced


def buggy_solutions(path: Path) -> list[Case]:
    """Return the programs of a file of HumanEvalPack: the lines that differ from the right program are wrong.

    Where lines are missing, the one behind them is. Problems come one after the
    other, each in all its languages.
    """
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    order = {problem: n for n, problem in enumerate(dict.fromkeys(row["task_id"].split("/")[1] for row in rows))}
    rows.sort(key=lambda row: order[row["task_id"].split("/")[1]])
    return [_buggy(row) for row in rows]


def _buggy(row: dict[str, Any]) -> Case:
    good = (row["declaration"] + row["canonical_solution"]).split("\n")
    bad = (row["declaration"] + row["buggy_solution"]).split("\n")
    right: dict[int, str | None] = {}
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, good, bad, autojunk=False).get_opcodes():
        changed = [index for index in range(j1, j2) if bad[index].strip()] if tag != "equal" else []
        right |= {index + 1: good[i1] if i2 - i1 == j2 - j1 == 1 else None for index in changed}
        if tag == "delete":
            behind = next((index for index in range(j1, len(bad)) if bad[index].strip()), None)
            right |= {} if behind is None else {behind + 1: None}
    language = row["language"]
    kinds = dict.fromkeys(right, row["bug_type"])
    path = f"main.{_SUFFIXES[language]}"
    return Case(row["task_id"], row["task_id"].split("/")[1], language, path, "\n".join(bad), kinds, right)


def seeded_cases(files: Iterable[SeededFile]) -> Iterator[Case]:
    """Yield files with planted faults as cases, clustered by package."""
    for file in files:
        kinds = {fault.line: fault.kind for fault in file.faults}
        right = {fault.line: fault.was for fault in file.faults}
        yield Case(file.path, file.group, file.language, file.path, file.text, kinds, right)


@dataclass(frozen=True)
class ScoredCase:
    """A case with the scores of all its lines, by line."""

    case: Case
    scores: dict[int, LineScore]


async def scored_cases(
    client: WorkerClient, cases: Iterable[Case], cache: Path, seconds: float | None = None
) -> AsyncIterator[ScoredCase]:
    """Yield every case with its scores: from the file `cache` if they are there, else new, and then kept there.

    After `seconds` nothing new is scored any more.
    """
    known = {scored.case.key: scored for scored in read_scores(cache)}
    begun = time.monotonic()
    for case in cases:
        if case.key in known:
            yield known[case.key]
        elif seconds is None or time.monotonic() - begun < seconds:
            lines = split_lines(case.text)
            file = ChangedFile(case.path, case.text, None, frozenset(), frozenset())
            scored = ScoredCase(case, await score_lines(client, file, range(1, len(lines) + 1)))
            with cache.open("a", encoding="utf-8") as output:
                output.write(json.dumps(_plain(scored)) + "\n")
            yield scored


def read_scores(cache: Path) -> Iterator[ScoredCase]:
    """Yield the cases that a cache holds; none where there is no such file."""
    if cache.is_file():
        for line in cache.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            case = record["case"]
            for name in ("kinds", "right"):
                case[name] = {int(number): value for number, value in case[name].items()}
            yield ScoredCase(Case(**case), {score[0]: _score(*score) for score in record["scores"]})


def _plain(scored: ScoredCase) -> dict[str, Any]:
    def numbers(tokens: tuple[TokenScore, ...]) -> list[list[float]]:
        return [
            [round(value or 0.0, _DIGITS) for value in (token.logprob, token.best_logprob, token.entropy)]
            for token in tokens
        ]

    scores = [
        [
            score.line,
            score.column,
            score.starts,
            [token.text for token in score.tokens],
            numbers(score.tokens),
            numbers(score.as_text),
            score.stop_logprob,
        ]
        for score in scored.scores.values()
    ]
    return {"case": asdict(scored.case), "scores": scores}


def _score(
    line: int,
    column: int,
    starts: list[int],
    texts: list[str],
    both: list[list[float]],
    as_text: list[list[float]],
    stop: float | None,
) -> LineScore:
    def tokens(numbers: list[list[float]]) -> tuple[TokenScore, ...]:
        return tuple(
            TokenScore(text, logprob, "clean", best, entropy)
            for text, (logprob, best, entropy) in zip(texts, numbers, strict=True)
        )

    return LineScore(line, column, tuple(starts), tokens(both), tokens(as_text), stop)
