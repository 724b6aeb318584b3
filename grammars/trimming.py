"""Cutting off what an infill repeats of the text behind it: the most common complaint about code completion.

What is repeated may be the rest of the line, the next lines, a closing bracket or quote or separator that the file
has already; or the infill says all of that and goes on. White space does not count when texts are compared. Where a
repeat could also be meant (`a[i]` before `]`), what leaves the file in better order is right: see `trials`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from grammars.damage import DAMAGE_SECONDS
from grammars.offsets import LINE_BREAK, line_end
from grammars.snapshot import SyntaxSnapshot
from grammars.trials import Trials, first_unescaped

_BLANK = re.compile(r"\s+")
_LINE = re.compile(r"[^\r\n]+")
_SEPARATORS = frozenset(",;:")
_CLOSING = frozenset(")]}>\"'`;,:")
_NEVER_SPACED = frozenset(")]:;,")  # what no blank stands before
_CLOSING_WORDS = frozenset({"end", "fi", "done", "esac", "endif", "endforeach", "endfor", "endwhile", "endswitch"})
_MIN_PARTIAL_WORD_CHAR = 6
_MOST_PLACES = 8  # where the rest of the line is looked for in an infill; each costs a parse


@dataclass(frozen=True)
class _Cut:
    """A place to end an infill at, because `repeated` (without blanks) begins there."""

    char: int
    repeated: str
    is_plain: bool
    """Whether it says enough to be a repeat; else only a file in better order tells."""


def trim_infill(
    snapshot: SyntaxSnapshot, start_char: int, end_char: int, infill: str, timeout_seconds: float = DAMAGE_SECONDS
) -> str:
    """The beginning of ``infill``, without what it repeats of the text behind ``[start_char, end_char)``.

    Returns the infill as it is when it repeats nothing, and the empty string when it is nothing but a repeat. The
    result is always a prefix of the infill. Each of the few checks with the parser takes at most ``timeout_seconds``;
    without syntax only what is plain from the text is cut.
    """
    return trimmed(Trials(snapshot, start_char, end_char, timeout_seconds), infill)


def trimmed(trials: Trials, infill: str) -> str:
    """`trim_infill` for a gap that is being tried already."""
    suffix = trials.suffix
    if not infill.strip() or not suffix.strip():
        return _without_repeated_break(infill, suffix)
    if trials.delimiter and (kept := _inside_string(trials, infill)) is not None:
        return kept
    for cut in _cuts(trials, infill):
        if cut.char < len(infill) and _is_repeat(trials, infill, cut):
            kept = infill[: cut.char]
            return kept.rstrip() if suffix[0].isspace() or suffix[0] in _NEVER_SPACED else kept
    return _without_repeated_break(infill, suffix)


def _without_repeated_break(infill: str, suffix: str) -> str:
    """An infill before a line break needs no line break, nor blanks, of its own at the end."""
    return infill.rstrip() if not suffix or suffix[0] in "\r\n" else infill


def _inside_string(trials: Trials, infill: str) -> str | None:
    """The part of the infill that stays in the string, without the rest of the string. None if that is all of it."""
    kept = infill
    quote_char = first_unescaped(infill, trials.delimiter)
    if quote_char is not None and trials.swallows(infill):
        kept = infill[:quote_char]
    rest = trials.string_rest
    if rest.strip() and kept.endswith(rest):
        kept = kept[: len(kept) - len(rest)]
    return None if kept == infill else kept


def _cuts(trials: Trials, infill: str) -> Iterator[_Cut]:
    yield from _repeated_lines(infill, trials.suffix)
    yield from _repeated_tails(infill, trials.prefix_line, trials.suffix)
    yield from _passed_over(infill, trials.rest_of_line)


def _repeated_lines(infill: str, suffix: str) -> Iterator[_Cut]:
    """Where the infill says the next two lines of the file, whatever it goes on to say after them."""
    first_line_end = line_end(suffix, 0)
    if suffix[:first_line_end].strip():
        return
    following = [line.strip() for line in LINE_BREAK.split(suffix[first_line_end:]) if line.strip()][:2]
    if len(following) < 2 or sum(map(str.isalnum, "".join(following))) < _MIN_PARTIAL_WORD_CHAR:
        return
    lines = [(found.start(), found[0].strip()) for found in _LINE.finditer(infill) if found[0].strip()]
    for (start_char, first), (_, second) in pairwise(lines):
        if [first, second] == following:
            yield _Cut(start_char, "".join(following), is_plain=True)
            return


def _repeated_tails(infill: str, prefix_line: str, suffix: str) -> Iterator[_Cut]:
    """Where ends of the infill begin that the suffix begins with, the longest first."""
    said, places = _squeezed(infill, len(suffix))
    head = _BLANK.sub("", suffix)
    rest_of_line = _BLANK.sub("", suffix[: line_end(suffix, 0)])
    first_line = rest_of_line or _BLANK.sub("", suffix.lstrip().splitlines()[0])
    is_for_header = "for" in prefix_line.split("(")[0].split()  # where `;` may well stand twice
    for length in range(min(len(said), len(head)), 0, -1):
        repeated = head[:length]
        if not said.endswith(repeated):
            continue
        cut_char = places[-length]
        line_before = (prefix_line + infill[:cut_char]).rpartition("\n")[2].rpartition("\r")[2]
        word_chars = sum(map(str.isalnum, repeated))
        if word_chars:
            if not rest_of_line and line_before.strip():
                continue  # the end of a longer line is not the next line
            is_whole_line = not any(map(str.isalnum, first_line[length:]))
            is_plain = is_whole_line or word_chars >= _MIN_PARTIAL_WORD_CHAR
            if not is_plain and _splits_word(infill, cut_char, head, length):
                continue
        else:
            closes_line = repeated == rest_of_line and length > 1
            is_plain = closes_line or (repeated in _SEPARATORS and not is_for_header)
            if not (closes_line or _CLOSING.issuperset(repeated) or rest_of_line.startswith(repeated)):
                continue
        yield _Cut(cut_char, repeated, is_plain)


def _passed_over(infill: str, rest_of_line: str) -> Iterator[_Cut]:
    """Where the infill says the rest of the line, which stands behind it, and goes on."""
    rest = _BLANK.sub("", rest_of_line)
    said, places = _squeezed(infill, len(infill))
    at = said.find(rest) if rest else -1
    for _place in range(_MOST_PLACES):
        if at < 0:
            return
        if not _splits_word(infill, places[at], rest, len(rest)):
            yield _Cut(places[at], rest, is_plain=False)
        at = said.find(rest, at + 1)


def _squeezed(text: str, most_char: int) -> tuple[str, list[int]]:
    """The end of a text without its blanks, and where each of its characters stands in the text."""
    places = [index for index, character in enumerate(text) if not character.isspace()][-most_char:]
    return "".join(text[index] for index in places), places


def _splits_word(infill: str, cut_char: int, head: str, length: int) -> bool:
    """Whether a repeat begins or ends inside a word."""
    before, after = infill[max(0, cut_char - 1) : cut_char + 1], head[length - 1 : length + 1]
    return any(len(pair) == 2 and all(map(_is_of_word, pair)) for pair in (before, after))


def _is_of_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _is_repeat(trials: Trials, infill: str, cut: _Cut) -> bool:
    """Whether the file is in better order without what is repeated; or as good, if it is plainly a repeat."""
    kept = infill[: cut.char]
    repeated = infill[cut.char :].strip()
    if repeated in _CLOSING_WORDS or repeated.startswith("</"):
        return not _closes_own(trials, infill, cut.char)
    worse, better = trials.cost(infill), trials.cost(kept)
    return better < worse or (better == worse and cut.is_plain)


def _closes_own(trials: Trials, infill: str, closer_char: int) -> bool:
    """Whether the `end` or `</p>` at ``closer_char`` closes something that the infill begins. Without a tree: yes."""
    infilled = trials.infilled(infill)
    if infilled is None or infilled.tree is None:
        return True
    start_byte = infilled.offsets.byte(trials.start_char)
    closer_byte = infilled.offsets.byte(trials.start_char + closer_char)
    node = infilled.tree.root_node.descendant_for_byte_range(closer_byte, closer_byte + 1)
    while node is not None and node.start_byte >= closer_byte:
        node = node.parent
    return node is not None and node.start_byte >= start_byte
