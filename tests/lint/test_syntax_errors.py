"""New syntax errors: said in words, and only those that the change brought."""

from __future__ import annotations

import pytest

from tests.lint.checks import changed, found, lines_found

BROKEN = [
    ("a.py", "def f(x):\n    return (x\n\ny = 1\n", [2], "`(` in line 2 is never closed"),
    ("a.js", "function f() {\n  return [1, 2;\n}\n", [2], "`[` in line 2 is never closed"),
    ("a.go", "package a\n\nfunc f() {\n\treturn\n}}\n", [5], "`}` in line 5 closes nothing"),
    ("a.java", "class A { int f() { return 1 } }\n", [1], "missing `;`"),
    ("a.rs", "fn f() { let x = ; }\n", [1], ""),
    ("a.ts", "let x: number = = 1;\n", [1], ""),
    ("a.json", '{"a": 1 "b": 2}\n', [1], ""),
    ("a.toml", "a = \n", [1], ""),
]


@pytest.mark.parametrize(("path", "text", "lines", "message"), BROKEN)
def test_a_new_file_with_an_error(path: str, text: str, lines: list[int], message: str) -> None:
    findings = found("syntax-error", changed(path, text))
    assert [finding.span.line for finding in findings] == lines
    assert message in findings[0].message


@pytest.mark.parametrize(("path", "text", "lines", "message"), BROKEN)
def test_what_was_broken_before_is_silent(path: str, text: str, lines: list[int], message: str) -> None:
    assert lines_found("syntax-error", path, text, before=text) == []


def test_a_deletion_that_breaks_is_told_though_no_line_was_added() -> None:
    before = "def f(x):\n    return g(\n        x\n    )\n\ny = 1\n"
    after = before.replace("    )\n", "")
    assert len(lines_found("syntax-error", "a.py", after, before)) == 1


def test_what_python_accepts_is_no_error() -> None:
    """The grammar knows no form feed at the beginning of a file's only line, for one; the language's parser decides."""
    assert lines_found("syntax-error", "a.py", "x = 1\n\\\n\ny = 2\n") == []
