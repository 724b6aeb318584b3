"""The few small edits that turn one text into another, for clients that send whole texts.

Exact, but not always the shortest: time is bounded whatever the texts.

Knows two texts; knows no positions of the protocol.
"""

from __future__ import annotations

from lint.line_changes import changed_lines
from model.api.edits import changes_nothing, trimmed
from model.api.types import Edit

_MOST_COPIED_CHAR = 50_000_000  # about 20 ms


def minimal_edits(old: str, new: str) -> tuple[Edit, ...]:
    """Return edits that turn `old` into `new`, the last place first, so that each is in indices of `old`."""
    found = trimmed(Edit(0, len(old), new), old)
    if changes_nothing(found):
        return ()
    old_piece = old[found.start : found.end]
    if "\n" not in old_piece or "\n" not in found.text:
        return (found,)
    # Lines of LF only: what matters here is that pieces are cut alike on both sides.
    old_lines, new_lines = old_piece.splitlines(keepends=True), found.text.splitlines(keepends=True)
    changed = list(changed_lines(old_lines, new_lines))
    if are_too_many(len(changed), old):
        return (found,)
    edits = []
    start_char = found.start + len(old_piece)
    end_line = len(old_lines)
    for begin, end, new_begin, new_end in reversed(changed):
        end_char = start_char - sum(map(len, old_lines[end:end_line]))
        start_char = end_char - sum(map(len, old_lines[begin:end]))
        end_line = begin
        edits.append(trimmed(Edit(start_char, end_char, "".join(new_lines[new_begin:new_end])), old))
    return tuple(edit for edit in edits if not changes_nothing(edit))


def are_too_many(edits: int, text: str) -> bool:
    """Whether so many edits of a text, each of which copies it, would be felt; one that spans them all is not."""
    return edits > 1 and edits * len(text) > _MOST_COPIED_CHAR
