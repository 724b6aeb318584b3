"""The statement, block or signature around a range, and what there is to fill.

Every function answers for any range (ends are clamped) and in any file. Without a tree, lines and their indentation
stand in for statements and blocks.
"""

from __future__ import annotations

from enum import StrEnum

from grammars.captures import Capture, captures_around, captures_between, span_of
from grammars.offsets import Span, clamp_span, line_end, line_start, next_line_start
from grammars.places import PlaceKind, place_at
from grammars.snapshot import SyntaxSnapshot

_STATEMENT = frozenset({"statement", "comment"})  # a comment stands for itself, like a statement
_BLOCK = frozenset({"block"})
_SIGNATURE = frozenset({"signature"})
_CLOSERS = ")]}>;,:\"'`"
_PAIRS = {"(": ")", "[": "]", "{": "}"}
_LINES_AROUND = 400


class Stop(StrEnum):
    """Where an infill is expected to end."""

    LINE = "line"
    STATEMENT = "statement"
    BLOCK = "block"


def statement_span(snapshot: SyntaxSnapshot, start_char: int, end_char: int) -> Span | None:
    """The statement around the range; for a range over several, from the first of them to the last.

    White space at the range's ends is not part of what is asked for, so a cursor behind a statement or in the
    indentation before it means that statement. None on a blank line. Without a tree: the lines, without indentation.
    """
    text = snapshot.text
    start_char, end_char = _shrink(text, *clamp_span(start_char, end_char, text))
    if start_char == end_char and not text[line_start(text, start_char) : line_end(text, start_char)].strip():
        return None
    if snapshot.tree is None:
        return Span(*_shrink(text, line_start(text, start_char), line_end(text, end_char)))
    block = next(iter(captures_around(snapshot, _BLOCK, start_char, end_char)), None)
    first = _statement_in(snapshot, block, start_char, start_char if end_char > start_char else None)
    last = _statement_in(snapshot, block, end_char, end_char if end_char > start_char else None)
    if first is None or last is None:
        around = captures_around(snapshot, _STATEMENT, start_char, end_char)
        return span_of(snapshot, around[0].start_byte, around[0].end_byte) if around else None
    return span_of(snapshot, min(first.start_byte, last.start_byte), max(first.end_byte, last.end_byte))


def _statement_in(
    snapshot: SyntaxSnapshot, block: Capture | None, offset_char: int, of_range: int | None
) -> Capture | None:
    """The statement at an offset: for a range the outermost one inside the range's block, for a cursor the innermost.

    When two statements touch at a cursor (`a;|b;`) the one that begins there is meant.
    """
    found = captures_around(snapshot, _STATEMENT, offset_char, offset_char)
    if of_range is None:
        return found[0] if found else None
    inside = [
        statement
        for statement in found
        if block is None or (block.holds(statement.start_byte, statement.end_byte) and statement.node != block.node)
    ]
    return inside[-1] if inside else None


def block_span(snapshot: SyntaxSnapshot, start_char: int, end_char: int) -> Span | None:
    """The innermost block that holds the range, with its brackets. None outside any block.

    Without a tree: the neighbouring lines indented at least as far as the least indented line of the range.
    """
    start_char, end_char = clamp_span(start_char, end_char, snapshot.text)
    if snapshot.tree is None:
        return _indented_lines(snapshot.text, start_char, end_char)
    block = next(iter(captures_around(snapshot, _BLOCK, start_char, end_char)), None)
    return span_of(snapshot, block.start_byte, block.end_byte) if block else None


def signature_span(snapshot: SyntaxSnapshot, start_char: int, end_char: int) -> Span | None:
    """The signature of the innermost definition that holds the range: `def f(x):` without its body. None outside."""
    start_char, end_char = clamp_span(start_char, end_char, snapshot.text)
    for capture in captures_around(snapshot, _SIGNATURE, start_char, end_char):
        return span_of(snapshot, capture.start_byte, capture.signature_end_byte)
    return None


def fill_block_span(snapshot: SyntaxSnapshot, offset_char: int) -> Span:
    """Where "fill this block" begins and ends: what stands between a block's brackets, without the white space there.

    The block is the body of the signature the offset is in, else the innermost block around it. In an empty block
    the span is empty: at the offset when that lies inside, else right behind the opening bracket. Outside any block
    it is empty at the offset.
    """
    offset_char = clamp_span(offset_char, offset_char, snapshot.text).start_char
    here = Span(offset_char, offset_char)
    if snapshot.tree is None:
        return _indented_lines(snapshot.text, offset_char, offset_char) or here
    block = _body_of_signature_at(snapshot, offset_char)
    if block is None:
        block = next(iter(captures_around(snapshot, _BLOCK, offset_char, offset_char)), None)
    if block is None:
        return here
    start_byte, end_byte = block.start_byte, block.end_byte
    if block.node.child_count:
        first, last = block.node.child(0), block.node.child(block.node.child_count - 1)
        tags = snapshot.language.block_tags
        if first is not None and (not first.is_named or first.type in tags):
            start_byte = first.end_byte
        if last is not None and last.start_byte >= start_byte and (not last.is_named or last.type in tags):
            end_byte = last.start_byte
    start_char, end_char = snapshot.offsets.char(start_byte), snapshot.offsets.char(end_byte)
    inside = snapshot.text[start_char:end_char]
    if inside.strip():
        leading = len(inside) - len(inside.lstrip())
        return Span(start_char + leading, start_char + len(inside.rstrip()))
    return here if start_char <= offset_char <= end_char else Span(start_char, start_char)


def _body_of_signature_at(snapshot: SyntaxSnapshot, offset_char: int) -> Capture | None:
    offset_byte = snapshot.offsets.byte(offset_char)
    for definition in captures_around(snapshot, _SIGNATURE, offset_char, offset_char):
        if not definition.start_byte <= offset_byte <= definition.signature_end_byte < definition.end_byte:
            continue
        body_byte = definition.signature_end_byte
        for block in captures_between(snapshot, _BLOCK, body_byte, min(definition.end_byte, body_byte + 400)):
            if body_byte <= block.start_byte and block.end_byte <= definition.end_byte:
                return block
    return None


def expected_stop(snapshot: SyntaxSnapshot, start_char: int, end_char: int) -> Stop:
    """Where an infill of the gap ``[start_char, end_char)`` is expected to end. The range's own text is not looked at.

    In a comment, a string, or before more code on the line: the line. Where a block was just opened and nothing
    stands in it yet: the block. On a blank line or behind an open bracket: the statement. Otherwise: the line.
    """
    text = snapshot.text
    start_char, end_char = clamp_span(start_char, end_char, text)
    before = text[line_start(text, start_char) : start_char][-2000:].strip()
    after = text[end_char : line_end(text, end_char)][:2000].strip()
    if place_at(snapshot, start_char).kind in (PlaceKind.COMMENT, PlaceKind.STRING):
        return Stop.LINE
    if after.strip(_CLOSERS + " \t"):
        return Stop.LINE
    opener = before or _last_line_before(text, start_char)
    if _opens_block(snapshot, opener) and _nothing_follows(text, start_char, end_char, after):
        return Stop.BLOCK
    if not before:
        return Stop.LINE if after else Stop.STATEMENT
    if after or snapshot.text[start_char:end_char].count("\n") > 1:
        return Stop.LINE if after else Stop.STATEMENT
    is_open = any(before.count(opening) > before.count(closing) for opening, closing in _PAIRS.items())
    return Stop.STATEMENT if is_open else Stop.LINE


def _opens_block(snapshot: SyntaxSnapshot, line: str) -> bool:
    for comment in snapshot.language.line_comments:
        line = line.split(f" {comment}", 1)[0]
    line = line.rstrip()
    for opener in snapshot.language.block_openers:
        if line.endswith(opener) and (not opener.isalpha() or line[-len(opener) - 1 : -len(opener)] in ("", " ", "\t")):
            return True
    return False


def _nothing_follows(text: str, start_char: int, end_char: int, after: str) -> bool:
    """Whether what stands behind the gap lies outside the block opened before it: closers, or lines no deeper."""
    opener_char = start_char
    while opener_char > 0 and text[opener_char - 1].isspace():
        opener_char -= 1
    depth = _indent_width(text, line_start(text, opener_char))
    if after:
        return after[0] in _CLOSERS or after.startswith("<")
    following = next_line_start(text, end_char)
    for _line in range(_LINES_AROUND):
        if following >= len(text):
            return True
        if text[following : line_end(text, following)].strip():
            return _indent_width(text, following) <= depth
        following = next_line_start(text, following)
    return True


def _last_line_before(text: str, offset_char: int) -> str:
    """The last line above the offset's own that is not blank, stripped."""
    start_char = line_start(text, offset_char)
    for _line in range(_LINES_AROUND):
        if start_char == 0:
            return ""
        end_char = start_char
        start_char = line_start(text, start_char - 1)
        line = text[max(start_char, end_char - 2000) : end_char].strip()
        if line:
            return line
    return ""


def _indent_width(text: str, line_start_char: int) -> int:
    width = 0
    while text[line_start_char + width : line_start_char + width + 1] in (" ", "\t"):
        width += 1
    return width


def _shrink(text: str, start_char: int, end_char: int) -> Span:
    """The range without white space at its ends; an empty one moves to the nearest text on its line."""
    while start_char < end_char and text[start_char].isspace():
        start_char += 1
    while end_char > start_char and text[end_char - 1].isspace():
        end_char -= 1
    if start_char == end_char:
        line_start_char, line_end_char = line_start(text, start_char), line_end(text, start_char)
        while start_char < line_end_char and text[start_char].isspace():
            start_char += 1
        while start_char > line_start_char and text[start_char - 1 : start_char + 1].isspace():
            start_char -= 1
        end_char = start_char
    return Span(start_char, end_char)


def _indented_lines(text: str, start_char: int, end_char: int) -> Span | None:
    """The run of lines around the range indented as far as it is, or further; blank lines inside the run belong."""
    first, last = line_start(text, start_char), line_start(text, end_char)
    if not text[first : line_end(text, last)].strip():
        return None
    depth = _indent_width(text, first)
    for _line in range(_LINES_AROUND):
        above = line_start(text, first - 1) if first else 0
        if first == 0 or not text[above:first].strip() or _indent_width(text, above) < depth:
            break
        first = above
    for _line in range(_LINES_AROUND):
        below = next_line_start(text, last)
        if below >= len(text) or not text[below : line_end(text, below)].strip() or _indent_width(text, below) < depth:
            break
        last = below
    return Span(first + depth, line_end(text, last))
