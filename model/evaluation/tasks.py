"""Infilling tasks: a text with a gap, what stood there, and tests that tell whether something else does as well.

    human-eval-infilling   JSON lines: task_id, prompt, suffix, canonical_solution, test, entry_point
    MBPP                   JSON lines: task_id, text, code, test_list; a line is cut out of each program here

Both may be compressed (.gz). Knows files; knows no model.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from model.errors import InputError, cannot_read


class Boundary(StrEnum):
    """Where the ends of a gap lie."""

    LINES = "whole lines"
    INSIDE = "inside a line"
    WORD = "inside a word"


@dataclass(frozen=True)
class Task:
    """One gap. `problem` is what tasks of the same program share: results are clustered by it."""

    task_id: str
    problem: str
    prefix: str
    suffix: str
    gold: str
    test: str  # program text that fails unless the code before it is right

    @property
    def boundary(self) -> Boundary:
        """The kind of the gap's ends, the worse of both."""
        before, after = self.prefix[-1:] + self.gold[:1], self.gold[-1:] + self.suffix[:1]
        if any(re.fullmatch(r"\w\w", end) for end in (before, after)):
            return Boundary.WORD
        begins_line = self.prefix[-1:] in ("", "\n")
        ends_line = self.gold[-1:] == "\n" or self.suffix[:1] in ("", "\n")
        return Boundary.LINES if begins_line and ends_line else Boundary.INSIDE

    @property
    def is_single_line(self) -> bool:
        return self.boundary is Boundary.LINES and "\n" not in self.gold.rstrip("\n")

    def program(self, infill: str) -> str:
        """Return the program that tests `infill`."""
        return f"{self.prefix}{infill}{self.suffix}\n{self.test}\n"


def read_tasks(path: Path, limit: int | None = None, seed: int = 0) -> list[Task]:
    """Return the tasks of a file, or `limit` of them drawn with `seed`, in the order of the file. Raises InputError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise cannot_read(path, error) from None
    try:
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
        rows = [json.loads(line) for line in text.splitlines() if line.strip()]
        read = _mbpp_tasks(rows, seed) if rows and "test_list" in rows[0] else [_human_eval_task(row) for row in rows]
    except (OSError, EOFError, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"cannot read tasks from {path} ({error}); give a .jsonl or .jsonl.gz file") from error
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} is not in human-eval-infilling format: {type(error).__name__} {error}") from error
    if not read:
        raise InputError(f"{path} has no tasks")
    if limit is None or limit >= len(read):
        return read
    return [read[index] for index in sorted(random.Random(seed).sample(range(len(read)), limit))]


def file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _human_eval_task(row: dict[str, Any]) -> Task:
    task_id = str(row["task_id"])
    problem = re.search(r"HumanEval/\d+", task_id)
    test = f"{row['test']}\ncheck({row['entry_point']})"
    return Task(
        task_id, problem[0] if problem else task_id, row["prompt"], row["suffix"], row["canonical_solution"], test
    )


def _mbpp_tasks(rows: Sequence[dict[str, Any]], seed: int) -> list[Task]:
    """Cut one line, neither the first nor an empty one, out of each program that has such a line."""
    rng, tasks = random.Random(seed), []
    for row in rows:
        code = str(row["code"]).replace("\r\n", "\n").rstrip() + "\n"
        lines = code.splitlines(keepends=True)
        bodies = [index for index, line in enumerate(lines) if line[:1] in " \t" and line.strip()]
        if not bodies:
            continue
        index = rng.choice(bodies)
        described = f'"""{row["text"]}\n{row["test_list"][0]}\n"""\n{row.get("test_setup_code") or ""}\n'
        prefix, suffix = described + "".join(lines[:index]), "".join(lines[index + 1 :])
        problem = f"MBPP/{row['task_id']}"
        tasks.append(Task(f"{problem}/L{index}", problem, prefix, suffix, lines[index], "\n".join(row["test_list"])))
    return tasks
