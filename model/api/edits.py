"""Edits of a text: checking, applying, trimming and undoing them. The owners of a text all ask here.

Knows strings and string indices; knows no lines, files or tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

from model.api.types import Edit
from model.errors import RangeError

_COMPARED_CHARS = 4096  # at a time, so that no more than this is copied to find where two long texts differ


def check(edits: Sequence[Edit], length: int) -> None:
    """Raise RangeError unless `edits`, one after the other, lie within a text of `length` characters."""
    for edit in edits:
        if not 0 <= edit.start <= edit.end <= length:
            raise RangeError(
                f"edit [{edit.start}, {edit.end}) lies outside the text of {length} characters, or is reversed"
            )
        length += grown(edit)


def applied(text: str, edit: Edit) -> str:
    """Return `text` after an edit that lies within it."""
    return text[: edit.start] + edit.text + text[edit.end :]


def grown(edit: Edit) -> int:
    """Return by how many characters an edit makes a text longer."""
    return len(edit.text) - (edit.end - edit.start)


def undoing(edit: Edit, text: str) -> Edit:
    """Return the edit that undoes `edit` of `text`."""
    return Edit(edit.start, edit.start + len(edit.text), text[edit.start : edit.end])


def trimmed(edit: Edit, text: str) -> Edit:
    """Return `edit` of `text` without what it leaves as it was at its ends, as in a whole file that was formatted."""
    old = text[edit.start : edit.end]
    same = common_prefix_chars(old, edit.text)
    old, new = old[same:], edit.text[same:]
    same_end = common_suffix_chars(old, new)
    return Edit(edit.start + same, edit.end - same_end, new[: len(new) - same_end])


def changes_nothing(edit: Edit) -> bool:
    """Whether a trimmed edit leaves a text as it was."""
    return edit.start == edit.end and not edit.text


def common_prefix_chars(a: str, b: str) -> int:
    """Return how many characters `a` and `b` have in common at their beginnings."""
    end = min(len(a), len(b))
    low = 0
    while low < end and a[low : low + _COMPARED_CHARS] == b[low : low + _COMPARED_CHARS]:
        low += _COMPARED_CHARS
    high = min(low + _COMPARED_CHARS, end)
    low = min(low, end)
    while low < high:
        mid = (low + high + 1) // 2
        low, high = (mid, high) if a[low:mid] == b[low:mid] else (low, mid - 1)
    return low


def common_suffix_chars(a: str, b: str) -> int:
    """Return how many characters `a` and `b` have in common at their ends."""
    end = min(len(a), len(b))
    same = 0
    while same < end:
        step = min(_COMPARED_CHARS, end - same)
        last_a, last_b = a[len(a) - same - step : len(a) - same], b[len(b) - same - step : len(b) - same]
        if last_a != last_b:
            return same + common_prefix_chars(last_a[::-1], last_b[::-1])
        same += step
    return same
