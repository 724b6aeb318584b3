"""What is shown of what a model said: nothing that stands right of the cursor, nothing cut off in the middle."""

from __future__ import annotations

import pytest

from grammars import Span, detect_language, fitted_infill, fitted_infills, snapshot_of, without_loose_end
from tests.grammars.marked import marked


def check(language: str, text: str, said: str, expected: str, stop: str = "eoi") -> None:
    """`‸` is the cursor."""
    snapshot, start_char, end_char = marked(language, text)
    assert fitted_infill(snapshot, start_char, end_char, without_loose_end(said, stop), 5.0) == expected


@pytest.mark.parametrize(
    ("language", "text", "said", "expected"),
    [
        # What ends the header of a block.
        ("python", "for i, item in ‸:\n    print(i)\n", "enumerate(items):", "enumerate(items)"),
        ("python", "for i, item in ‸:", "enumerate(items):", "enumerate(items)"),
        ("python", "for v in ‸:\n    pass\n", "values:", "values"),
        ("python", "for v in ‸:\n    pass\n", "values :", "values"),
        ("python", "for v in ‸:\n", "values:\n    print(v)", "values"),
        ("python", "for v in ‸:\n", "values: print(v)", "values"),
        ("python", "if ‸:\n    pass\n", '__name__ == "__main__":', '__name__ == "__main__"'),
        ("python", "if a[‸]:\n    pass\n", "1:2]:", "1:2"),
        ("python", "if a[‸]:\n    pass\n", "b[1]", "b[1]"),
        ("python", "x = a[‸:]\n", "b[1:]", "b[1:]"),
        ("python", "x = a[1‸:]\n", "0:", "0"),
        ("python", "def f(‸):\n    pass\n", "a, b):", "a, b"),
        ("python", "def f(‸):\n", "a, b): return a", "a, b"),
        ("python", "def f(‸):\n", "a=(1, 2)", "a=(1, 2)"),
        ("python", "with a as ‸:\n    pass\n", "b:", "b"),
        ("python", "x = {‸: 1}\n", "'a':", "'a'"),
        ("python", "x = lambda ‸: 0\n", "a:", "a"),
        ("go", "package a\n\nfunc f() {\n\tfor ‸ {\n\t}\n}\n", "i := range n {", "i := range n"),
        ("go", "package a\n\nfunc f(‸) error {\n}\n", "a int) error {", "a int"),
        ("rust", "fn f() {\n    if ‸ {\n    }\n}\n", "a == 1 {", "a == 1"),
        ("bash", "if [ ‸ ]; then\n  a\nfi\n", "-f x ]; then", "-f x"),
        ("bash", "while ‸; do\n  a\ndone\n", "read x; do", "read x"),
        ("ruby", "foo do |‸|\nend\n", "a|", "a"),
        ("c", "int f() {\n  for (int i = 0; ‸; i++) {\n  }\n}\n", "i < n;", "i < n"),
        ("c", "int f() {\n  for (‸; i++) {\n  }\n}\n", "int i = 0;", "int i = 0;"),
        ("java", "class A {\n  void f() {\n    switch (x) {\n      case ‸:\n    }\n  }\n}\n", "1:", "1"),
        ("css", "‸ {\n  color: red;\n}\n", "a:hover {", "a:hover"),
        ("css", "a { color: ‸; }\n", "red; }", "red"),
        # Angle brackets.
        ("typescript", "const m: Map<‸> = new Map();\n", "string, number>", "string, number"),
        ("typescript", "const m: Map<‸> = new Map();\n", "string, Array<number>", "string, Array<number>"),
        ("typescript", "const m: Map<‸> = new Map();\n", "string, Array<number>>", "string, Array<number>"),
        ("typescript", "function f<T>(list: Array<‸>): T {\n  return list[0];\n}\n", "T>", "T"),
        ("typescript", "function f<T>(list: Array<‸>): T {\n  return list[0];\n}\n", "T>): T {", "T"),
        ("rust", "fn f() -> Vec<‸> {\n    vec![]\n}\n", "u32> {", "u32"),
        ("rust", "fn f() -> Vec<‸> {\n    vec![]\n}\n", "Vec<u32>", "Vec<u32>"),
        ("cpp", "std::vector<‸> v;\n", "std::pair<int, int>>", "std::pair<int, int>"),
        ("cpp", "std::vector<‸> v;\n", "std::pair<int, int>", "std::pair<int, int>"),
        ("java", "class A {\n  Map<‸> m = new HashMap<>();\n}\n", "String, Integer>", "String, Integer"),
        ("csharp", "class A {\n  List<‸> a = new();\n}\n", "int>", "int"),
        ("tsx", "const a = <div ‸></div>;\n", 'className="a">', 'className="a"'),
        ("html", "<div ‸>\n</div>\n", 'class="a">', 'class="a"'),
        ("html", "<a href=‸>b</a>\n", '"c">b</a>', '"c"'),
        ("php", "<?php\nfunction f(‸): int {\n}\n", "$a): int {", "$a"),
        # Strings.
        ("python", 'with open("‸.json") as f:\n    pass\n', "test.json", "test"),
        ("python", 'with open("‸.json") as f:\n    pass\n', 'test.json") as f:', "test"),
        ("python", 'with open("‸.json") as f:\n    pass\n', 'test") as f:', "test"),
        ("python", 'with open("‸.json") as f:\n    pass\n', '"', ""),
        ("python", 'x = "‸.json"\n', '" + name + "', '" + name + "'),
        ("python", 'print("‸")\n', 'hello", end="")', "hello"),
        ("python", 'x = f"{a‸}"\n', '["b"]', '["b"]'),
        ("python", 'x = f"{a‸}"\n', '["b"]}"', '["b"]'),
        ("python", 'def f():\n    """‸"""\n', 'Say "a".', 'Say "a".'),
        ("python", 'def f():\n    """‸"""\n', 'Say "a"."""', 'Say "a".'),
        ("javascript", "x = `a ${‸} c`;\n", "b}", "b"),
        ("javascript", "import a from '‸.js';\n", "./b.js'", "./b"),
        ("c", '#include "‸.h"\n', 'a.h"', "a"),
        ("rust", "fn f(‸) {}\n", "x: &'a str", "x: &'a str"),
        ("json", '{"a‸": 1}\n', 'bc"', "bc"),
        ("json", '{"a": "‸"}\n', 'b"}', "b"),
        # Values.
        ("json", '{"a": ‸, "b": 2}\n', "1,", "1"),
        ("json", '{"a": [‸]}\n', "1, 2]", "1, 2"),
        ("json", '{"a": [‸]}\n', "[1], [2]", "[1], [2]"),
        ("yaml", "a: [‸]\nb: 1\n", "1, 2]", "1, 2"),
        ("toml", "a = [‸]\n", "1, 2]", "1, 2"),
        ("python", "f(a, ‸, c, d)\n", "b, c, d", "b"),
        ("python", "b[‸]\n", "a[i]", "a[i]"),
        ("python", "b[‸]\n", "a[i]]", "a[i]"),
        ("python", "f(‸)\n", "g(h(x))", "g(h(x))"),
        ("python", "f(g(‸))\n", "x))", "x"),
        ("python", "f(‸)\n", "x)  # see above", "x"),
        ("python", "f(‸)\n", "x), g(y", "x), g(y"),
        ("python", "x = ‸name\n", "other + n", "other + n"),
        # Without a grammar.
        ("makefile", "all: ‸\n\t@true\n", "a b", "a b"),
        ("makefile", "‸: a.c\n\t@true\n", "a.o:", "a.o"),
        ("makefile", "X = $(‸)\n", "wildcard *.c)", "wildcard *.c"),
        ("plaintext", "fun f(): List<‸> {\n}\n", "Int> {", "Int"),
        ("plaintext", "val a: Map<‸> = x\n", "List<Int>", "List<Int>"),
        ("plaintext", "val a: Map<‸> = x\n", "List<Int>>", "List<Int>"),
        ("plaintext", 'say("‸")\n', 'hello")', "hello"),
        ("plaintext", "say '‸'\n", "hello'", "hello"),
        ("plaintext", 'say "‸" twice\n', 'hello" and', "hello"),
        ("plaintext", "Dear ‸:\n", "friend:", "friend"),
    ],
)
def test_what_stands_right_of_the_cursor_is_not_said_again(language: str, text: str, said: str, expected: str) -> None:
    check(language, text, said, expected)
    # The same where the parser can make nothing of the line, nor of another one.
    broken = {"python": "def (:\n\n", "typescript": "let = ;\n", "rust": "fn ;\n", "c": "int = ;\n"}.get(language, "")
    check(language, broken + text, said, expected)
    check(language, text.replace("\n", "\r\n"), said.replace("\n", "\r\n"), expected.replace("\n", "\r\n"))


@pytest.mark.parametrize(
    ("language", "text", "said", "stop", "expected"),
    [
        ("python", "if ‸:\n    pass\n", "not os.path.exists(os.path.join(" + "os.path.getsize(" * 9, "tokens", ""),
        ("python", "if ‸:\n    pass\n", "not os.path.exists(os.path.join(a", "time", ""),
        ("python", "for i in ‸:\n    pass\n", "enumerate(items", "eoi", ""),
        ("python", "for i in ‸:\n    pass\n", "enumerate(items", "lines", ""),
        ("python", "if ‸:\n    pass\n", '__name__ == "__main', "eoi", ""),
        ("python", "x = ‸\n", "f(a,", "lines", ""),
        ("python", "x = f(‸\n", "a,", "lines", "a,"),
        ("python", "x = f(‸)\n", "a, g(b", "eoi", ""),
        ("python", "x = ‸\n", "a + b + c +", "tokens", "a + b + c"),
        ("python", "x = ‸\n", "a or " * 20, "tokens", ""),
        ("python", "x = [‸]\n", "0, " * 40, "tokens", ""),
        ("python", "x = [‸]\n", "0, " * 40 + "0", "eoi", "0, " * 40 + "0"),
        ("python", "‸\n", "x += 1\n" * 9 + "x +", "tokens", "x += 1"),
        ("python", "‸\n", "y = 0\n" + "x += 1\ny += x\n" * 5, "lines", "y = 0\nx += 1\ny += x"),
        ("python", "‸\n", "a = 1\nb = f(\n    c,\n    d", "tokens", "a = 1"),
        ("python", "‸\n", 'a = 1\nb = """One\ntwo', "lines", "a = 1"),
        ("python", "def f():\n    ‸\n    return 1\n", '"""One', "lines", ""),
        ("python", 'x = f(‸\ny = "a"\n', '"b', "eoi", ""),
        ("python", "x = {‸: len(a) for a in b}\n", '"a": 1, "b": 2}', "eoi", ""),
        ("python", "x = {‸: len(a) for a in b}\n", "}", "eoi", ""),
        ("python", "x = a[‸]\n", "b][c", "eoi", "b][c"),
        ("c", "int f() {\n  ‸\n}\n", "a();\n}\n\nint g() {\n  b();", "eoi", "a();\n}\n\nint g() {\n  b();"),
        ("makefile", "a:\n‸\n", "\n# One.\n# One.\n# One.\n# One.", "eoi", "\n# One."),
        ("python", "x = [\n‸\n]\n", "    [0, 0, 0],\n" * 3, "eoi", "    [0, 0, 0],\n" * 2 + "    [0, 0, 0],"),
        ("json", '{"test": ‸},\n', "[", "eoi", ""),
        ("json", '{"test": ‸},\n', "{", "eoi", ""),
        ("json", '{"test": ‸},\n', '"', "eoi", ""),
        ("json", '{\n  "test": ‸\n}\n', "{", "lines", ""),
        ("json", '{\n  "test": ‸\n}\n', '["a", "b"]', "eoi", '["a", "b"]'),
        ("javascript", "function f() {\n  if ‸\n}\n", "(x) {", "lines", "(x) {"),
        ("javascript", "function f() {\n  if ‸\n}\n", "(x", "lines", ""),
        ("javascript", "app.get‸\n", "('/', (req, res) => {", "lines", "('/', (req, res) => {"),
        ("javascript", "x = ‸;\n", "`a ${b", "eoi", ""),
        ("go", "package a\n\nfunc f() {\n\tx := ‸\n}\n", "[]int{1, 2", "time", ""),
        ("rust", "fn f() {\n    let x = ‸;\n}\n", "vec![1, 2", "eoi", ""),
        ("typescript", "const m = new Map<‸>();\n", "string, {a: number", "eoi", ""),
        ("c", "int x = ‸;\n", "f(a, b", "eoi", ""),
        ("makefile", "X = ‸\n", "$(wildcard *.c", "eoi", ""),
        ("plaintext", "say ‸ twice\n", '"hello', "eoi", ""),
        ("plaintext", "Dear (‸\n", "friend", "eoi", "friend"),
    ],
)
def test_nothing_is_cut_off_in_the_middle(language: str, text: str, said: str, stop: str, expected: str) -> None:
    check(language, text, said, expected, stop)


def test_one_gap_may_open_what_another_closes() -> None:
    spans, said = [Span(4, 4), Span(8, 8), Span(11, 11)], ["(", ")", "g(b"]
    snapshot = snapshot_of("x = a + \ny = ", detect_language("a.py"))
    assert fitted_infills(snapshot, [Span(4, 4), Span(8, 8), Span(13, 13)], said) == ["(", ")", ""]
    assert fitted_infills(snapshot, spans[:1], ["("]) == [""]
    snapshot = snapshot_of("f(old, old)\n", detect_language("a.py"))
    assert fitted_infills(snapshot, [Span(2, 5), Span(7, 10)], ["a, b", "c)"]) == ["a, b", "c"]
