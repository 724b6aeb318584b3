"""The few small edits that turn one text into another, for clients that send whole texts.

Exact, but not always the shortest: time is bounded whatever the texts.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher

from model.api.types import Edit

_MOST_COPIED_CHAR = 50_000_000  # about 20 ms
_MOST_LINE_PAIRS = 40_000  # that are compared to align two pieces of different length


def minimal_edits(old: str, new: str) -> tuple[Edit, ...]:
    """Return edits that turn `old` into `new`, the last place first, so that each is in indices of `old`."""
    found = trimmed(old, 0, len(old), new)
    if found is None:
        return ()
    old_piece = old[found.start : found.end]
    if "\n" not in old_piece or "\n" not in found.text:
        return (found,)
    # Lines of LF only: what matters here is that pieces are cut alike on both sides.
    old_lines, new_lines = old_piece.splitlines(keepends=True), found.text.splitlines(keepends=True)
    changed = list(_changed_lines(old_lines, new_lines))
    if are_too_many(len(changed), old):
        return (found,)
    edits = []
    start_char = found.start + len(old_piece)
    end_line = len(old_lines)
    for begin, end, new_begin, new_end in reversed(changed):
        end_char = start_char - sum(map(len, old_lines[end:end_line]))
        start_char = end_char - sum(map(len, old_lines[begin:end]))
        end_line = begin
        edits.append(trimmed(old, start_char, end_char, "".join(new_lines[new_begin:new_end])))
    return tuple(edit for edit in edits if edit)


def are_too_many(edits: int, text: str) -> bool:
    """Whether so many edits of a text, each of which copies it, would be felt; one that spans them all is not."""
    return edits > 1 and edits * len(text) > _MOST_COPIED_CHAR


def trimmed(old: str, start: int, end: int, text: str) -> Edit | None:
    """Return the edit that puts `text` in place of `old[start:end]`, but not what stays as it was; None for none."""
    replaced = old[start:end]
    same = common_prefix(replaced, text)
    if same == len(replaced) == len(text):
        return None
    same_end = common_suffix(replaced[same:], text[same:])
    return Edit(start + same, end - same_end, text[same : len(text) - same_end])


def common_prefix(left: str, right: str) -> int:
    """Return how many characters both begin with. Compares in doubling pieces: as fast as comparing memory."""
    low, high = 0, min(len(left), len(right))
    step = 64
    while low < high:
        size = min(step, high - low)
        if left[low : low + size] == right[low : low + size]:
            low, step = low + size, step * 2
        elif size == 1:
            break
        else:
            high, step = low + size, max(1, size // 2)
    return low


def common_suffix(left: str, right: str) -> int:
    """Return how many characters both end with."""
    low, high = 0, min(len(left), len(right))
    step = 64
    while low < high:
        size = min(step, high - low)
        if left[len(left) - low - size : len(left) - low] == right[len(right) - low - size : len(right) - low]:
            low, step = low + size, step * 2
        elif size == 1:
            break
        else:
            high, step = low + size, max(1, size // 2)
    return low


def _changed_lines(old: list[str], new: list[str]) -> Iterator[tuple[int, int, int, int]]:
    if len(old) == len(new):  # a rename, or a formatter that keeps the lines
        changed = [index for index, (before, after) in enumerate(zip(old, new, strict=True)) if before != after]
        yield from ((index, index + 1, index, index + 1) for index in changed)
    elif len(old) * len(new) <= _MOST_LINE_PAIRS:
        for tag, *lines in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
            if tag != "equal":
                yield lines[0], lines[1], lines[2], lines[3]
    else:
        yield 0, len(old), 0, len(new)
