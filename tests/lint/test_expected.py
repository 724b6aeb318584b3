"""What the model would have written: when it is told, and when it is offered as a fix."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lint.expected import FIX_GAIN, FIX_LOGPROB, _worst_column, with_expected
from lint.records import Finding, Level, Shade, Span
from lint.surprise import SURPRISING_LINE, surprising_lines
from model.api.client import WorkerClient, WorkerOptions
from model.api.types import GapInfill, Infill, InfillRequest, ModelDescription
from tests.lint.checks import changed

FILE = changed("a.py", "def f(a):\r\n    return a - 1\r\n")


@dataclass
class ScriptedClient:
    """Answers every infill with what is left of one line, of which `kept` is to be kept."""

    text: str
    kept: str = "return a "
    logprob: float = -0.5
    stop: str = "eoi"
    infill_model: bool = True
    open_files: dict[str, str] = field(default_factory=dict)

    async def describe(self) -> ModelDescription:
        return ModelDescription("scripted", self.infill_model, "float32", "asked for", 1, 1)

    def open(self, file_id: str, path: str, text: str, version: int) -> None:
        self.open_files[file_id] = text

    def close(self, file_id: str) -> None:
        del self.open_files[file_id]

    async def infill(self, request: InfillRequest) -> Infill:
        (gap,) = request.gaps
        assert self.kept + self.open_files[request.file_id][gap.start : gap.end] == "return a - 1"
        infill = self.text.removeprefix(self.kept)
        return Infill(1, (GapInfill(gap, infill, 1, (self.logprob,), self.stop),), 1, 1, 0, 0.0)


def told(client: ScriptedClient, surprise: float = 20.0) -> tuple[str | None, bool]:
    at = 4 + len(client.kept)
    shades = (Shade(2, 4, at, 1.0), Shade(2, at, 16, surprise)) if client.kept else (Shade(2, 4, 16, surprise),)
    finding = Finding(SURPRISING_LINE, "a.py", Span(2, 4, 2, 16), "", Level.NOTE, shades=shades)
    found = asyncio.run(with_expected(client, FILE, finding))  # type: ignore[arg-type]
    assert not client.open_files, "a file stays open"
    return found.expected, found.is_fix


def test_a_sure_and_different_line_is_a_fix() -> None:
    assert told(ScriptedClient("return a + 1")) == ("return a + 1", True)


def test_a_line_of_which_the_model_is_not_sure_is_none() -> None:
    assert told(ScriptedClient("return a + 1", logprob=FIX_LOGPROB - 0.1), surprise=99.0) == ("return a + 1", False)


def test_a_line_that_is_hardly_likelier_is_none() -> None:
    assert told(ScriptedClient("return a + 1"), surprise=FIX_GAIN) == ("return a + 1", False)


@pytest.mark.parametrize("text", ["return a - 1", "return a-1", "  return  a - 1;", "", "   "])
def test_the_same_but_for_format_is_not_told(text: str) -> None:
    assert told(ScriptedClient(text, kept="")) == (None, False)


def test_another_statement_is_not_told() -> None:
    """The model may begin something else there, which says nothing about the line."""
    assert told(ScriptedClient("for each in range(9):", kept="")) == (None, False)


def test_a_line_changed_in_two_places_is_no_fix() -> None:
    assert told(ScriptedClient("return b - 2", kept="return ")) == ("return b - 2", False)


@pytest.mark.parametrize("text", ["return a + (1", "return a + 1;", "return a + f[1"])
def test_a_line_that_leaves_something_open_is_no_fix(text: str) -> None:
    assert told(ScriptedClient(text, kept="return ")) == (text, False)


def test_a_word_is_written_anew_from_its_beginning() -> None:
    """What surprises is the end of a word, or stands behind a space: the gap begins where the word does."""
    for begin, end in ((5, 10), (3, 10)):
        finding = Finding(
            SURPRISING_LINE, "a.py", Span(1, 0, 1, 10), "", Level.NOTE, shades=(Shade(1, begin, end, 9.0),)
        )
        assert _worst_column(changed("a.py", "x = middle\n"), finding) == 4


def test_what_surprises_in_a_comment_only_is_not_asked_about() -> None:
    finding = Finding(SURPRISING_LINE, "a.py", Span(1, 0, 1, 12), "", Level.NOTE, shades=(Shade(1, 6, 12, 9.0),))
    assert _worst_column(changed("a.py", "x  # so low\n"), finding) is None


@pytest.mark.parametrize("stop", ["tokens", "context"])
def test_a_line_that_was_cut_off_is_not_told(stop: str) -> None:
    assert told(ScriptedClient("return a +", stop=stop)) == (None, False)


def test_a_model_that_sees_the_prefix_only_is_not_asked() -> None:
    assert told(ScriptedClient("return a + 1", infill_model=False)) == (None, False)


def test_the_whole_way_gives_the_same_twice(tiny_model: Path) -> None:
    """A random network in a real worker, whose lines are no code: what it expected is told, whatever it is."""
    file = changed("a.py", "def total(items):\n    result = 0\n    for item in items:\n        result += item\n" * 3)

    async def ask() -> list[Finding]:
        async with WorkerClient(WorkerOptions(str(tiny_model))) as client:
            found = await surprising_lines(client, file, frozenset(range(1, 9)))
            return [await with_expected(client, file, finding) for finding in found[:2]]

    assert asyncio.run(ask()) == asyncio.run(ask())
