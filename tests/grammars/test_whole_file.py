"""Damage, outlines, names and layout."""

from __future__ import annotations

import time

import pytest

from grammars import (
    PLAIN_TEXT,
    Span,
    SyntaxSnapshot,
    error_spans,
    indentation_unit,
    infill_damage,
    language_named,
    line_ending,
    names_in,
    outline_around,
    snapshot_of,
)
from tests.grammars.marked import marked, shown

SHELF = '''import os
from a import (
    b,
)


class Shelf(dict):
    """😀"""

    def add(self, title):
        return ‸title

    def open(self): pass


def other(x, y=1):
    return x
'''


@pytest.mark.parametrize(
    ("language", "text", "infill", "before", "after"),
    [
        ("python", "x = ‸\n", "1", 1, 0),
        ("python", "x = 1‸\n", " + 2", 0, 0),
        ("python", "print(‸)\n", "a)", 0, 1),
        ("python", "# 😀\nprint(‸)\n", "a, b", 0, 0),
        ("javascript", "f(‸);\n", "{", 0, 1),
        ("json", '{"a": ‸}', "[1, 2]", 1, 0),
        ("c", "int f() {\n‸\n}\n", "return 1;\n}", 0, 1),
    ],
)
def test_damage_counts(language: str, text: str, infill: str, before: int, after: int) -> None:
    snapshot, start_char, end_char = marked(language, text)
    damage = infill_damage(snapshot, start_char, end_char, infill, 5.0)
    assert damage is not None
    assert (damage.errors_before, damage.errors_after) == (before, after)
    assert damage.is_worse is (after > before)
    assert bool(damage.new_errors) is damage.is_worse


def test_damage_says_where_in_code_points() -> None:
    snapshot, start_char, end_char = marked("javascript", "// 😀😀\nlet a = ‸1;\nlet b = 2;\n")
    damage = infill_damage(snapshot, start_char, end_char, "😀) ", 5.0)
    assert damage is not None
    assert damage.is_worse
    assert all(start_char <= span.start_char <= start_char + 6 for span in damage.new_errors)


def test_damage_is_unknown_without_syntax_or_time() -> None:
    assert infill_damage(SyntaxSnapshot("a (", PLAIN_TEXT), 0, 1, ")") is None
    assert infill_damage(SyntaxSnapshot("a (", language_named("c")), 0, 1, ")") is None
    snapshot, start_char, end_char = marked("python", "x = ‸1\n" + "y = f(2)\n" * 5000)
    assert infill_damage(snapshot, start_char, end_char, "(", timeout_seconds=0.0) is None


def test_errors_are_bounded() -> None:
    spans = error_spans(snapshot_of("x = )\n" * 1000, language_named("python")))
    assert spans is not None
    assert 1 <= len(spans) <= 200


def test_errors_are_looked_for_until_the_deadline() -> None:
    """A tree in which every list holds an error, but few of its many nodes are one."""
    text = "".join(f"x = [{'1, ' * 40}, {index} 2]\n" for index in range(60))
    snapshot = snapshot_of(text, language_named("python"), timeout_seconds=5.0)
    assert snapshot.tree is not None
    assert error_spans(snapshot)
    assert error_spans(snapshot, time.monotonic() + 60.0) == error_spans(snapshot)
    assert error_spans(snapshot, time.monotonic() - 1.0) is None


def test_outline_has_imports_and_enclosing_signatures_first() -> None:
    snapshot, offset_char, _ = marked("python", SHELF)
    outline = outline_around(snapshot, offset_char, 1000)
    assert outline.text == (
        "import os\nfrom a import (\n    b,\n)\nclass Shelf(dict):\n    def add(self, title):\n"
        "    def open(self):\ndef other(x, y=1):\n"
    )
    assert [entry.kind for entry in outline.entries] == ["import", "import", "enclosing", "enclosing", "other", "other"]


@pytest.mark.parametrize("budget_char", [0, 1, 20, 50, 80, 120, 10_000])
def test_outline_keeps_to_its_budget(budget_char: int) -> None:
    snapshot, offset_char, _ = marked("python", SHELF)
    outline = outline_around(snapshot, offset_char, budget_char)
    assert len(outline.text) <= budget_char
    if budget_char == 50:
        assert outline.text == "class Shelf(dict):\n    def add(self, title):\n"


def test_outline_takes_what_fits_of_every_budget() -> None:
    """The nearest signatures around a place, then imports, then the others; what does not fit is passed over."""
    snapshot, offset_char, _ = marked("python", SHELF)
    rank = {"enclosing": 0, "import": 1, "other": 2}
    whole = sorted(
        outline_around(snapshot, offset_char, 10_000).entries,
        key=lambda entry: (rank[entry.kind], abs(entry.span.start_char - offset_char)),
    )
    for budget_char in range(150):
        chosen: list[str] = []
        for entry in whole:
            if len("".join(chosen)) + len(entry.text) + 1 <= budget_char:
                chosen.append(f"{entry.text}\n")
        outline = outline_around(snapshot, offset_char, budget_char)
        assert sorted(f"{entry.text}\n" for entry in outline.entries) == sorted(chosen), budget_char
        assert list(outline.entries) == sorted(outline.entries, key=lambda entry: entry.span)


def test_outline_leaves_out_what_is_seen_anyway() -> None:
    snapshot, offset_char, _ = marked("python", SHELF)
    seen = Span(snapshot.text.index("    def add"), snapshot.text.index("def other"))
    assert "add" not in outline_around(snapshot, offset_char, 1000, left_out=seen).text
    assert "other" in outline_around(snapshot, offset_char, 1000, left_out=seen).text


def test_names() -> None:
    snapshot, _, _ = marked("python", "‸import os\n\ndef f(a, *b):\n    c = a + d  # 😀\n    return c.e\n")
    names = names_in(snapshot)
    assert [name.text for name in names.defined] == ["os", "f", "a", "b", "c"]
    assert [name.text for name in names.used] == ["a", "d", "c", "e"]
    assert all(shown(snapshot, name.span) == name.text for name in names.defined + names.used)


def test_names_of_a_range_and_without_syntax() -> None:
    snapshot, start_char, end_char = marked("python", "a = b\n‸c = d\n‸e = f\n")
    names = names_in(snapshot, start_char, end_char)
    assert ([name.text for name in names.defined], [name.text for name in names.used]) == (["c"], ["d"])
    snapshot, _, _ = marked("plaintext", "‸naïve 😀 word_2 3\n")
    assert [name.text for name in names_in(snapshot).used] == ["naïve", "word_2"]


@pytest.mark.parametrize(
    ("language", "text", "unit"),
    [
        ("python", "if a:\n    b\n    if c:\n        d\n", "    "),
        ("python", "if a:\n  b\n  if c:\n    d\n", "  "),
        ("python", "if a:\r\n\tb\r\n\tif c:\r\n\t\td\r\n", "\t"),
        ("python", "if a:\r  b\r", "  "),
        ("python", "x = 1\n", "    "),
        ("go", "", "\t"),
        ("c", "/*\n * a\n * b\n */\nint f() {\n   a;\n}\n", "   "),
        ("plaintext", "", ""),
        ("plaintext", "a:\n  b\n", "  "),
        ("makefile", "", "\t"),
    ],
)
def test_indentation(language: str, text: str, unit: str) -> None:
    snapshot, _, _ = marked(language, text + "‸")
    assert indentation_unit(snapshot) == unit


@pytest.mark.parametrize(
    ("text", "ending"), [("a\nb\n", "\n"), ("a\r\nb\r\nc\n", "\r\n"), ("a\rb\r", "\r"), ("", "\n"), ("a", "\n")]
)
def test_line_ending(text: str, ending: str) -> None:
    assert line_ending(SyntaxSnapshot(text)) == ending


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("python", "def f(a='SECRET', b=rb\"\"\"SECRET\"\"\", c={'SECRET': f'{x}SECRET'}, s=', ') -> 'Type': x",
         "def f(a='', b=\"\", c={'': ''}, s=', ') -> 'Type':"),
        ("python", "def f(a: Literal['read']='SECRET', b: Annotated[str, Query('SECRET')]=1):\n    pass\n",
         "def f(a: Literal['read']='', b: Annotated[str, Query('')]=1):"),
        ("python", "class A(B, key='SECRET'):\n    pass\n", "class A(B, key=''):"),
        ("typescript", "function f(a = 'SECRET', b: 'read' | 'write' = `SECRET${'SECRET'}`): 'done' {}\n",
         "function f(a = '', b: 'read' | 'write' = ``): 'done'"),
        ("java", "class A { @Value(\"SECRET\") int f(@Named(\"SECRET\") String a) { return 1; } }",
         "class A\n@Value(\"\") int f(@Named(\"\") String a)"),
        ("php", "<?php\nfunction f($a = 'SECRET', $b = \"SECRET\") {}\n", "function f($a = '', $b = \"\")"),
        ("ruby", "def f(a = 'SECRET', b: %w[SECRET SECRET], c: %q(SECRET))\n  1\nend\n",
         "def f(a = '', b: \"\", c: \"\")"),
        ("csharp", "class A { int F(string a = @\"SECRET\", string b = $\"SECRET\") { return 1; } }",
         "class A\nint F(string a = \"\", string b = \"\")"),
        ("cpp", "int f(std::string a = \"SECRET\", X x = R\"(SECRET)\", char c = 'q') { return 1; }",
         "int f(std::string a = \"\", X x = \"\", char c = 'q')"),
        ("python", "def f(a='SECRET', b=):\n    pass\n", ""),
        ("python", "import a  # 'SECRET'\n", "import a"),
    ],
)  # fmt: skip
def test_strings_of_signatures_are_left_out_but_those_of_types(language: str, text: str, expected: str) -> None:
    outline = outline_around(snapshot_of(text, language_named(language)), len(text), 1000)
    assert outline.text.rstrip("\n") == expected
