"""The rule that asks the model, with scores that are written down and with a real, tiny model."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

from lint.records import ChangedFile, Finding
from lint.surprise import surprising_lines
from model.api.client import WorkerClient, WorkerOptions
from tests.lint.checks import changed

TEXT = "def total(items):\n    result = 0\n    for item in items:\n        result += item.price\n\n    return result\n"


def looked_at(tiny_model: Path, file: ChangedFile, lines: frozenset[int]) -> tuple[list[Finding], list[int]]:
    """What is found with the tiny model, and what was told of the progress."""
    told: list[int] = []

    async def ask() -> list[Finding]:
        async with WorkerClient(WorkerOptions(str(tiny_model))) as client:
            found = await surprising_lines(client, file, lines, told.append)
            assert not client.open_files, "a file stays open"
            return found

    return asyncio.run(ask()), told


def test_findings_are_ranked_and_on_wanted_lines(tiny_model: Path) -> None:
    """A random network is surprised by everything. Blank lines count as done: the bar must come to its end."""
    lines = frozenset({2, 3, 4, 5})
    found, told = looked_at(tiny_model, changed("a.py", TEXT, added=lines), lines)
    assert found
    assert {finding.span.line for finding in found} <= {2, 3, 4}
    assert [finding.rank for finding in found] == sorted((finding.rank for finding in found), reverse=True)
    assert sum(told) == len(lines)
    for finding in found:
        line = TEXT.split("\n")[finding.span.line - 1]
        assert (finding.span.column, finding.span.end_column) == (len(line) - len(line.lstrip()), len(line))
        columns = [(shade.column, shade.end_column) for shade in finding.shades]
        assert all(begin < end for begin, end in columns)
        assert all(end == begin for (_, end), (begin, _) in pairwise(columns))
        assert columns[0][0] == finding.span.column
        assert columns[-1][1] == finding.span.end_column


def test_the_same_question_has_the_same_answer(tiny_model: Path) -> None:
    file = changed("a.py", TEXT)
    assert looked_at(tiny_model, file, frozenset({4})) == looked_at(tiny_model, file, frozenset({4}))


def test_of_prose_and_data_nothing_is_said(tiny_model: Path) -> None:
    """Everything surprises in them, and no odds were measured there; the bar comes to its end all the same."""
    for path in ("README.md", "notes.txt", "package.json", "ci.yaml"):
        assert looked_at(tiny_model, changed(path, TEXT), frozenset({1, 2, 5})) == ([], [3])
