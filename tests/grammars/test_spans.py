"""Statements, blocks, signatures, and where an infill is expected to stop."""

from __future__ import annotations

import pytest

from grammars import Stop, block_span, expected_stop, fill_block_span, signature_span, statement_span
from tests.grammars.marked import marked, shown

LINE, STATEMENT, BLOCK = Stop
C = "int f(int a)\n{\n    int b = a;\n    return b;\n}\n"


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("python", "x = 1\ny‸ = 2\n", "y = 2"),
        ("python", "def f():\n    ‸\n", None),
        ("python", "def f():\n  ‸  return (1 +\n        2)\n", "return (1 +\n        2)"),
        ("python", "def f():\n    return (1 +\n    ‸    2)  \n", "return (1 +\n        2)"),
        ("python", "x = 1   ‸\ny = 2\n", "x = 1"),
        ("python", "a = ‸1\nb = 2\nc‸ = 3\n", "a = 1\nb = 2\nc = 3"),
        ("python", "if a:\n    b = ‸1\n    c = 2‸\n    d = 3\n", "b = 1\n    c = 2"),
        ("python", "if a:\n    b = ‸1\nc = 2‸\n", "if a:\n    b = 1\nc = 2"),
        ("python", "def f():\n    # no‸te\n    x = 1\n", "# note"),
        ("python", "x = '😀'; y‸ = '😀'\r\nz = 1\r\n", "y = '😀'"),
        ("javascript", "a();\nif (b) { c(‸); }\n", "c();"),
        ("c", "int f() {\n  return ‸1;\n}\n", "return 1;"),
        ("ruby", "def f\n  a = ‸1\n  b\nend\n", "a = 1"),
        ("bash", "echo a ‸b\nls\n", "echo a b"),
        ("json", '{"a": 1, "b"‸: 2}', '"b": 2'),
        ("css", "a {\n  color‸: red;\n  top: 0;\n}\n", "color: red;"),
        ("plaintext", "one\n  two ‸three\nfour\n", "two three"),
        ("python", "‸", None),
    ],
)
def test_statement(language: str, text: str, expected: str | None) -> None:
    snapshot, start_char, end_char = marked(language, text)
    assert shown(snapshot, statement_span(snapshot, start_char, end_char)) == expected


@pytest.mark.parametrize(
    ("language", "text", "block", "fill"),
    [
        ("python", "def f():\n    a\n    ‸b\nc\n", "a\n    b", "a\n    b"),
        ("python", "def ‸f(x):\n    a\n    b\nc\n", None, "a\n    b"),
        ("python", "x‸ = 1\n", None, ""),
        ("c", "int f() {\n    a();\n‸    b();\n}\n", "{\n    a();\n    b();\n}", "a();\n    b();"),
        ("c", "int ‸f()\n{\n    a();\n}\n", None, "a();"),
        ("c", "int f() {‸}\n", "{}", ""),
        ("go", "func f() {\n\tif a {\n\t\t‸b()\n\t}\n}\n", "{\n\t\tb()\n\t}", "b()"),
        ("rust", "fn f() -> u8 {\n    ‸1\n}\n", "{\n    1\n}", "1"),
        ("ruby", "x.each do |y|\n  a‸\n  b\nend\n", "a\n  b", "a\n  b"),
        ("ruby", "def ‸f(x)\n  a\n  b\nend\n", None, "a\n  b"),
        ("bash", "for x in y; do\n  ‸a\ndone\n", "do\n  a\ndone", "a"),
        ("html", "<ul>\n  <li>‸a</li>\n</ul>\n", "<li>a</li>", "a"),
        ("json", '{"a": [1, ‸2]}', "[1, 2]", "1, 2"),
        ("yaml", "a:\n  b: ‸1\n  c: 2\n", "b: 1\n  c: 2", "b: 1\n  c: 2"),
        ("plaintext", "a:\n  b\n  ‸c\nd\n", "b\n  c", "b\n  c"),
    ],
)
def test_block(language: str, text: str, block: str | None, fill: str) -> None:
    snapshot, start_char, end_char = marked(language, text)
    assert shown(snapshot, block_span(snapshot, start_char, end_char)) == block
    assert shown(snapshot, fill_block_span(snapshot, start_char)) == fill


def test_an_empty_block_is_filled_at_the_cursor() -> None:
    snapshot, start_char, _ = marked("c", "int f() {\n    ‸\n}\n")
    assert fill_block_span(snapshot, start_char) == (start_char, start_char)


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("python", "class A:\n    def f(self,\n          x):\n        return ‸x\n", "def f(self,\n          x):"),
        ("python", "x = ‸1\n", None),
        ("javascript", "const f = (a, b) => {\n  return ‸a;\n};\n", "(a, b) =>"),
        ("go", "func (b *Book) Add(t string) bool {\n\treturn ‸true\n}\n", "func (b *Book) Add(t string) bool"),
        ("rust", "fn f<T>(x: T) -> T where T: Copy {\n    ‸x\n}\n", "fn f<T>(x: T) -> T where T: Copy"),
        ("java", "class A {\n  int f(int x) throws E {\n    return ‸x;\n  }\n}\n", "int f(int x) throws E"),
        ("c", C.replace("return", "‸return"), "int f(int a)"),
        ("ruby", "def f(a, b)\n  ‸a\nend\n", "def f(a, b)"),
        ("php", "<?php\nfunction f($a) {\n  return ‸$a;\n}\n", "function f($a)"),
        ("plaintext", "f(x):\n  ‸y\n", None),
    ],
)  # fmt: skip
def test_signature(language: str, text: str, expected: str | None) -> None:
    snapshot, start_char, end_char = marked(language, text)
    assert shown(snapshot, signature_span(snapshot, start_char, end_char)) == expected


@pytest.mark.parametrize(
    ("language", "text", "stop"),
    [
        ("python", "x = ‸\n", LINE),
        ("python", "x = foo(‸)\n", LINE),
        ("python", "x = foo(‸\n", STATEMENT),
        ("python", "x = ‸ + 1\n", LINE),
        ("python", "x = 1\n‸\ny = 2\n", STATEMENT),
        ("python", "def f(x):\n    ‸\n", BLOCK),
        ("python", "def f(x):‸\n", BLOCK),
        ("python", "def f(x):  # note\n    ‸\n\n\ny = 1\n", BLOCK),
        ("python", "def f(x):\n    ‸\n    return y\n", STATEMENT),
        ("python", "# a com‸\n", LINE),
        ("python", "x = 'a ‸'\n", LINE),
        ("python", "def f(x):\r\n    ‸\r\n", BLOCK),
        ("python", "def f(x):\r    ‸\r", BLOCK),
        ("python", "class A:\n    def f(self):\n        ‸old()\n        other()\n‸\n    def g(self): pass\n", BLOCK),
        ("javascript", "function f() {\n  ‸\n}\n", BLOCK),
        ("javascript", "function f() {‸}\n", BLOCK),
        ("javascript", "function f() {\n  ‸\n  return 1;\n}\n", STATEMENT),
        ("javascript", "const x = {‸};\n", BLOCK),
        ("go", "if x {\n\t‸\n}\n", BLOCK),
        ("ruby", "x.each do\n  ‸\nend\n", BLOCK),
        ("ruby", "undo\n‸\nend\n", STATEMENT),
        ("bash", "if x; then\n  ‸\nfi\n", BLOCK),
        ("plaintext", "Dear ‸\n", LINE),
        ("plaintext", "‸", STATEMENT),
    ],
)  # fmt: skip
def test_expected_stop(language: str, text: str, stop: Stop) -> None:
    snapshot, start_char, end_char = marked(language, text)
    assert expected_stop(snapshot, start_char, end_char) is stop
