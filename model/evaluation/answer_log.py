"""A run's answers on the disk as they come, so that an interrupted run goes on where it was.

    REPORT.jsonl   the first line says which run it is, each other holds an answer

Knows files and JSON; knows nothing of what is measured. The file goes once the report, which has it all, is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from model.errors import InputError


def log_beside(report: Path) -> Path:
    """Return where the answers of a run lie until its report is written."""
    return report.with_suffix(".jsonl")


class AnswerLog:
    """The answers so far: those of an interrupted run with the same `run` facts, then what is added.

    Without a path nothing is kept. Raises InputError where the file holds another run, or cannot be used.
    """

    def __init__(self, path: Path | None, run: Mapping[str, Any]) -> None:
        self.answers: list[dict[str, Any]] = []
        self._path, self._file = path, None
        if path is None:
            return
        facts = json.loads(json.dumps(run))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            whole = _whole_lines(path)
            if whole:
                self._take_up(path, whole, facts)
            self._file = path.open("a" if whole else "w", encoding="utf-8", newline="\n")
            if not whole:
                self._write({"run": facts})
        except (OSError, UnicodeError) as error:
            raise InputError(f"cannot keep answers in {path}: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file:
            self._file.close()

    def add(self, answer: Mapping[str, Any]) -> None:
        """Keep an answer. It is on the disk when this returns, whatever becomes of this process."""
        self.answers.append(dict(answer))
        if self._file:
            try:
                self._write(answer)
            except OSError as error:
                raise InputError(f"cannot keep answers in {self._path}: {error}") from error

    def _write(self, record: Mapping[str, Any]) -> None:
        assert self._file
        self._file.write(json.dumps(record, ensure_ascii=True) + "\n")
        self._file.flush()

    def _take_up(self, path: Path, whole: list[str], facts: dict[str, Any]) -> None:
        try:
            first, *self.answers = [json.loads(line) for line in whole]
            kept = first["run"]
            differing = [name for name in {**kept, **facts} if kept.get(name) != facts.get(name)]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} does not hold answers: move it away, or give another --out") from error
        if differing:
            raise InputError(
                f"{path} holds the answers of an interrupted run with another {' and '.join(sorted(differing))}: "
                "finish that run, give another --out, or delete the file"
            )


def _whole_lines(path: Path) -> list[str]:
    """Return the lines of a file, and cut off one that was being written when its process ended."""
    if not path.exists():
        return []
    content = path.read_bytes()
    whole, _, torn = content.rpartition(b"\n")
    if torn:
        with path.open("r+b") as file:
            file.truncate(len(content) - len(torn))
    return whole.decode("utf-8").splitlines()
