"""Every question answers any text, at any offset, in bounded time."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grammars import (
    LANGUAGES,
    PLAIN_TEXT,
    Language,
    Span,
    SyntaxSnapshot,
    TreeState,
    block_span,
    detect_language,
    error_spans,
    expected_stop,
    fill_block_span,
    fitted_infill,
    indentation_unit,
    infill_damage,
    line_ending,
    names_in,
    outline_around,
    place_at,
    signature_span,
    snapshot_of,
    statement_span,
    trim_infill,
)

SAMPLES = sorted(file for file in (Path(__file__).parent / "samples").iterdir() if not file.name.startswith("."))
ALL = (*LANGUAGES, PLAIN_TEXT)
NASTY = st.text(
    st.sampled_from("ab_ \t\n\r\f\v\x00\x85\u2028\ud83d\ude00é😀(){}[]<>\"'`#/*:;,.=\\|&$@!-+%0"), max_size=80
)


def ask_everything(snapshot: SyntaxSnapshot, start_char: int, end_char: int, infill: str) -> None:
    """Ask every question and check what every answer must be."""
    text, names = snapshot.text, names_in(snapshot)
    spans = [
        place_at(snapshot, start_char).span,
        statement_span(snapshot, start_char, end_char),
        block_span(snapshot, start_char, end_char),
        signature_span(snapshot, start_char, end_char),
        fill_block_span(snapshot, start_char),
        *(error_spans(snapshot) or ()),
        *(entry.span for entry in outline_around(snapshot, start_char, 2_000).entries),
        *(name.span for name in names.defined + names.used),
    ]
    assert all(span is None or 0 <= span.start_char <= span.end_char <= len(text) for span in spans), spans
    expected_stop(snapshot, start_char, end_char)
    names_in(snapshot, start_char, end_char)
    assert len(outline_around(snapshot, start_char, 100, left_out=Span(3, 9)).text) <= 100
    assert indentation_unit(snapshot).strip(" \t") == ""
    assert line_ending(snapshot) in ("\n", "\r\n", "\r")
    assert infill.startswith(trim_infill(snapshot, start_char, end_char, infill))
    fitted_infill(snapshot, start_char, end_char, infill)
    damage = infill_damage(snapshot, start_char, end_char, infill)
    if damage is not None:
        end = max(0, len(text) - max(0, end_char - start_char)) + len(infill) + len(text)
        assert all(0 <= span.start_char <= span.end_char <= end for span in damage.new_errors)


@settings(max_examples=150, deadline=None)
@given(language=st.sampled_from(ALL), text=NASTY, infill=NASTY, data=st.data())
def test_random_text(language: Language, text: str, infill: str, data: st.DataObject) -> None:
    offsets = st.integers(-3, len(text) + 3)
    ask_everything(snapshot_of(text, language), data.draw(offsets), data.draw(offsets), infill)


@settings(max_examples=40, deadline=None)
@given(language=st.sampled_from(ALL), raw=st.binary(max_size=300), data=st.data())
def test_random_bytes(language: Language, raw: bytes, data: st.DataObject) -> None:
    text = raw.decode("utf-8", data.draw(st.sampled_from(["replace", "surrogateescape"])))
    snapshot = snapshot_of(text, language)
    ask_everything(snapshot, data.draw(st.integers(0, len(text))), len(text), text[:20])


@pytest.mark.parametrize("file", SAMPLES, ids=lambda file: file.stem)
def test_half_written_code(file: Path) -> None:
    language, text = detect_language(file.name), file.read_text("utf-8")
    generator = random.Random(file.name)
    for _case in range(12):
        offset_char = generator.randrange(len(text))
        kept_char = generator.choice([0, 0, len(text) - offset_char, 40])  # cut off there, or a hole of some lines
        broken = text[:offset_char] + (text[-kept_char:] if kept_char else "")
        snapshot = snapshot_of(broken, language)
        assert snapshot.tree_state is TreeState.CURRENT
        ask_everything(snapshot, offset_char, offset_char + generator.randrange(30), text[offset_char:][:60])


def test_an_empty_file() -> None:
    for language in ALL:
        ask_everything(snapshot_of("", language), 0, 0, "")
        ask_everything(snapshot_of("", language), 0, 0, "x")


@pytest.mark.parametrize("language", ALL, ids=lambda language: language.name)
@pytest.mark.parametrize("pattern", ["(", "- "])
def test_hopeless_text(language: Language, pattern: str) -> None:
    """One error of a hundred thousand pieces, in which a query would take minutes: found when `(` * 300,000 hung."""
    ask_within(snapshot_of(pattern * (100_000 // len(pattern)), language, timeout_seconds=0.3), 6.0)


@pytest.mark.parametrize("name", ["javascript", "typescript", "tsx"])
def test_brackets_that_are_never_closed(name: str) -> None:
    """The parser overflowed its stack, and with it went the process."""
    language = next(language for language in ALL if language.name == name)
    snapshot = snapshot_of("{a:" * 100_000, language)
    assert "brackets open" in snapshot.problem
    ask_within(snapshot, 6.0)


def test_brackets_that_are_closed_do_not_count() -> None:
    python = next(language for language in ALL if language.name == "python")
    for text in ("f(x)[{}] \n" * 21_000, ")" * 50_000 + "f(x)\n" * 21_000, "(" * 20_000 + ")" * 20_000):
        assert "brackets open" not in snapshot_of(text, python).problem
    assert "brackets open" in snapshot_of("(" * 20_001, python).problem


@pytest.mark.slow
@pytest.mark.parametrize("language", ALL, ids=lambda language: language.name)
@pytest.mark.parametrize("size_char", [300_000, 5_000_000])
@pytest.mark.parametrize("pattern", ["x", "(", "a.", "[1,", '"', "{a:", "<a>", "- ", "x = f(1) ", "\n", "😀 "])
def test_a_line_of_one_pattern(language: Language, pattern: str, size_char: int) -> None:
    ask_within(snapshot_of(pattern * (size_char // len(pattern)), language), 6.0)


@pytest.mark.parametrize("language", ALL, ids=lambda language: language.name)
def test_five_megabytes_in_one_line(language: Language) -> None:
    ask_within(snapshot_of('{"a": [x, 1]}, ' * 333_334, language), 6.0)


def ask_within(snapshot: SyntaxSnapshot, limit_seconds: float) -> None:
    """Ask everything in the middle and at both ends. The limit is generous: tests share their machine."""
    started = time.monotonic()
    for offset_char in (0, len(snapshot.text) // 2, len(snapshot.text)):
        ask_everything(snapshot, offset_char, offset_char + 1, "x)")
    taken = time.monotonic() - started
    assert taken < limit_seconds, f"{taken:.1f} s"
