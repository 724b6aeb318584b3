"""Which brackets stand in a text, and which of them find no partner when a text is put between two others.

Knows pairs and strings on one line; with a tree it takes the parser's word for what is a bracket at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from grammars.captures import QUERY_SECONDS, captures_between
from grammars.offsets import clamp_span
from grammars.snapshot import SyntaxSnapshot

_BRACKET = frozenset({"bracket.open", "bracket.close"})
_PAIRS = {")": "(", "]": "[", "}": "{"}
_STRING_OR_BRACKET = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|[()\[\]{}]')
_ANGLE = re.compile(r"(?<![-=<>\s])<(?![-=<\s])|(?<![-=\s])>(?!=)")


@dataclass(frozen=True)
class Loose:
    """A bracket without a partner."""

    offset_char: int
    bracket: str
    is_closing: bool


@dataclass(frozen=True)
class Unmatched:
    """How many brackets find no partner, by where they stand."""

    before: int
    """Opened before the gap and never closed."""
    within: int
    """Opened in the gap and never closed."""
    surplus: int
    """Closing what nothing opened, in the gap or behind it."""


def brackets_between(snapshot: SyntaxSnapshot, start_char: int, end_char: int) -> str:
    """The brackets of a range, in order. With a tree, those in strings and comments are known not to count."""
    start_char, end_char = clamp_span(start_char, end_char, snapshot.text)
    if snapshot.tree is None:
        return brackets_of_text(snapshot.text[start_char:end_char])
    start_byte, end_byte = snapshot.offsets.byte(start_char), snapshot.offsets.byte(end_char)
    tokens = [
        capture
        for capture in captures_between(snapshot, _BRACKET, start_byte, end_byte)
        if start_byte <= capture.start_byte and capture.end_byte <= end_byte
    ]
    tokens.sort(key=lambda capture: capture.start_byte)
    data = snapshot.offsets.data
    found = b"".join(data[token.start_byte : token.end_byte] for token in tokens).decode("utf-8", "replace")
    return "".join(character for character in found if character in "()[]{}")  # `${` is one token, for one


def brackets_of_text(text: str) -> str:
    """The brackets of a text that no parser has seen; those in strings that end on their line do not count."""
    return "".join(found for found in _STRING_OR_BRACKET.findall(text) if found[0] not in "\"'")


def unmatched(before: str, within: str, behind: str) -> Unmatched:
    """Match the brackets of three texts that stand one behind the other."""
    start, end = len(before), len(before) + len(within)
    lost, surplus = _without_partner(before + within + behind)
    return Unmatched(
        before=sum(index < start for index in lost),
        within=sum(start <= index < end for index in lost),
        surplus=sum(index >= start for index in surplus),
    )


def loose_brackets(snapshot: SyntaxSnapshot, timeout_seconds: float = QUERY_SECONDS) -> list[Loose]:
    """The brackets of a text that find no partner, in file order; none without a tree."""
    size_byte = len(snapshot.offsets.data)
    tokens = sorted(
        (capture.end_byte - 1, chr(snapshot.offsets.data[capture.end_byte - 1]))  # `${` is one token, for one
        for capture in captures_between(snapshot, _BRACKET, 0, size_byte, timeout_seconds)
        if capture.end_byte > capture.start_byte
    )
    tokens = [token for token in tokens if token[1] in "()[]{}"]
    lost, surplus = _without_partner("".join(bracket for _at, bracket in tokens))
    return [
        Loose(snapshot.offsets.char(tokens[index][0]), tokens[index][1], tokens[index][1] in _PAIRS)
        for index in sorted(lost + surplus)
    ]


def _without_partner(brackets: str) -> tuple[list[int], list[int]]:
    """Return the indices of those opened and never closed, and of those that close what nothing opened."""
    stack: list[int] = []
    open_now = dict.fromkeys("([{", 0)
    lost: list[int] = []
    surplus: list[int] = []
    for index, bracket in enumerate(brackets):
        if bracket not in _PAIRS:
            stack.append(index)
            open_now[bracket] += 1
        elif not open_now[_PAIRS[bracket]]:
            surplus.append(index)
        else:
            while brackets[opened := stack.pop()] != _PAIRS[bracket]:
                open_now[brackets[opened]] -= 1
                lost.append(opened)
            open_now[brackets[opened]] -= 1
    return lost + stack, surplus


def angle_surplus(line: str) -> int:
    """How far the angle brackets of a line are from being pairs. Arrows and comparisons with blanks do not count."""
    found = _ANGLE.findall(line)
    return abs(found.count("<") - found.count(">"))
