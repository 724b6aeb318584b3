"""What is left of a suggestion: `|` is the cursor, in the text where it was made and in the text of now."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.remembered import Place, Remembered

FIRST = "f(|)\n"
TEXTS = ("a, b", "a + c", "x")


def place(marked: str) -> Place:
    before, after = marked.split("|")
    return Place(before + after, len(before))


def known(*texts: str, at: str = FIRST, shown_char: int | None = None) -> Remembered:
    """Texts that were suggested at a place, the first one shown whole or up to `shown_char`."""
    shown = Remembered.at(place(at), texts, tuple(range(len(texts))))
    return shown if shown_char is None else Remembered(shown.prefix, shown.suffix, texts, shown_char, shown.numbers)


def check_rests(now: str, expected: dict[int, str], *texts: str) -> None:
    assert known(*texts or TEXTS).rests(place(now)) == expected


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("f(|)\n", {0: "a, b", 1: "a + c", 2: "x"}),
        ("f(a|)\n", {0: ", b", 1: " + c"}),
        ("f(a |)\n", {1: "+ c"}),
        ("f(a, b|)\n", {}),
        ("f(y|)\n", {}),
        ("f(x|)\n", {}),
        ("g(|)\n", {}),  # another text before
        ("f(|)\n\n", {}),  # another text behind
        ("f|()\n", {}),  # the cursor stands before the place
        ("f()|\n", {}),  # behind it
        ("f(a|b)\n", {}),  # what stands behind the cursor was typed by nobody
    ],
)
def test_rests_of_what_is_typed_through(now: str, expected: dict[int, str]) -> None:
    check_rests(now, expected)


def test_closing_brackets_of_the_editor_belong_to_the_suggestion() -> None:
    shown = known("f(a)", "g", at="x = |\n")
    assert shown.rests(place("x = f(|)\n")) == {0: "a"}
    assert shown.rests(place("x = f(a|)\n")) == {}
    assert shown.rests(place("x = f(|]\n")) == {}, "another bracket than the suggestion's"


def test_a_rest_of_blanks_is_nothing() -> None:
    check_rests("f(a|)\n", {}, "a  \n")


def test_no_more_of_the_first_text_than_was_shown() -> None:
    shown = known("one\ntwo", "other", at="|", shown_char=3)
    assert shown.shown_rests(place("|")) == {0: "one", 1: "other"}
    assert shown.shown_rests(place("o|")) == {0: "ne", 1: "ther"}
    assert shown.shown_rests(place("one|")) == {}
    assert shown.shown_rests(place("ot|")) == {1: "her"}
    assert shown.shown_rests(place("no|")) == {}


def test_what_follows_once_all_that_was_shown_is_typed() -> None:
    shown = known("one\ntwo", "other", at="|", shown_char=3)
    assert shown.unshown_rest(place("on|")) == "", "not all of it is typed yet"
    assert shown.unshown_rest(place("one|")) == "\ntwo"
    assert shown.unshown_rest(place("one\ntw|")) == "o"
    assert shown.unshown_rest(place("one\ntwo|")) == ""
    assert shown.unshown_rest(place("other|")) == ""
    assert known("one", at="|").continued("\nmore").unshown_rest(place("one|")) == "\nmore"


def test_a_part_that_is_shown_next_is_all_that_is_shown() -> None:
    now = known("one\ntwo\nthree", "other", at="|", shown_char=3).showing(place("one|"), "\ntwo", number=9)
    assert now.shown_rests(place("one|")) == {0: "\ntwo"}
    assert now.shown_rests(place("one\nt|")) == {0: "wo"}
    assert now.unshown_rest(place("one\ntwo|")) == "\nthree"
    assert now.numbers == (9,)
    assert now.rests(place("o|")) == {0: "ne\ntwo\nthree"}, "the other text is gone"


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("f(|)\n", True),
        ("f(a|)\n", True),
        ("f(a, b|)\n", True),  # all of it
        ("f(x|)\n", False),  # of another candidate
        ("f(a, b, |)\n", False),
        ("g(|)\n", False),
    ],
)
def test_typing_is_on_the_way_to_the_first_text(now: str, expected: bool) -> None:
    assert known(*TEXTS).is_on_the_way(place(now)) is expected


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("f(|)\n", "a, b"),
        ("f(a|)\n", ", b"),
        ("f(a +|)\n", " c"),  # of the second
        ("f(o|)\n", ", b"),  # one key was another
        ("f(oo, or|)\n", None),  # longer than anything known
        ("g(|)\n", None),
    ],
)
def test_drafts(now: str, expected: str | None) -> None:
    assert known(*TEXTS).draft(place(now)) == expected


def test_a_decode_that_was_overtaken_is_a_draft_and_no_suggestion() -> None:
    grown = Remembered.at(place(FIRST), ("a, b",))
    assert grown.shown_rests(place("f(a|)\n")) == {}
    assert grown.draft(place("f(a|)\n")) == ", b"
    assert Remembered.at(place(FIRST), ("",)).draft(place(FIRST)) is None


@given(st.text("ab()\n🐍"), st.text("ab()\n🐍"), st.text("ab()\n🐍", min_size=1), st.integers(0, 8))
def test_typing_a_suggestion_leaves_its_rest(prefix: str, suffix: str, text: str, typed_char: int) -> None:
    typed, rest = text[:typed_char], text[typed_char:]
    shown = Remembered.at(Place(prefix + suffix, len(prefix)), (text,), (1,))
    now = Place(prefix + typed + suffix, len(prefix + typed))
    assert shown.is_on_the_way(now)
    assert shown.shown_rests(now) == ({0: rest} if rest.strip() else {})
    assert shown.draft(now) == (rest or None)
