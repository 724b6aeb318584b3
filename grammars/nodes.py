"""The syntax nodes of a whole text, such as gaps are made of. Knows trees; its offsets are bytes."""

from __future__ import annotations

from collections.abc import Sequence

import tree_sitter

from grammars.grammar import grammar_of
from grammars.languages import language_named

_NODE_BYTES = 4, 1_200  # nodes that are worth a gap
_BYTES_PER_NODE = 96  # keep about one node for so many bytes of text


def syntax_nodes(text: str, language: str) -> Sequence[tuple[int, int]]:
    """Return named syntax nodes of `text` as (begin, end) in bytes, ascending; none for a language without a grammar.

    One node for about every `_BYTES_PER_NODE` bytes: evenly spaced among all.
    """
    try:
        parser_language = grammar_of(language_named(language)).parser_language
    except KeyError:
        return ()
    if parser_language is None:
        return ()
    tree = tree_sitter.Parser(parser_language).parse(text.encode())
    found: list[tuple[int, int]] = []
    cursor = tree.walk()
    descend = True
    while True:
        node = cursor.node
        if descend and node is not None:
            length = node.end_byte - node.start_byte
            if node.is_named and _NODE_BYTES[0] <= length <= _NODE_BYTES[1]:
                found.append((node.start_byte, node.end_byte))
            descend = length > _NODE_BYTES[0]
        if descend and cursor.goto_first_child():
            continue
        if cursor.goto_next_sibling():
            descend = True
        elif cursor.goto_parent():
            descend = False
        else:
            break
    found = sorted(set(found))
    wanted = max(1, len(text) // _BYTES_PER_NODE)
    step = max(1, len(found) // wanted)
    return found[::step]
