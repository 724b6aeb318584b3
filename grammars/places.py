"""What kind of place an offset is: code, comment, string or import."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from grammars.captures import QUERY_SECONDS, Capture, captures_around, captures_between, span_of
from grammars.offsets import Span, clamp, line_end, line_start
from grammars.snapshot import SyntaxSnapshot

_NAMES = frozenset({"comment", "string", "interpolation", "import"})


class PlaceKind(StrEnum):
    """Where a cursor can stand."""

    CODE = "code"
    COMMENT = "comment"
    STRING = "string"
    IMPORT = "import"


@dataclass(frozen=True)
class Place:
    """The kind of a place and the text that is of that kind around it."""

    kind: PlaceKind
    span: Span
    """The comment, string or import; for code, the empty span at the offset."""


def place_at(snapshot: SyntaxSnapshot, offset_char: int) -> Place:
    """The place of a cursor before the code point at ``offset_char`` (clamped to the text).

    Inside means that typing there adds to it: right after a closing quote is code, at the end of a `//` comment is
    still comment. Code inside a string (an interpolation) is code. Without syntax everything is code.
    """
    text = snapshot.text
    offset_char = clamp(offset_char, text)
    code = Place(PlaceKind.CODE, Span(offset_char, offset_char))
    for capture in captures_around(snapshot, _NAMES, offset_char, offset_char):
        span = span_of(snapshot, capture.start_byte, capture.end_byte)
        if not _is_inside(snapshot, capture, span, offset_char):
            continue
        return code if capture.name == "interpolation" else Place(PlaceKind(capture.name), span)
    if snapshot.language.has_syntax:
        quote_char = _open_quote(snapshot, line_start(text, offset_char), offset_char)
        if quote_char is not None and _is_broken_at(snapshot, quote_char):
            return Place(PlaceKind.STRING, Span(quote_char, line_end(text, offset_char)))
    return code


def places_in(snapshot: SyntaxSnapshot, timeout_seconds: float = QUERY_SECONDS) -> list[Place]:
    """All comments, strings, imports and code inside strings of a text, outer ones before those in them.

    For who asks about many offsets of a large text, where `place_at` takes its time for each. None without a tree.
    """
    captures = captures_between(snapshot, _NAMES, 0, len(snapshot.offsets.data), timeout_seconds)
    kinds = {"interpolation": PlaceKind.CODE}
    found = {
        (span_of(snapshot, capture.start_byte, capture.end_byte), kinds.get(capture.name) or PlaceKind(capture.name))
        for capture in captures
    }
    return [Place(kind, span) for span, kind in sorted(found, key=lambda each: (each[0].start_char, -each[0].end_char))]


def _is_inside(snapshot: SyntaxSnapshot, capture: Capture, span: Span, offset_char: int) -> bool:
    if capture.name == "import":
        return span.start_char < offset_char <= span.end_char
    if capture.name == "comment" and snapshot.text.startswith(snapshot.language.line_comments or "\0", span.start_char):
        return span.start_char < offset_char <= line_end(snapshot.text, span.start_char)
    return span.start_char < offset_char < snapshot.offsets.char(capture.end_byte)


def _open_quote(snapshot: SyntaxSnapshot, start_char: int, end_char: int) -> int | None:
    """Where the string begins that is still open at ``end_char``, judging by the quotes on its line alone."""
    text, line_comments = snapshot.text, snapshot.language.line_comments
    opened = None
    index = max(start_char, end_char - 2000)
    while index < end_char:
        character = text[index]
        if opened is not None and character == "\\":
            index += 1
        elif opened is not None and character == text[opened]:
            opened = None
        elif opened is None and line_comments and text.startswith(line_comments, index):
            return None
        elif opened is None and character in snapshot.language.quotes:
            opened = index
        index += 1
    return opened


def _is_broken_at(snapshot: SyntaxSnapshot, offset_char: int) -> bool:
    """Whether the parser, too, could make nothing of the text there. An apostrophe in good prose is no string."""
    if snapshot.tree is None:
        return False
    offset_byte = snapshot.offsets.byte(offset_char)
    node = snapshot.tree.root_node.descendant_for_byte_range(offset_byte, offset_byte + 1)
    for _level in range(4):
        if node is None:
            return False
        if node.is_error or node.is_missing or node.has_error:
            return True
        node = node.parent
    return False
