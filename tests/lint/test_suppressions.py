"""Comments that keep findings silent, in the languages that there are grammars for and in others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lint.records import ChangedFile, Finding, Level, Rule, Span
from lint.suppressions import suppressions_in


def silent_lines(text: str, path: str = "app.py", rule: str = "some-rule") -> list[int]:
    """Return the lines of `text` on which findings of a rule are silent."""
    file = ChangedFile(path, text, None, frozenset(), frozenset())
    found = suppressions_in(file)
    silent = []
    for line in range(1, len(file.lines) + 2):
        finding = Finding(Rule(rule, Level.ERROR, "", ""), path, Span(line, 0, line, 1), "", Level.ERROR)
        silent += [line] if any(each.covers(finding) for each in found) else []
    return silent


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = 1  # setfill: ignore\nb = 2\n", [1]),
        ("# setfill: ignore\na = 1\nb = 2\n", [1, 2]),
        ("# setfill: ignore[some-rule]\na = 1\n", [1, 2]),
        ("# setfill:ignore [ other , some-rule ] for a reason\na = 1\n", [1, 2]),
        ("# setfill: ignore[other]\na = 1\n", []),
        ("# setfill: ignore[]\na = 1\n", []),
        ("# setfill: ignored\na = 1  # setfill: ignore-next\n", []),
        ("a = 'x  # setfill: ignore'\n", []),
        ('"""\n# setfill: ignore\n"""\na = 1\n', []),
        ('a = f"{b}  # setfill: ignore"\n', []),
        ("setfill: ignore\n", []),
        ("a = 1  # noqa  setfill: ignore\nb = 2\n", [1]),
        ("a = [  # setfill: ignore\n    1,\n]\n", [1]),
        ("x = 'naïve 🐍'  # setfill: ignore\r\nb = 2\r\n", [1]),
        ("def broken(:\n    a = 1  # setfill: ignore\n    b = 2\n", [2]),
    ],
)
def test_in_python(text: str, expected: list[int]) -> None:
    assert silent_lines(text) == expected


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("a.ts", "let a = 1; // setfill: ignore\nlet b = `// setfill: ignore`;\n", [1]),
        ("a.ts", "/* setfill: ignore */ let a = 1;\nlet b = 2;\n", [1]),
        ("a.ts", "/* setfill: ignore\n * for a reason\n */\nlet a = 1;\nlet b = 2;\n", [1, 2, 3, 4]),
        ("a.go", "package a\n\n// setfill: ignore\nvar a = 1\nvar b = \"// setfill: ignore\"\n", [3, 4]),
        ("a.rs", "// setfill: ignore\nlet a = 1;\n", [1, 2]),
        ("A.java", "class A {\n  int a; // setfill: ignore\n  int b;\n}\n", [2]),
        ("a.c", "int a; /* setfill: ignore */\nint b;\n", [1]),
        ("a.rb", "a = 1 # setfill: ignore\nb = 2\n", [1]),
        ("a.sh", "a=1 # setfill: ignore\nb='# setfill: ignore'\n", [1]),
        ("a.yaml", "a: 1 # setfill: ignore\nb: 2\n", [1]),
        ("a.html", "<!-- setfill: ignore -->\n<p>x</p>\n<p>y</p>\n", [1, 2]),
        ("a.css", "/* setfill: ignore */\na { color: red }\n", [1, 2]),
        ("Makefile", "a: # setfill: ignore\n\tb setfill: ignore\n", [1]),
        ("a.lua", "-- setfill: ignore\na = 1\nb = 2 setfill: ignore\n", [1, 2]),
        ("a.unknown", "; setfill: ignore\na\n", [1, 2]),
    ],
)  # fmt: skip
def test_in_other_languages(path: str, text: str, expected: list[int]) -> None:
    assert silent_lines(text, path) == expected


@given(
    st.lists(
        st.sampled_from(["# ", "setfill: ignore", "[", "]", "a", "'", '"""', "\n", "\r\n", "(", " ", "🐍"]), max_size=20
    )
)
def test_any_text(pieces: list[str]) -> None:
    text = "".join(pieces)
    for path in ("a.py", "a.lua"):
        for each in suppressions_in(ChangedFile(path, text, None, frozenset(), frozenset())):
            assert 1 <= each.first <= each.line <= each.last
