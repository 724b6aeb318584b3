"""Texts with the places of a test marked in them: `‸` for a cursor, two of them for a range."""

from __future__ import annotations

from grammars import PLAIN_TEXT, Span, SyntaxSnapshot, language_named, snapshot_of

MARK = "‸"


def marked(language: str, text: str) -> tuple[SyntaxSnapshot, int, int]:
    """The snapshot of the text without its marks, and the range they mark."""
    pieces = text.split(MARK)
    assert len(pieces) in (2, 3), "one or two marks"
    start_char = len(pieces[0])
    end_char = len("".join(pieces[:-1]))
    chosen = PLAIN_TEXT if language == "plaintext" else language_named(language)
    return snapshot_of("".join(pieces), chosen), start_char, end_char


def shown(snapshot: SyntaxSnapshot, span: Span | None) -> str | None:
    """The text of a span."""
    return None if span is None else snapshot.text[span.start_char : span.end_char]
