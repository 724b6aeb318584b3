"""Which brackets stand in a text, and which of them find no partner."""

from __future__ import annotations

import pytest

from grammars.brackets import Loose, Unmatched, brackets_between, loose_brackets, unmatched
from tests.grammars.marked import marked


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("python", "‸f(a[0], {})‸\n", "([]{})"),
        ("python", "f(‸a[0], {}‸)\n", "[]{}"),
        ("python", "‸f('([{', \"]\", '''\n(\n''')  # }\n‸", "()"),  # the parser knows what strings and comments are
        ("python", "‸f(f'{a[0]}')‸\n", "({[]})"),
        ("python", "‸'😀(' + g(1)‸\n", "()"),
        ("javascript", "‸f(`(${a[0]}`, /[(]/)‸;\n", "({[]})"),  # `${` is one token
        ("c", "‸int f() { return '{'; } // (\n‸", "(){}"),
        ("plaintext", "‸f('([{', \"]\") it's (a\n‸", "()("),  # without one, strings that end on their line
        ("plaintext", "f(‸a[0]‸)", "[]"),
        ("plaintext", "‸'\\'(' (\"\\\")\" [‸", "(["),
    ],
)
def test_brackets_of_a_range(language: str, text: str, expected: str) -> None:
    snapshot, start_char, end_char = marked(language, text)
    assert brackets_between(snapshot, start_char, end_char) == expected


@pytest.mark.parametrize(
    ("before", "within", "behind", "expected"),
    [
        ("", "", "", Unmatched(0, 0, 0)),
        ("(", "[]", ")", Unmatched(0, 0, 0)),
        ("([", "", ")", Unmatched(1, 0, 0)),
        ("(", "[{", ")", Unmatched(0, 2, 0)),
        ("(", ")", ")", Unmatched(0, 0, 1)),
        ("", "]", "}", Unmatched(0, 0, 2)),
        (")", "", "", Unmatched(0, 0, 0)),  # what is wrong before the gap is no text's fault
        ("[", "(]", ")", Unmatched(0, 1, 1)),
        ("{(", "}", "(", Unmatched(1, 0, 0)),
        ("([{", "})", "", Unmatched(1, 0, 0)),
        ("(", "((", "))))", Unmatched(0, 0, 1)),
    ],
)
def test_brackets_without_a_partner(before: str, within: str, behind: str, expected: Unmatched) -> None:
    assert unmatched(before, within, behind) == expected


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("python", "‸f(a[0])\n", []),
        ("python", "‸f(a[0)\n", [Loose(3, "[", False)]),
        ("python", "‸x = 1)\n", [Loose(5, ")", True)]),
        ("python", "‸# 😀 (\nx = [1}\n", [Loose(10, "[", False), Loose(12, "}", True)]),
        ("javascript", "‸f(`${a`);\n", [Loose(4, "{", False)]),
        ("plaintext", "‸f((\n", []),
    ],
)
def test_loose_brackets_of_a_file(language: str, text: str, expected: list[Loose]) -> None:
    snapshot, _, _ = marked(language, text)
    assert loose_brackets(snapshot) == expected
