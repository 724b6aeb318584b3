"""What an infill repeats of its suffix is cut off, and nothing else is."""

from __future__ import annotations

import pytest

from grammars import trim_infill
from tests.grammars.marked import marked


@pytest.mark.parametrize(
    ("language", "text", "infill", "expected"),
    [
        # Closing brackets that the editor closed already.
        ("python", "print(‸)\n", "x)", "x"),
        ("python", "print(‸)\n", "f(x))", "f(x)"),
        ("python", "print(‸)\n", "f(x)", "f(x)"),
        ("python", "print(f(‸)\n", "x)", "x)"),
        ("python", "print([‸])\n", "1, 2])", "1, 2"),
        ("python", "print([‸])\n", "g(x)[0]", "g(x)[0]"),
        ("python", "x = {‸}\n", '"a": (1, 2)}', '"a": (1, 2)'),
        ("python", "print(‸)\n", '"a)")', '"a)"'),
        ("python", "print(‸)\n", 'f(")")', 'f(")")'),
        ("python", "x = [f(‸)]  # ((( 😀\n", "a)]", "a"),
        ("javascript", "f(function () {‸});\n", "\n  a();\n});", "\n  a();\n"),
        ("javascript", "if (a) {\n  ‸\n}\n", "b();\n}", "b();"),
        ("javascript", "if (a) {\n  ‸\n}\n", "if (b) {\n    c();\n  }", "if (b) {\n    c();\n  }"),
        ("javascript", "f(‸);\n", "a);", "a"),
        ("c", "x = ‸;\n", "a[1];", "a[1]"),
        ("c", "f(a‸, b);\n", " + 1,", " + 1"),
        # Quotes.
        ("python", 'print("‸")\n', 'hello"', "hello"),
        ("python", 'print("‸")\n', 'hello")', "hello"),
        ("python", 'print("‸")\n', "hello", "hello"),
        ("python", 'print("‸", a)\n', 'say \\"hi\\"', 'say \\"hi\\"'),
        # The rest of the line.
        ("python", "total = ‸ + offset\n", "base + offset", "base"),
        ("python", "def f(‸, other):\n    pass\n", "first, other", "first"),
        ("python", "foo(‸, b)\n", "a, b)", "a"),
        ("html", "<p>‸</p>\n", "text</p>", "text"),
        ("html", "<div>‸</div>\n", "<div>a</div>", "<div>a</div>"),
        # The next lines.
        ("python", "def f(x):\n    ‸\n    return x\n", "y = 2\n    return x", "y = 2"),
        ("python", "def f(x):\n    ‸\n    return x\n", "y = 2\n        return x\n", "y = 2"),
        ("python", "def f(x):\n    ‸\n    return x\n", "y = 2\n    retu", "y = 2\n    retu"),
        ("python", "def f(x):\n    ‸\n    return xyz\n", "y = 2\n    return x", "y = 2"),
        ("python", "def f(x):\n    ‸\n    return x\n", "return x", ""),
        ("python", "x = ‸\nx\n", "x", "x"),
        ("python", "a = 1\n‸\nbeta = 2\ngamma = 3\n", "z = 0\nbeta = 2\ngamma = 3\nd = 4\n", "z = 0"),
        ("python", "def f(x):\r\n    ‸\r\n    return x\r\n", "y = 2\r\n    return x", "y = 2"),
        ("ruby", "def f\n  ‸\nend\n", "if a\n    b\n  end", "if a\n    b\n  end"),
        ("ruby", "def f\n  ‸\nend\n", "b\nend", "b"),
        ("bash", "if a; then\n  ‸\nfi\n", "b\nfi", "b"),
        # Line breaks and nothing to repeat.
        ("python", "x = ‸\n", "1\n", "1"),
        ("python", "x = ‸", "1\n", "1"),
        ("python", "‸x = 1\n", "y = 2\n", "y = 2\n"),
        ("python", "x = ‸\n", "", ""),
        ("plaintext", "Dear (‸)\n", "friend)", "friend"),
        ("plaintext", "One\n‸\nThree things here\n", "Two\nThree things here", "Two"),
    ],
)
def test_trim(language: str, text: str, infill: str, expected: str) -> None:
    snapshot, start_char, end_char = marked(language, text)
    assert trim_infill(snapshot, start_char, end_char, infill) == expected
