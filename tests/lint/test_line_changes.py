"""Which lines changed: whatever the texts, the rest is the same; and the time is bounded."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lint.line_changes import Changed, changed_lines

few = st.lists(st.sampled_from("abcdefgh"), max_size=40)


def check(old: list[str], new: list[str]) -> list[Changed]:
    """Return what changed, after it has been made sure that it makes the one text of the other."""
    found = list(changed_lines(old, new))
    made: list[str] = []
    at = 0
    for change in found:
        assert at <= change.old_start <= change.old_end
        made += old[at : change.old_start]
        assert len(made) == change.new_start
        made += new[change.new_start : change.new_end]
        at = change.old_end
    assert made + old[at:] == new
    return found


@given(few, few)
def test_what_did_not_change_is_the_same(old: list[str], new: list[str]) -> None:
    found = check(old, new)
    assert all(old[a:b] != new[c:d] for a, b, c, d in found)
    assert bool(found) == (old != new)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("a b c", "a x c", [(1, 2, 1, 2)]),
        ("a b c", "a c", [(1, 2, 1, 1)]),
        ("a c", "a b c", [(1, 1, 1, 2)]),
        ("f { } g { }", "f { } n { } g { }", [(3, 3, 3, 6)]),
        ("a b c d", "c d a b", [(0, 2, 0, 0), (4, 4, 2, 4)]),
        ("x 1 1 y", "y 1 1 x", [(0, 3, 0, 0), (4, 4, 1, 4)]),
        ("", "a", [(0, 0, 0, 1)]),
    ],
)
def test_lines_that_stand_once_hold_texts_together(old: str, new: str, expected: list[tuple[int, ...]]) -> None:
    assert check(old.split(), new.split()) == expected


def test_long_pieces_of_lines_that_repeat() -> None:
    """With as many lines as before, each is compared with the one in its place; else the whole piece has changed."""
    old = ["}", "{"] * 1000
    assert check(old, [*old[:700], "!", *old[701:1400], "!", *old[1401:]]) == [
        (700, 701, 700, 701),
        (1400, 1401, 1400, 1401),
    ]
    assert check([*old, "end"], ["{", *old[:1800], "{", "end"]) == [(0, 1999, 0, 1801)]


def test_texts_that_no_diff_likes() -> None:
    """Three such pairs took a diff that compares all lines five minutes, which is the time limit of a test."""
    draw = random.Random(0)
    for _ in range(4):
        check(["a", "b"] * 1000, ["b", "a", "a"] * 660)
        check([draw.choice("abc") for _ in range(3000)], [draw.choice("abc") for _ in range(2990)])
    unique = [str(number) for number in range(40_000)]
    check(unique, draw.sample(unique, len(unique)))
