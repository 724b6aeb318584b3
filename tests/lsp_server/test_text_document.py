"""Positions in every unit and changes of every kind, against the plainest reading of the protocol."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types

from lsp_server.line_index import LineIndex
from lsp_server.text_diff import minimal_edits
from lsp_server.text_document import TextDocument
from lsp_server.text_units import ColumnUnit, char_to_column, column_to_char, join_surrogates
from model.api.edits import common_prefix_chars, common_suffix_chars
from model.api.types import Edit

UTF8, UTF16, UTF32 = ColumnUnit.UTF8, ColumnUnit.UTF16, ColumnUnit.UTF32

texts = st.text(st.sampled_from("ab \t\n\r\x0b\x0c\x1c\x85\u2028\u2029é漢🐍\ud83d\udc0d"), max_size=40).map(
    join_surrogates
)
units = st.sampled_from(list(ColumnUnit))


def place(line: int, column: int) -> types.Position:
    return types.Position(line, column)


def partial(start: tuple[int, int], end: tuple[int, int], text: str) -> types.TextDocumentContentChangePartial:
    return types.TextDocumentContentChangePartial(range=types.Range(place(*start), place(*end)), text=text)


def whole(text: str) -> types.TextDocumentContentChangeWholeDocument:
    return types.TextDocumentContentChangeWholeDocument(text=text)


def plain_starts(text: str) -> list[int]:
    return [0, *(found.end() for found in re.finditer(r"\r\n|\n|\r", text))]


def width(character: str, unit: ColumnUnit) -> int:
    if unit is UTF16:
        return 2 if character > "\uffff" else 1
    if unit is UTF8:
        return len(character.encode("utf-8", "surrogatepass"))
    return 1


def applied(text: str, edits: tuple[Edit, ...]) -> str:
    for edit in edits:
        assert 0 <= edit.start <= edit.end <= len(text)
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


@pytest.mark.parametrize(
    ("line", "unit", "columns"),
    [
        ("", UTF16, [0]),
        ("a\tb", UTF8, [0, 1, 2, 3]),
        ("é漢🐍x", UTF8, [0, 2, 5, 9, 10]),
        ("é漢🐍x", UTF16, [0, 1, 2, 4, 5]),
        ("é漢🐍x", UTF32, [0, 1, 2, 3, 4]),
        ("\ud83dx", UTF16, [0, 1, 2]),
        ("\ud83dx", UTF8, [0, 3, 4]),
    ],
)
def test_columns(line: str, unit: ColumnUnit, columns: list[int]) -> None:
    assert [char_to_column(line, char, unit) for char in range(len(line) + 1)] == columns
    assert [column_to_char(line, column, unit) for column in columns] == list(range(len(line) + 1))


@given(st.text(max_size=30), units, st.integers(-3, 200))
def test_a_column_inside_a_character_is_its_start_and_one_past_the_end_the_end(
    line: str, unit: ColumnUnit, column: int
) -> None:
    char, sum_of_widths = 0, 0
    while char < len(line) and sum_of_widths + width(line[char], unit) <= column:
        sum_of_widths += width(line[char], unit)
        char += 1
    assert column_to_char(line, column, unit) == char
    assert char_to_column(line, char, unit) == sum_of_widths


@given(texts, st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), texts), max_size=6))
def test_the_line_index_follows_every_edit(text: str, edits: list[tuple[int, int, str]]) -> None:
    index = LineIndex(text)
    for first, second, new in edits:
        start, end = sorted((min(first, len(text)), min(second, len(text))))
        text = text[:start] + new + text[end:]
        index.replaced(start, end, text, len(new) - (end - start))
        starts = plain_starts(text)
        assert [index.start(line) for line in range(index.line_count)] == starts
        for char in range(len(text) + 1):
            assert index.line_at(char) == sum(start <= char for start in starts) - 1


@given(texts, units)
def test_positions_and_indices_are_inverse(text: str, unit: ColumnUnit) -> None:
    document = TextDocument(text, unit)
    for char in range(len(text) + 1):
        inside_break = text[max(0, char - 1) : char + 1] == "\r\n"
        assert document.char_at(document.position_at(char)) == char - inside_break


@pytest.mark.parametrize("text", ["", "a", "a\n", "a\r\nb", "a\rb", "a\x0cb\x0b\x1c\x85\u2028\u2029c\nd"])
def test_positions_out_of_range_mean_the_nearest_place(text: str) -> None:
    document = TextDocument(text, UTF16)
    assert document.char_at(place(999, 0)) == document.char_at(place(999, 999)) == len(text)
    first_line_end = re.match(r"[^\r\n]*", text).end()  # type: ignore[union-attr]
    asked = place(0, 999)
    assert document.char_at(asked) == first_line_end
    assert asked == place(0, 999), "the caller's position must stay as it was"


def test_only_lf_cr_and_crlf_end_lines() -> None:
    assert TextDocument("a\x0cb\x0bc\x1c\x1d\x1e\x85\u2028\u2029", UTF16).line_count == 1
    assert TextDocument("a\nb\rc\r\nd", UTF16).line_count == 4


@pytest.mark.parametrize(
    ("text", "change", "expected"),
    [
        ("", partial((0, 0), (0, 0), "x"), (Edit(0, 0, "x"),)),
        ("ab", partial((0, 9), (7, 9), "c"), (Edit(2, 2, "c"),)),
        ("abc", partial((0, 2), (0, 1), ""), (Edit(1, 2, ""),)),
        ("x = 🐍\r\ny", partial((0, 4), (0, 6), "😀"), (Edit(4, 5, "😀"),)),
        ("one two", partial((0, 0), (0, 7), "one 2 two"), (Edit(4, 4, "2 "),)),
        ("same", partial((0, 0), (0, 4), "same"), ()),
        ("a\n" * 3, whole("a\nb\na\n"), (Edit(2, 3, "b"),)),
        ("f(x)\ng(x)\nh(x)\n", whole("f(y)\ng(x)\nh(y)\n"), (Edit(12, 13, "y"), Edit(2, 3, "y"))),
        ("a\nb\nc\n", whole("a\nc\n"), (Edit(2, 4, ""),)),
        ("a", whole("a"), ()),
    ],
)
def test_changes_become_minimal_edits(text: str, change: object, expected: tuple[Edit, ...]) -> None:
    document = TextDocument(text, UTF16)
    assert document.apply([change]) == expected  # type: ignore[list-item]
    assert document.text == applied(text, expected)


def test_halves_of_a_character_that_meet_become_one() -> None:
    """A UTF-16 client may insert the two surrogates of an emoji one after the other."""
    document = TextDocument("ab", UTF16)
    document.apply([partial((0, 1), (0, 1), "\ud83d")])
    assert document.text == "a\ud83db"
    assert document.apply([partial((0, 2), (0, 2), "\udc0d")]) == (Edit(1, 2, "🐍"),)
    assert document.text == "a🐍b"
    document = TextDocument("\ud83dx\udc0d", UTF16)
    document.apply([partial((0, 1), (0, 2), "")])
    assert document.text == "🐍"


@given(texts, texts)
def test_a_whole_text_is_replaced_exactly(old: str, new: str) -> None:
    edits = minimal_edits(old, new)
    assert applied(old, edits) == new
    assert all(first.start >= second.end for first, second in pairwise(edits))


@given(st.text("ab", max_size=300), st.text("ab", max_size=300), st.text("ab", max_size=300))
def test_common_ends(start: str, left: str, right: str) -> None:
    plain = 0
    for before, after in zip(start + left, start + right, strict=False):
        if before != after:
            break
        plain += 1
    assert common_prefix_chars(start + left, start + right) == plain
    assert common_suffix_chars((start + left)[::-1], (start + right)[::-1]) == plain


@given(texts, units, st.lists(st.tuples(*[st.integers(0, 6)] * 4, texts) | texts, max_size=5))
def test_any_changes_leave_what_the_protocol_says(text: str, unit: ColumnUnit, changes: list) -> None:
    """Against an independent reading: lines by the plain regular expression, columns by adding up widths."""
    document = TextDocument(text, unit)
    for change in changes:
        if isinstance(change, str):
            expected = change
            edits = document.apply([whole(change)])
        else:
            *numbers, new = change
            first, second = (plain_char(text, line, column, unit) for line, column in (numbers[:2], numbers[2:]))
            start, end = sorted((first, second))
            expected = join_surrogates(text[:start] + new + text[end:])
            edits = document.apply([partial((numbers[0], numbers[1]), (numbers[2], numbers[3]), new)])
        assert document.text == expected == applied(text, edits)
        text = expected
        assert document.line_count == len(plain_starts(text))


def plain_char(text: str, line: int, column: int, unit: ColumnUnit) -> int:
    starts = plain_starts(text)
    if line >= len(starts):
        return len(text)
    content = re.match(r"[^\r\n]*", text[starts[line] :])[0]  # type: ignore[index]
    char = sum_of_widths = 0
    while char < len(content) and sum_of_widths + width(content[char], unit) <= column:
        sum_of_widths += width(content[char], unit)
        char += 1
    return starts[line] + char


@pytest.mark.parametrize(("line_count", "edit_count"), [(5_000, 200), (50_000, 1)])
def test_a_rename_on_two_hundred_lines(line_count: int, edit_count: int) -> None:
    """Each line is an edit of its own, but in a file so large that copying it 200 times would be felt."""
    lines = [f"value_{number} = old_name + {number}\n" for number in range(line_count)]
    touched = range(0, line_count, line_count // 200)
    renamed = [line.replace("old_name", "new_name") if number in touched else line for number, line in enumerate(lines)]
    column = [line.index("old") for line in lines]
    changes = [partial((line, column[line]), (line, column[line] + 8), "new_name") for line in touched]
    up, down, at_once = (TextDocument("".join(lines), UTF8) for _ in range(3))
    edits = up.apply(changes[::-1])
    assert len(edits) == edit_count
    assert up.text == "".join(renamed) == applied("".join(lines), edits)
    assert at_once.apply([whole("".join(renamed))]) == edits
    assert len(down.apply(changes)) == 200
    assert down.text == up.text == at_once.text
    for document in (up, down, at_once):
        assert document.position_at(len(document.text)) == place(line_count, 0)
