"""The syntax nodes of a text that gaps are made of, against a plain walk through the whole tree."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import tree_sitter

from grammars.grammar import grammar_of
from grammars.languages import language_named
from grammars.nodes import syntax_nodes

PYTHON = '''def area(width, height):
    """The area."""  # größer als 😀
    if width > height:
        return [width * height, {"a": (1, 2)}]
    return (width, -height)
'''


def walked(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    yield node
    for child in node.children:
        yield from walked(child)


def named_nodes(text: str, language: str) -> list[tuple[int, int]]:
    """Every named node of four to 1,200 bytes, once."""
    parser_language = grammar_of(language_named(language)).parser_language
    assert parser_language
    root = tree_sitter.Parser(parser_language).parse(text.encode()).root_node
    spans = {(node.start_byte, node.end_byte) for node in walked(root) if node.is_named}
    return sorted(span for span in spans if 4 <= span[1] - span[0] <= 1_200)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (PYTHON, "python"),
        (PYTHON * 12, "python"),
        ("x = 1\n", "python"),
        ("abcd\n", "python"),
        ("abc\n", "python"),
        ("", "python"),
        (f"x = [{'1, ' * 500}]\n", "python"),  # 1,500 bytes in one node, whose pieces are too short
        (f"x = '{'y' * 1_197}'\nz = '{'y' * 1_199}'\n", "python"),
        ("const größe = f(a, [1, 22, 333]);\nfunction g() { return `a${größe}b`; }\n" * 3, "javascript"),
    ],
)
def test_one_node_for_about_a_hundred_bytes(text: str, language: str) -> None:
    """Evenly spaced among all, the first one included."""
    every = named_nodes(text, language)
    step = max(1, len(every) // max(1, len(text) // 96))
    assert list(syntax_nodes(text, language)) == every[::step]


def test_of_dense_code_not_every_node_is_kept() -> None:
    text = PYTHON * 12
    found = syntax_nodes(text, "python")
    assert len(text) / 96 <= len(found) <= 2 * len(text) / 96
    assert len(found) < len(named_nodes(text, "python")) / 2


@pytest.mark.parametrize("language", ["plaintext", "klingon"])
def test_there_are_none_without_a_grammar(language: str) -> None:
    assert list(syntax_nodes(PYTHON, language)) == []
