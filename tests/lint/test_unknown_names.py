"""Names that are most likely another one, misspelt; everything that a name can be besides."""

from __future__ import annotations

import pytest

from tests.lint.checks import changed, found, lines_found

MISSPELT = [
    ("a.py", "def f(result):\n    return reuslt\n", "result"),
    ("a.py", "count = 1\nprint(coutn)\n", "count"),
    ("a.py", 'total = 1\nprint(f"{ttoal}")\n', "total"),
    ("a.py", "def compute(x):\n    pass\n\n\ncomptue(1)\n", "compute"),
    ("a.js", "const result = f();\nreturn [reslt];\n", "result"),
    ("a.ts", "function f(options: T) {\n  return optoins ?? 1;\n}\n", "options"),
    ("a.tsx", "const label = 1;\nexport const A = () => <p>{labbel}</p>;\n", "label"),
    ("a.go", "package a\n\nfunc f(value int) int {\n\treturn vlaue\n}\n", "value"),
    ("a.java", "class A { int f(int value) { return vaule + 1; } }\n", "value"),
    ("a.rs", "fn f() -> u8 {\n    let buffer = 1;\n    bufffer + 1\n}\n", "buffer"),
    ("a.php", "<?php\n$result = 1;\necho $reuslt;\n", "result"),
]
KNOWN = [
    ("a.py", "result = 1\nx.reuslt\n"),  # an attribute
    ("a.py", "result = 1\nf(reuslt=result)\n"),  # a keyword argument
    ("a.py", "from a import *\nresult = 1\nreuslt\n"),
    ("a.py", "result = 1\nreuslt = 2\n"),  # defined
    ("a.py", "result = 1\nf(reuslt)\ng(reuslt)\n"),  # twice is no slip
    ("a.py", "result = 1\nresults\n"),  # a plural
    ("a.py", "value_1 = 1\nvalue_2\n"),
    ("a.py", "Result = 1\nresult\n"),
    ("a.py", "prinnt = 1\nprint(prinnt)\n"),  # built in
    ("a.py", "result = 1\n'reuslt'\n# reuslt\n"),
    ("a.py", "import os.reuslt\nresult = 1\n"),
    ("a.js", "const result = 1;\nf({ reuslt: 1 });\n"),
    ("a.js", "const windoow = 1;\nwindow.close(windoow);\n"),
    ("a.tsx", "const label = 1;\nexport const A = () => <lable>{label}</lable>;\n"),
    ("a.go", "package a\n\nfunc f(value int) { vlaue(1) }\n"),  # of another file of the package
    ("a.java", "class A { int value; void f() { Vlaue.g(); } }\n"),
    ("a.rs", "fn f() { let buffer = 1; bufer!(1); }\n"),
    ("a.c", "int f(int value) { return vlaue; }\n"),  # headers define all kinds of things
    ("a.md", "result reuslt\n"),
]


@pytest.mark.parametrize(("path", "text", "meant"), MISSPELT)
def test_found(path: str, text: str, meant: str) -> None:
    (finding,) = found("unknown-name", changed(path, text))
    span = finding.span
    name = text.splitlines()[span.line - 1][span.column : span.end_column]
    assert finding.message == f"Nothing in this file defines `{name}`; `{meant}` is close"


@pytest.mark.parametrize(("path", "text"), KNOWN)
def test_not_found(path: str, text: str) -> None:
    assert lines_found("unknown-name", path, text) == []


def test_few_of_many_are_told() -> None:
    names = [f"result{chr(97 + number)}xyz" for number in range(20)]
    text = "".join(f"{name} = 1\n" for name in names) + "".join(f"print({name.replace('l', '')})\n" for name in names)
    assert len(lines_found("unknown-name", "a.py", text)) == 10
