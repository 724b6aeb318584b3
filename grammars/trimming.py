"""Cutting off what an infill repeats of the text behind it: the most common complaint about code completion.

Three repeats are known: the rest of the line or the next lines, closing brackets that the file has already, and the
quote or separator that stands right of the cursor. White space does not count when texts are compared. Where a
repeat could also be meant, the parser decides: what leaves fewer syntax errors is right.
"""

from __future__ import annotations

import re
from itertools import pairwise

from grammars.captures import captures_between
from grammars.damage import DAMAGE_SECONDS, infill_damage
from grammars.offsets import clamp_span, line_end, line_start
from grammars.places import PlaceKind, place_at
from grammars.syntax_document import SyntaxSnapshot

_SUFFIX_CHAR = 2_000
_BRACKETS_CHAR = 8_000
_BRACKET = frozenset({"bracket.open", "bracket.close"})
_PAIRS = {")": "(", "]": "[", "}": "{"}
_CLOSING = frozenset(")]}\"'`;,")
_STRING_OR_BRACKET = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|[()\[\]{}]')
_BLANK = re.compile(r"\s+")
_CLOSING_WORDS = frozenset({"end", "fi", "done", "esac", "endif", "endforeach", "endfor", "endwhile", "endswitch"})
_MIN_PARTIAL_WORD_CHAR = 6


def trim_infill(
    snapshot: SyntaxSnapshot, start_char: int, end_char: int, infill: str, timeout_seconds: float = DAMAGE_SECONDS
) -> str:
    """The beginning of ``infill``, without what it repeats of the text behind ``[start_char, end_char)``.

    Returns the infill as it is when it repeats nothing, and the empty string when it is nothing but a repeat. The
    result is always a prefix of the infill. Checks with the parser take at most about four times
    ``timeout_seconds``; without syntax only what is plain from the text is cut.
    """
    start_char, end_char = clamp_span(start_char, end_char, snapshot.text)
    suffix = snapshot.text[end_char : end_char + _SUFFIX_CHAR]
    prefix_line = snapshot.text[max(line_start(snapshot.text, start_char), start_char - _SUFFIX_CHAR) : start_char]
    if not infill.strip() or not suffix.strip():
        return _without_repeated_break(infill, suffix)
    for cut_char in (_repeated_lines_char(infill, suffix), _repeated_tail_char(infill, prefix_line, suffix)):
        if (
            cut_char is not None
            and cut_char < len(infill)
            and _is_repeat(snapshot, start_char, end_char, infill, cut_char, timeout_seconds)
        ):
            kept = infill[:cut_char]
            return kept.rstrip() if suffix[0].isspace() else kept
    cut_char = _repeated_closers_char(snapshot, start_char, end_char, infill, prefix_line, suffix)
    return _without_repeated_break(infill[:cut_char], suffix)


def _without_repeated_break(infill: str, suffix: str) -> str:
    """An infill before a line break needs no line break, nor blanks, of its own at the end."""
    return infill.rstrip() if not suffix or suffix[0] in "\r\n" else infill


def _repeated_lines_char(infill: str, suffix: str) -> int | None:
    """Where the infill says the next two lines of the file, whatever it goes on to say after them."""
    first_line_end = line_end(suffix, 0)
    if suffix[:first_line_end].strip():
        return None
    following = [line.strip() for line in re.split(r"\r\n|\n|\r", suffix[first_line_end:]) if line.strip()][:2]
    if len(following) < 2 or sum(map(str.isalnum, "".join(following))) < _MIN_PARTIAL_WORD_CHAR:
        return None
    lines = [(found.start(), found[0].strip()) for found in re.finditer(r"[^\r\n]+", infill) if found[0].strip()]
    for (start_char, first), (_, second) in pairwise(lines):
        if [first, second] == following:
            return start_char
    return None


def _repeated_tail_char(infill: str, prefix_line: str, suffix: str) -> int | None:
    """Where the longest end of the infill begins that the suffix begins with, if it says enough to be a repeat."""
    places = [index for index, character in enumerate(infill) if not character.isspace()][-_SUFFIX_CHAR:]
    said = "".join(infill[index] for index in places)
    head = _BLANK.sub("", suffix)
    rest_of_line = _BLANK.sub("", suffix[: line_end(suffix, 0)])
    first_line = rest_of_line or _BLANK.sub("", suffix.lstrip().splitlines()[0])
    for length in range(min(len(said), len(head)), 0, -1):
        repeated = head[:length]
        if not said.endswith(repeated):
            continue
        cut_char = places[-length]
        line_before = (prefix_line + infill[:cut_char]).rpartition("\n")[2].rpartition("\r")[2]
        is_own_line = not line_before.strip()
        word_chars = sum(map(str.isalnum, repeated))
        if not rest_of_line and not is_own_line:
            continue  # the end of a longer line is not the next line
        is_whole_line = not any(map(str.isalnum, first_line[length:]))
        if word_chars and (is_whole_line or word_chars >= _MIN_PARTIAL_WORD_CHAR):
            return cut_char
    return None


def _is_repeat(
    snapshot: SyntaxSnapshot, start_char: int, end_char: int, infill: str, cut_char: int, timeout_seconds: float
) -> bool:
    """Whether dropping ``infill[cut_char:]`` leaves no more errors and drops no closer the infill needs itself."""
    repeated = infill[cut_char:].strip()
    may_close = repeated in _CLOSING_WORDS or repeated.startswith("</")
    if may_close:
        infilled = snapshot.edited(start_char, end_char, infill, timeout_seconds)
        return infilled.tree is not None and not _closes_own(infilled, start_char, start_char + cut_char)
    whole = infill_damage(snapshot, start_char, end_char, infill, timeout_seconds)
    trimmed = infill_damage(snapshot, start_char, end_char, infill[:cut_char], timeout_seconds)
    return whole is None or trimmed is None or trimmed.errors_after <= whole.errors_after


def _closes_own(infilled: SyntaxSnapshot, start_char: int, closer_char: int) -> bool:
    """Whether the `end` or `</p>` at ``closer_char`` closes something that begins at or after ``start_char``."""
    assert infilled.tree is not None
    start_byte, closer_byte = infilled.offsets.byte(start_char), infilled.offsets.byte(closer_char)
    node = infilled.tree.root_node.descendant_for_byte_range(closer_byte, closer_byte + 1)
    while node is not None and node.start_byte >= closer_byte:
        node = node.parent
    return node is not None and node.start_byte >= start_byte


def _repeated_closers_char(
    snapshot: SyntaxSnapshot, start_char: int, end_char: int, infill: str, prefix_line: str, suffix: str
) -> int:
    """Where the closing brackets, quotes and separators at the infill's end begin that the suffix brings as well."""
    head = _BLANK.sub("", suffix)[:16]
    places = [index for index, character in enumerate(infill) if not character.isspace()][-16:]
    said = "".join(infill[index] for index in places)
    in_string = place_at(snapshot, start_char).kind is PlaceKind.STRING
    if in_string or (prefix_line[-1:] == suffix[:1] and suffix[:1] in ('"', "'", "`")):
        return _repeated_quote_char(infill, said, head, places)
    before = _brackets(snapshot, start_char - _BRACKETS_CHAR, start_char)
    behind = _brackets(snapshot, end_char, end_char + _BRACKETS_CHAR)

    def closed(text: str) -> int:
        return _closed_behind(before + _brackets_of_text(text), behind)

    for length in range(min(len(said), len(head)), 0, -1):
        repeated = head[:length]
        if not said.endswith(repeated) or not _CLOSING.issuperset(repeated):
            continue
        cut_char = places[-length]
        if any(character in _PAIRS for character in repeated):
            if closed(infill[:cut_char]) > closed(infill):
                return cut_char
        elif repeated[0] in ",;" and len(repeated) == 1 and "for" not in prefix_line.split("(")[0].split():
            return cut_char
    return len(infill)


def _repeated_quote_char(infill: str, said: str, head: str, places: list[int]) -> int:
    """In a string that is closed already: where the infill closes it again."""
    quote = head[:1]
    is_closed_again = infill.replace(f"\\{quote}", "").count(quote) % 2 == 1 if quote in ('"', "'", "`") else False
    for length in range(min(len(said), len(head)), 0, -1):
        if is_closed_again and said.endswith(head[:length]):
            return places[-length]
    return len(infill)


def _brackets(snapshot: SyntaxSnapshot, start_char: int, end_char: int) -> str:
    """The brackets of a range, in order. With a tree, those in strings and comments are known not to count."""
    start_char, end_char = clamp_span(start_char, end_char, snapshot.text)
    if snapshot.tree is None:
        return _brackets_of_text(snapshot.text[start_char:end_char])
    start_byte, end_byte = snapshot.offsets.byte(start_char), snapshot.offsets.byte(end_char)
    tokens = [
        capture
        for capture in captures_between(snapshot, _BRACKET, start_byte, end_byte)
        if start_byte <= capture.start_byte and capture.end_byte <= end_byte
    ]
    tokens.sort(key=lambda capture: capture.start_byte)
    return "".join(
        snapshot.offsets.data[token.start_byte : token.end_byte].decode("utf-8", "replace") for token in tokens
    )


def _brackets_of_text(text: str) -> str:
    return "".join(found for found in _STRING_OR_BRACKET.findall(text) if found[0] not in "\"'")


def _closed_behind(before: str, behind: str) -> int:
    """How many of the brackets ``behind`` close one that is open, until the first that does not fit."""
    stack: list[str] = []
    for bracket in before:
        if bracket in "([{":
            stack.append(bracket)
        elif bracket in _PAIRS and stack and stack[-1] == _PAIRS[bracket]:
            stack.pop()
        elif bracket in _PAIRS:
            stack.clear()  # closes something opened before the window, or is wrong: what was open no longer is
    outer, count = len(stack), 0
    for bracket in behind:
        if bracket in "([{":
            stack.append(bracket)
        elif bracket in _PAIRS:
            if not stack or stack[-1] != _PAIRS[bracket]:
                break
            stack.pop()
            if len(stack) < outer:
                outer -= 1
                count += 1
    return count
