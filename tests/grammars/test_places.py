"""What kind of place a cursor stands in."""

from __future__ import annotations

import pytest

from grammars import PlaceKind, place_at
from tests.grammars.marked import marked, shown

CODE, COMMENT, STRING, IMPORT = PlaceKind


@pytest.mark.parametrize(
    ("language", "text", "kind"),
    [
        ("python", "x = ‸1\n", CODE),
        ("python", "x = 1  # no‸te\n", COMMENT),
        ("python", "x = 1  # note‸\n", COMMENT),
        ("python", "x = 1  # note‸", COMMENT),
        ("python", "x = 1  ‸# note\n", CODE),
        ("python", "# 😀 note‸\r\nx = 1\r\n", COMMENT),
        ("python", "# one\r# two‸\rx = 1\r", COMMENT),
        ("python", "x = '😀‸'\n", STRING),
        ("python", "x = ''‸\n", CODE),
        ("python", "x = ‸''\n", CODE),
        ("python", 'x = f"a {b‸} c"\n', CODE),
        ("python", 'x = f"a {b} ‸c"\n', STRING),
        ("python", 'def f():\n    """Doc\n    ‸\n    """\n', STRING),
        ("python", "import o‸s\n", IMPORT),
        ("python", "from a import b‸\n", IMPORT),
        ("python", "import os\n‸\n", CODE),
        ("python", 'print("half a str‸\nx = 1\n', STRING),
        ("python", "x = don't‸\n", STRING),
        ("javascript", "/* a ‸ */ b\n", COMMENT),
        ("javascript", "/* a */‸ b\n", CODE),
        ("javascript", "x = `a ${‸b} c`\n", CODE),
        ("javascript", "x = `a ${b} ‸c`\n", STRING),
        ("javascript", "import {a‸} from 'a';\n", IMPORT),
        ("rust", "/// doc‸\nfn f() {}\n", COMMENT),
        ("rust", "/// doc\n‸fn f() {}\n", CODE),
        ("rust", "fn f<'a‸>(x: &'a str) {}\n", CODE),
        ("c", '#include "a‸.h"\n', STRING),
        ("go", 'import "fm‸t"\n', STRING),
        ("csharp", 'var x = $"a {b‸} c";\n', CODE),
        ("ruby", 'x = "a #{b‸} c"\n', CODE),
        ("bash", 'echo "a $(b‸) c"\n', CODE),
        ("html", "<p>don't‸</p>\n", CODE),
        ("html", '<p class="a‸">x</p>\n', STRING),
        ("html", "<!-- a ‸ -->\n", COMMENT),
        ("json", '{"a‸": 1}\n', STRING),
        ("yaml", "a: 1 # note‸\n", COMMENT),
        ("plaintext", "it's a ‸text # here\n", CODE),
        ("python", "‸", CODE),
    ],
)
def test_place(language: str, text: str, kind: PlaceKind) -> None:
    snapshot, offset_char, _ = marked(language, text)
    assert place_at(snapshot, offset_char).kind is kind


def test_the_span_of_a_place_is_the_whole_string() -> None:
    snapshot, offset_char, _ = marked("python", "x = 'a😀‸b'\n")
    assert shown(snapshot, place_at(snapshot, offset_char).span) == "'a😀b'"


def test_offsets_off_the_text_mean_its_ends() -> None:
    snapshot, _, _ = marked("python", "‸# note")
    assert place_at(snapshot, 999).kind is COMMENT
    assert place_at(snapshot, -5).kind is CODE
