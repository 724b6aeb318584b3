"""Queries asserted inside real source files.

A comment below a line of a sample asserts what the query captures in it: `^ @x` that a capture @x begins at that
column, `$ @x` that one ends with that character, `!@x` that none does. `<-` and `<$` mean the column where the
comment itself begins. An assertion is about the last line above it that is not an assertion.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from grammars import LANGUAGES, Language, detect_language, error_spans, grammar_of, snapshot_of
from grammars.captures import captures_between, span_of
from grammars.check import main as check_main
from grammars.grammar import CAPTURES

SAMPLES = sorted(file for file in (Path(__file__).parent / "samples").iterdir() if not file.name.startswith("."))
ASSERTION = re.compile(r"(\s*)(#|//|/\*|<!--) *(<-|<\$|\^|\$) ((?:!?@[a-z.]+ ?)+)(?:\*/|-->)?")

# What every language can tell. The rest (functions, imports, ...) is up to the language.
COMMON = {"scope", "statement", "block", "comment", "string", "bracket.open", "bracket.close"}
PROGRAMMING = COMMON | {"function", "class", "signature", "import", "definition", "reference"}
WITHOUT_CLASSES = {"bash"}
DATA_LANGUAGES = {"json", "yaml", "toml", "html", "css"}


def sample_of(language: Language) -> Path:
    return next(file for file in SAMPLES if detect_language(file.name) is language)


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
def test_captures_are_where_the_sample_says(language: Language) -> None:
    text = sample_of(language).read_text("utf-8")
    snapshot = snapshot_of(text, language)
    assert error_spans(snapshot) == [], "a sample parses without errors"
    begins, ends = defaultdict(set), defaultdict(set)
    for capture in captures_between(snapshot, frozenset(CAPTURES), 0, len(text.encode()), 60.0):
        end_byte = capture.signature_end_byte if capture.name == "signature" else capture.end_byte
        span = span_of(snapshot, capture.start_byte, end_byte)
        begins[span.start_char].add(capture.name)
        ends[span.end_char - 1].add(capture.name)
    asserted, failures = set(), []
    start_char = asserted_line_char = 0
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        found = ASSERTION.fullmatch(line.rstrip("\n"))
        if found:
            indent, _comment, mark, names = found.groups()
            column = len(indent) if mark.startswith("<") else found.start(3)
            captured = (ends if mark.endswith("$") else begins)[asserted_line_char + column]
            for name in names.split():
                asserted.add(name.lstrip("!@"))
                if (name.lstrip("!@") in captured) == name.startswith("!"):
                    failures.append(f"line {number}: {mark} {name}, but captured is {sorted(captured)}")
        else:
            asserted_line_char = start_char
        start_char += len(line)
    assert not failures, "\n".join(failures)
    assert asserted == grammar_of(language).capture_names(), "every capture of the query is asserted, and no other"


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
def test_a_language_captures_what_is_asked_for(language: Language) -> None:
    names = grammar_of(language).capture_names()
    assert names <= set(CAPTURES)
    wanted = COMMON if language.name in DATA_LANGUAGES else PROGRAMMING
    assert names >= wanted - ({"class"} if language.name in WITHOUT_CLASSES else set())


def test_make_check_is_content(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grammars.check.REPEATED_CHAR", 10_000)
    assert check_main([]) == 0
    table = capsys.readouterr().out
    assert all(language.name in table for language in LANGUAGES)


def test_make_check_fails_on_a_query_that_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Language("broken", wheel="tree_sitter_json", queries=("python",))
    monkeypatch.setattr("grammars.check.LANGUAGES", (broken,))
    assert check_main([]) == 1
