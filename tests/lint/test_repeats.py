"""Lines that stand twice in a row: found where nobody means them to."""

from __future__ import annotations

import pytest

from tests.lint.checks import changed, found, lines_found

TWICE = [
    ("a.py", "def f(rows):\n    total = sum(rows)\n    total = sum(rows)\n    return total\n", [3]),
    ("a.py", "def f(x):\n    for row in x:\n        print(row)\n\n    for row in x:\n        print(row)\n", [5]),
    ("a.js", "function f(a) {\n  const b = a.map(g);\n  const b = a.map(g);\n}\n", [3]),
    ("a.go", "package a\n\nfunc f(a int) int {\n\treturn other(a)\n\treturn other(a)\n}\n", [5]),
    ("a.java", "class A {\n  public int f(int a) { return a; }\n  public int f(int a) { return a; }\n}\n", [3]),
    ("a.rs", "fn f() {\n    let first = g(1);\n    let second = h(first);\n" * 2 + "}\n", [4]),
]
ONCE = [
    ("a.py", "next(lines)\nnext(lines)\nx = 1\n"),
    ("a.py", "reader.skip_line()\nreader.skip_line()\n"),  # calls may have to be made twice
    ("a.py", "ROWS = [\n    first_name,\n    first_name,\n]\n"),
    ("a.py", 'TEXT = """\nvalue = compute(value)\nvalue = compute(value)\n"""\n'),
    ("a.py", "# value = compute(value)\n# value = compute(value)\n"),
    ("a.py", "total += weights[0]\ntotal += weights[0]\n"),
    ("a.json", '[\n  {"name": "value"},\n  {"name": "value"}\n]\n'),
    ("a.md", "some line of text = x\nsome line of text = x\n"),
    ("a.go", "package a\n\nfunc f() {\n\tif x {\n\t}\n\tif y {\n\t}\n}\n"),
    ("a.c", "int f(void) {\n  return 0;\n}\n\nint g(void) {\n  return 0;\n}\n"),
    ("a.py", "import some_module\nimport some_module\n"),
]


@pytest.mark.parametrize(("path", "text", "lines"), TWICE)
def test_found(path: str, text: str, lines: list[int]) -> None:
    assert lines_found("repeated-block", path, text) == lines


@pytest.mark.parametrize(("path", "text"), ONCE)
def test_not_found(path: str, text: str) -> None:
    assert lines_found("repeated-block", path, text) == []


def test_added_lines_that_end_with_what_stood_behind() -> None:
    text = "def f(x):\n    y = g(x)\n    self.send(y)\n    self.send(y)\n    return y\n"
    (finding,) = found("repeats-what-follows", changed("a.py", text, added=frozenset({2, 3})))
    assert (finding.span.line, finding.message) == (3, "This line repeats line 4")


def test_added_lines_that_begin_with_what_stood_before() -> None:
    """Git calls the second of two equal lines the new one, wherever it was put in."""
    text = "def f(x):\n    self.send(x)\n    self.stop(x)\n\n    self.send(x)\n    self.stop(x)\n"
    (finding,) = found("repeats-what-follows", changed("a.py", text, added=frozenset({4, 5, 6})))
    assert (finding.span.line, finding.span.end_line) == (5, 6)
    assert finding.message == "These 2 lines repeat lines 2 to 3"


@pytest.mark.parametrize(
    ("text", "added"),
    [
        ("def f(x):\n    if x:\n        pass\n    pass\n", {3}),
        ("f(\n    compute_value(first, second),\n    compute_value(first, second),\n)\n", {2}),
        ("def f(x):\n    self.send(x)\n    self.stop(x)\n    self.send(x)\n    self.stop(x)\n", {3}),  # half of a block
        ("    }\n    }\n", {1}),
        ('"""\nvalue = compute(value)\nvalue = compute(value)\n"""\n', {2}),
    ],
)
def test_short_lines_data_and_text_beside_each_other(text: str, added: set[int]) -> None:
    assert found("repeats-what-follows", changed("a.py", text, added=frozenset(added))) == []


def test_one_finding_for_one_repetition() -> None:
    text = "def f(x):\n    total = sum(x)\n    total = sum(x)\n"
    file = changed("a.py", text, added=frozenset({3}))
    assert found("repeated-block", file) == []
    assert len(found("repeats-what-follows", file)) == 1


def test_many_copies_are_one_stretch() -> None:
    assert lines_found("repeated-block", "a.py", "total = sum(rows)\n" * 50) == [2]
