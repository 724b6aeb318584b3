"""Lines as gaps: which are asked about, what is sent for them, and where their tokens stand."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lint.scoring import (
    COMPARED_LINES,
    LEAST_SAMPLE,
    LONGEST_LINE_CHARS,
    LineScore,
    next_scored,
    sampled_lines,
    score_lines,
)
from model.api.client import WorkerClient, WorkerOptions
from model.api.types import GapScore, Score, ScoreRequest, TokenScore
from tests.lint.checks import changed


class ScriptedClient:
    """Answers score requests with each word of a line as a token, and notes what it was asked."""

    def __init__(self) -> None:
        self.open_files: dict[str, str] = {}
        self.asked: list[tuple[str, ...]] = []

    def open(self, file_id: str, path: str, text: str, version: int) -> None:
        self.open_files[file_id] = text

    def close(self, file_id: str) -> None:
        del self.open_files[file_id]

    async def score(self, request: ScoreRequest) -> Score:
        text = self.open_files[request.file_id]
        assert request.as_text
        assert all(text[gap.start : gap.end] == given for gap, given in zip(request.gaps, request.texts, strict=True))
        self.asked.append(request.texts)
        return Score(tuple(self._score(given) for given in request.texts), 0.0)

    def _score(self, given: str) -> GapScore:
        words = [word if index == 0 else f" {word}" for index, word in enumerate(given.split(" "))]
        tokens = tuple(TokenScore(word, -1.0, "clean", -0.5, 0.25) for word in ["\n    ", *words])
        return GapScore(tokens, -1.0 * len(tokens), -0.5, tokens)


def scored(text: str, lines: set[int]) -> tuple[ScriptedClient, dict[int, tuple[int, ...]]]:
    client = ScriptedClient()
    scores = asyncio.run(score_lines(client, changed("a.py", text), lines))  # type: ignore[arg-type]
    assert not client.open_files, "the file stays open"
    return client, {line: score.starts for line, score in scores.items()}


def test_a_line_s_text_is_asked_about_without_indentation_and_break() -> None:
    client, starts = scored("if x:\r\n    y = 1  \r\n\tz = 2\r\n", {1, 2, 3})
    assert client.asked == [("if x:", "y = 1", "z = 2")]
    assert starts == {1: (0, 0, 2), 2: (4, 4, 5, 7), 3: (1, 1, 2, 4)}


def test_blank_and_overlong_lines_are_not_asked_about() -> None:
    client, _ = scored("a\n   \n\n" + "x" * LONGEST_LINE_CHARS + "\n" + "y" * 20_000 + "\n", {1, 2, 3, 4, 5})
    assert client.asked == [("a", "x" * LONGEST_LINE_CHARS)]


def test_a_huge_change_is_asked_about_in_parts() -> None:
    client, starts = scored("a b\n" * 500, set(range(1, 501)))
    assert len(client.asked) > 1
    assert len(starts) == sum(map(len, client.asked)) == 500


def test_nothing_is_asked_where_there_is_nothing_to_ask() -> None:
    client, starts = scored("\n\n", {1, 2})
    assert (client.asked, starts) == ([], {})


@pytest.mark.parametrize(("line", "expected"), [(1, 3), (3, None), (4, None)])
def test_what_follows_a_line(line: int, expected: int | None) -> None:
    """Line 3 is followed by one that is too long to be asked about."""
    assert next_scored(["a", " ", "b", "x" * 999], line) == expected


def test_the_sample_is_of_the_nearest_unchanged_lines() -> None:
    file = changed("a.py", "a\n" * 1000, added=frozenset({500, 501}))
    each_side = (COMPARED_LINES - 2) // 2
    assert sampled_lines(file, file.added) == {*range(500 - each_side, 500), *range(502, 502 + each_side)}
    file = changed("a.py", "a\n" * 1000, added=frozenset(range(300, 600)))
    each_side = LEAST_SAMPLE // 2
    assert sampled_lines(file, file.added) == {*range(300 - each_side, 300), *range(600, 600 + each_side)}
    assert sampled_lines(changed("a.py", "a\nb\n"), frozenset({1, 2})) == frozenset()


def test_the_worker_s_scores_have_all_that_is_needed(tiny_model: Path) -> None:
    """A real, tiny model in a real worker: every token has a place in its line, seen from both sides and as text."""
    text = "def greet(name):\n    print('héllo 👋', name)\n\n    return name\n"

    async def ask() -> dict[int, LineScore]:
        async with WorkerClient(WorkerOptions(str(tiny_model))) as client:
            return await score_lines(client, changed("a.py", text), {1, 2, 3, 4})

    scores = asyncio.run(ask())
    assert sorted(scores) == [1, 2, 4]
    for line, score in scores.items():
        end = len(text.split("\n")[line - 1])
        assert len(score.starts) == len(score.tokens) == len(score.as_text)
        assert list(score.starts) == sorted(score.starts)
        assert score.column <= score.starts[0]
        assert score.starts[-1] <= end
        assert all(token.entropy > 0 > token.logprob for token in score.tokens[2:])
