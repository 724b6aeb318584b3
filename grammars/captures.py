"""Asking a snapshot's tree which captures of its language's queries lie where.

This module knows queries and bytes. It is the only one that runs a query; the rest of the package asks it. Time is
bounded by asking for one window of the file after the other and looking at the clock between them: the binding's own
progress callback for queries keeps a pointer to a dead stack frame and must not be used (tree-sitter 0.26.1).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import tree_sitter

from grammars.grammar import grammar_of
from grammars.offsets import Span
from grammars.snapshot import SyntaxSnapshot

QUERY_SECONDS = 0.25
"""How long a question about a whole file may take; then the answer is what was found so far."""
_WINDOW_BYTES = 1 << 15
_SIGNATURE_ENDS = ("signature.end", "signature.last")


@dataclass(frozen=True, slots=True)
class Capture:
    """A node under one of its names. Offsets are bytes: this record does not leave the package."""

    name: str
    start_byte: int
    end_byte: int
    signature_end_byte: int
    """Where the signature in it ends; its own end when it has none."""
    node: tree_sitter.Node = field(compare=False, hash=False)

    def holds(self, start_byte: int, end_byte: int) -> bool:
        """Whether the range lies inside, edges included: a cursor right after a node still belongs to it."""
        return self.start_byte <= start_byte and end_byte <= self.end_byte


def captures_between(
    snapshot: SyntaxSnapshot, names: frozenset[str], start_byte: int, end_byte: int, seconds: float = QUERY_SECONDS
) -> Iterator[Capture]:
    """Captures of those names that touch ``[start_byte, end_byte]``, each once, about in file order.

    Nothing when the snapshot has no tree. Stops early when ``seconds`` have passed.
    """
    if snapshot.tree is None:
        return
    query = grammar_of(snapshot.language).query(names)
    deadline = time.monotonic() + seconds
    seen: set[Capture] = set()
    start_byte = max(0, start_byte - 1)
    while True:
        window_end_byte = min(start_byte + _WINDOW_BYTES, end_byte + 1)
        cursor = tree_sitter.QueryCursor(query, match_limit=4096)
        cursor.set_byte_range(start_byte, max(window_end_byte, start_byte + 1))
        for _pattern, nodes in cursor.matches(snapshot.tree.root_node):
            for capture in _captures_of_match(nodes):
                if capture.name in names and capture not in seen:
                    seen.add(capture)
                    yield capture
        start_byte = window_end_byte
        if start_byte > end_byte or start_byte >= len(snapshot.offsets.data) or time.monotonic() > deadline:
            return


def _captures_of_match(nodes: dict[str, list[tree_sitter.Node]]) -> Iterator[Capture]:
    body, last = (nodes.get(name) for name in _SIGNATURE_ENDS)
    for name, captured in nodes.items():
        for node in captured:
            signature_end = body[0].start_byte if body else last[0].end_byte if last else node.end_byte
            yield Capture(name, node.start_byte, node.end_byte, signature_end, node)


def captures_around(snapshot: SyntaxSnapshot, names: frozenset[str], start_char: int, end_char: int) -> list[Capture]:
    """Captures that hold the range (in code points), edges included, innermost first."""
    start_byte, end_byte = snapshot.offsets.byte(start_char), snapshot.offsets.byte(end_char)
    # A node that holds the range holds its start, so the window stays small however long the range is.
    found = [
        capture
        for capture in captures_between(snapshot, names, start_byte, start_byte)
        if capture.holds(start_byte, end_byte)
    ]
    return sorted(found, key=lambda capture: (capture.end_byte - capture.start_byte, -capture.start_byte))


def span_of(snapshot: SyntaxSnapshot, start_byte: int, end_byte: int) -> Span:
    """Bytes to code points, without the line breaks that some grammars count into a node's end."""
    start_char, end_char = snapshot.offsets.char(start_byte), snapshot.offsets.char(end_byte)
    end_char = max(start_char, min(end_char, len(snapshot.text)))
    while end_char > start_char and snapshot.text[end_char - 1] in " \t\r\n\f":
        end_char -= 1
    return Span(start_char, end_char)
