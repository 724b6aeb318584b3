"""Names a text defines and uses."""

from __future__ import annotations

import re
from dataclasses import dataclass

from grammars.captures import QUERY_SECONDS, captures_between, span_of
from grammars.offsets import Span, clamp_span
from grammars.snapshot import SyntaxSnapshot

_NAMES = frozenset({"definition", "reference"})
_WORD = re.compile(r"[^\W\d]\w*")
_MAX_NAMES = 20_000
_MAX_NAME_CHAR = 200


@dataclass(frozen=True)
class Name:
    """An identifier at one place."""

    text: str
    span: Span


@dataclass(frozen=True)
class Names:
    """The identifiers of a range, in file order."""

    defined: tuple[Name, ...]
    used: tuple[Name, ...]


def names_in(
    snapshot: SyntaxSnapshot,
    start_char: int = 0,
    end_char: int | None = None,
    timeout_seconds: float = QUERY_SECONDS,
) -> Names:
    """The names defined and used in the range (clamped; the whole text by default), up to 20,000.

    An identifier counts as defined where it is bound (assigned, declared, a parameter, imported) and as used
    everywhere else. Without a tree every word counts as used.
    """
    end_char = len(snapshot.text) if end_char is None else end_char
    start_char, end_char = clamp_span(start_char, end_char, snapshot.text)
    if snapshot.tree is None:
        words = _WORD.finditer(snapshot.text, start_char, min(end_char, start_char + 50 * _MAX_NAMES))
        used = [Name(word[0], Span(*word.span())) for word, _ in zip(words, range(_MAX_NAMES), strict=False)]
        return Names((), tuple(used))
    offsets = snapshot.offsets
    defined: dict[Span, Name] = {}
    used_at: dict[Span, Name] = {}
    start_byte, end_byte = offsets.byte(start_char), offsets.byte(end_char)
    for capture in captures_between(snapshot, _NAMES, start_byte, end_byte, timeout_seconds):
        if capture.start_byte < start_byte or capture.end_byte > end_byte:
            continue
        span = span_of(snapshot, capture.start_byte, capture.end_byte)
        text = snapshot.text[span.start_char : span.end_char]
        if 0 < len(text) <= _MAX_NAME_CHAR:
            (defined if capture.name == "definition" else used_at)[span] = Name(text, span)
        if len(defined) + len(used_at) >= _MAX_NAMES:
            break
    return Names(
        tuple(defined[span] for span in sorted(defined)),
        tuple(used_at[span] for span in sorted(used_at) if span not in defined),
    )
