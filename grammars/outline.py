"""An outline of a file: its imports and the signatures that matter around a place, within a budget."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from grammars.captures import QUERY_SECONDS, Capture, captures_between, span_of
from grammars.offsets import Span, clamp, line_start
from grammars.syntax_document import SyntaxSnapshot

_NAMES = frozenset({"import", "signature"})


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
    return OutlineEntry(kind, span, (indent if not indent.strip() else "") + text)
