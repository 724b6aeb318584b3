"""An infill is laid out as its file is."""

from __future__ import annotations

import pytest

from grammars import detect_language, in_file_style, snapshot_of
from tests.grammars.marked import MARK


@pytest.mark.parametrize(
    ("file", "text", "said", "expected"),
    [
        ("Makefile", "clean:\n‸", "    rm -f x\n    rm -f y", "\trm -f x\n\trm -f y"),
        ("Makefile", "clean:‸", "\n    rm -f x", "\n\trm -f x"),
        ("Makefile", "clean:‸", "\n\trm -f x", "\n\trm -f x"),
        ("Makefile", "a: b\n\tc\n‸", "        d\n\n  e", "\t    d\n\n\te"),
        ("rules.mk", "A := b\n‸", "ifdef C\n    D := e\nendif", "ifdef C\n    D := e\nendif"),
        ("rules.mk", "ifdef C\n  D := e\n  F := g\nendif\n‸", "a:\n\tb", "a:\n\tb"),
        ("rules.mk", "A = b \\\n‸", "    c", "    c"),
        ("a.go", "‸", "func f() {\n    if a {\n        b()\n    }\n}", "func f() {\n\tif a {\n\t\tb()\n\t}\n}"),
        ("go.mod", "‸", "require (\n    a v1\n)", "require (\n\ta v1\n)"),
        (".gitconfig", "[user]\n‸", "    name = a", "\tname = a"),
        ("a.gd", "func f():\n‸", "    pass", "\tpass"),
        ("a.py", "if a:\n\tb = f(1,\n‸", "\t\t      2)", "\t\t      2)"),
        ("a.py", "if a:\n\tb = f(1,‸", "\n\t\t      2)", "\n\t\t      2)"),
        ("a.py", "if a:\n\tb\n‸", "        c", "\t\tc"),
        ("a.py", "if a:\n  b\n‸", "\tc", "  c"),
        ("a.tsv", "a\tb\n‸", "\tc", "\tc"),
        ("a.unknown", "‸", "one:\n\ttwo\n    three", "one:\n\ttwo\n    three"),
        ("a.py", "x\r\n‸", "a\nb\rc\r\nd", "a\r\nb\r\nc\r\nd"),
        ("a.yaml", "‸", "a:\n\tb: 1", "a:\n  b: 1"),
    ],
)
def test_tabs_where_they_belong(file: str, text: str, said: str, expected: str) -> None:
    start_char = text.index(MARK)
    snapshot = snapshot_of(text.replace(MARK, ""), detect_language(file))
    assert in_file_style(snapshot, start_char, said) == expected
