"""New syntax errors: said in words, and only those that the change brought."""

from __future__ import annotations

import pytest

from tests.lint.checks import changed, found, lines_found

BROKEN = [
    ("a.py", "def f(x):\n    return (x\n\ny = 1\n", [2], "'(' was never closed"),
    ("b.py", "def f():\n    x = 1\n      y = 2\n", [3], "unexpected indent"),
    ("a.c", "int f(void) {\n  return g(1;\n}\n", [2], "`(` in line 2 is never closed"),
    ("a.cpp", "int f() {\n#if A\n  if (x) {\n#else\n  if (y) {\n#endif\n  }\n", [1], "`{` in line 1 is never closed"),
    ("package.json", '{"a": 1,}\n', [1], ""),
    ("a.rb", "def f\n  [1, 2\nend\n", [2], "`[` in line 2 is never closed"),
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


VALID = [
    ("a.c", "#define BEGIN {\nvoid *f OF((void *, int));\nFOREACH(x) { }\n"),
    ("a.c", "#if 0\nin case ( someone\n#endif\nint x;\n"),
    ("a.c", "#if A\nif (x) {\n#elif B\nif (y) {\n#endif\n}\n"),
    ("a.h", "namespace a { template <class T> struct B : C<T> {}; }\n"),
    ("a.ts", "export interface A<out T = unknown, in U = unknown> {}\n"),
    ("a.d.ts", 'export declare function f<T>(a: T): import("./b").B<T>;\n'),
    ("a.js", "const ids = [{{range .Ids}}'{{.}}', {{end}}];\n"),
    ("a.yaml", "a:\n{{- if .Values.b }}\n  c: 1\n{{- end }}\n"),
    ("a.css", ".a {display: inline ! important; b: c;;}\n"),
    ("tsconfig.json", '{\n  // comment\n  "a": [1, 2,],\n}\n'),
    ("a.rs", "pub macro f($e:expr) { $e }\n"),
    ("a.cs", "class A { unsafe double B(byte* c) { *((double*)c) = 1; return *((double*)c); } }\n"),
    ("a.md", "# (\n"),
    ("a.py", 'match = 1\nprint(f"{match!r:>{10}}")\n'),
    ("a.py", ""),
]


@pytest.mark.parametrize(("path", "text"), VALID)
def test_valid_text_that_a_grammar_may_not_know(path: str, text: str) -> None:
    assert lines_found("syntax-error", path, text) == []


def test_a_second_error_beside_an_old_one_is_told() -> None:
    """Python stops at its first error, which is the old one here; the tree tells of the new one."""
    before = "x = = 1\n\n\ndef f():\n    return 1\n"
    after = before.replace("return 1", "return 1 +* 2")
    assert lines_found("syntax-error", "a.py", after, before) == [5]


def test_an_old_error_stays_silent_when_lines_move() -> None:
    for path, broken in [("a.py", "x = = 1\n"), ("a.js", "let x = = 1;\n"), ("a.c", "int x[3;\n")]:
        assert lines_found("syntax-error", path, f"\n\n{broken}", broken) == []


def test_few_of_many_errors_are_told() -> None:
    assert len(lines_found("syntax-error", "a.go", "package a\n" + "var x = = 1\n" * 100)) == 3
