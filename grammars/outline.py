"""An outline of a file: its imports and the signatures that matter around a place, within a budget.

A signature is there for its names and types. What stands in strings beside them (default values, arguments of
decorators) may be anybody's password, so strings are left empty, but for those that are types.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from grammars.captures import QUERY_SECONDS, Capture, captures_between, span_of
from grammars.offsets import Span, clamp, line_start
from grammars.snapshot import SyntaxSnapshot

_NAMES = frozenset({"import", "signature"})
_STRINGS = frozenset({"string", "string.type"})
_STRING_SIGNS = re.compile(r"[\"'`%<$/]")  # one of which begins a string, in every language
_SHORT_STRING_CHAR = 4  # its quotes and two more: a separator, no secret
_STRINGS_SECONDS = 5.0  # of one signature: never an answer that was not finished


class OutlineKind(StrEnum):
    """What a line of an outline is there for."""

    IMPORT = "import"
    ENCLOSING = "enclosing"
    """The signature of a definition that holds the place."""
    OTHER = "other"
    """Any other signature of the file."""


@dataclass(frozen=True)
class OutlineEntry:
    """One import or signature, with the indentation its first line has in the file."""

    kind: OutlineKind
    span: Span
    text: str


@dataclass(frozen=True)
class Outline:
    """Entries in file order."""

    entries: tuple[OutlineEntry, ...] = ()

    @property
    def text(self) -> str:
        """The entries as text, one after the other, each ending with LF."""
        return "".join(f"{entry.text}\n" for entry in self.entries)


def outline_around(
    snapshot: SyntaxSnapshot,
    offset_char: int,
    budget_char: int,
    *,
    left_out: Span | None = None,
    timeout_seconds: float = QUERY_SECONDS,
) -> Outline:
    """What a reader who sees only the text around ``offset_char`` should know of the rest of the file.

    ``budget_char`` bounds `Outline.text`. Signatures around the offset come first, then imports, then the other
    signatures nearest to it; one that does not fit is passed over. ``left_out`` is a range the reader sees anyway.
    Empty without a tree.
    """
    offset_char = clamp(offset_char, snapshot.text)
    offset_byte = snapshot.offsets.byte(offset_char)
    candidates: list[tuple[int, int, OutlineEntry]] = []
    everything = captures_between(snapshot, _NAMES, 0, len(snapshot.offsets.data), timeout_seconds)
    for capture in everything:
        entry = _entry(snapshot, capture, offset_byte)
        is_seen = left_out is not None and entry.span.start_char >= left_out[0] and entry.span.end_char <= left_out[1]
        if not is_seen and entry.text.strip():
            distance = abs(entry.span.start_char - offset_char)
            candidates.append((_RANK[entry.kind], distance, entry))
    chosen, left = [], budget_char
    for _rank, _distance, entry in sorted(candidates, key=lambda candidate: candidate[:2]):
        if len(entry.text) + 1 <= left:
            chosen.append(entry)
            left -= len(entry.text) + 1
    return Outline(tuple(sorted(chosen, key=lambda entry: entry.span)))


_RANK = {OutlineKind.ENCLOSING: 0, OutlineKind.IMPORT: 1, OutlineKind.OTHER: 2}


def _entry(snapshot: SyntaxSnapshot, capture: Capture, offset_byte: int) -> OutlineEntry:
    if capture.name == "import":
        kind, span = OutlineKind.IMPORT, span_of(snapshot, capture.start_byte, capture.end_byte)
    else:
        is_around = capture.holds(offset_byte, offset_byte)
        kind = OutlineKind.ENCLOSING if is_around else OutlineKind.OTHER
        span = span_of(snapshot, capture.start_byte, capture.signature_end_byte)
    start_of_line = line_start(snapshot.text, span.start_char)
    indent = snapshot.text[start_of_line : span.start_char]
    text = snapshot.text[span.start_char : span.end_char]
    if kind is not OutlineKind.IMPORT and _STRING_SIGNS.search(text):
        text = _without_strings(snapshot, capture, span)
    return OutlineEntry(kind, span, (indent if not indent.strip() else "") + text)


def _without_strings(snapshot: SyntaxSnapshot, signature: Capture, span: Span) -> str:
    """Return a signature with empty strings. Nothing of one with errors: what is a string in it can't be known."""
    if _is_broken(signature):
        return ""
    end_byte = signature.signature_end_byte
    found = list(captures_between(snapshot, _STRINGS, signature.start_byte, end_byte, _STRINGS_SECONDS))
    types = {(each.start_byte, each.end_byte) for each in found if each.name == "string.type"}
    pieces, kept_char = [], span.start_char
    for each in sorted(found, key=lambda each: (each.start_byte, -each.end_byte)):
        string = span_of(snapshot, each.start_byte, each.end_byte)
        inside = kept_char <= string.start_char and each.end_byte <= end_byte  # those in a string went with it
        is_type = (each.start_byte, each.end_byte) in types
        if inside and not is_type and string.end_char - string.start_char > _SHORT_STRING_CHAR:
            quote = next((char for char in snapshot.text[string.start_char : string.end_char] if char in "\"'`"), '"')
            pieces += [snapshot.text[kept_char : string.start_char], quote * 2]
            kept_char = string.end_char
    return "".join([*pieces, snapshot.text[kept_char : span.end_char]])


def _is_broken(signature: Capture) -> bool:
    """Whether the signature has an error, wherever its body has some."""
    nodes, end_byte = [signature.node], signature.signature_end_byte
    while nodes:
        node = nodes.pop()
        if node.is_error or node.is_missing:
            return True
        nodes += [child for child in node.children if child.has_error and child.start_byte < end_byte]
    return False
