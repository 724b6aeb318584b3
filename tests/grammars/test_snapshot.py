"""Snapshots: edits, offsets, threads, time limits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import tree_sitter
from hypothesis import given, settings
from hypothesis import strategies as st

from grammars import (
    LANGUAGES,
    PLAIN_TEXT,
    Language,
    SyntaxSnapshot,
    TreeState,
    detect_language,
    language_named,
    snapshot_of,
    statement_span,
)
from grammars.offsets import OffsetMap, line_end, line_start, next_line_start

PYTHON = language_named("python")
SAMPLES = sorted(file for file in (Path(__file__).parent / "samples").iterdir() if not file.name.startswith("."))
# Real files written by others, beside our own samples: from the standard library.
STDLIB = [Path(threading.__file__).with_name(name) for name in ("textwrap.py", "bisect.py", "shlex.py", "keyword.py")]
TEXTS = st.text(st.sampled_from("ab1 \t\n\r\x00\ud800\udfff\u2028é😀(){}[]\"'`#/*<>:;,=\\"), max_size=60)


def nodes(tree: tree_sitter.Tree | None) -> Iterator[tuple[int, int, int, tuple[int, int], tuple[int, int], bool]]:
    """Everything there is to know of a tree, in order."""
    assert tree is not None
    cursor = tree.walk()
    while True:
        node = cursor.node
        assert node is not None
        yield node.kind_id, node.start_byte, node.end_byte, node.start_point, node.end_point, node.is_missing
        if cursor.goto_first_child():
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return


def has_no_errors(snapshot: SyntaxSnapshot) -> bool:
    return snapshot.tree is not None and not snapshot.tree.root_node.has_error


@st.composite
def edits_of(draw: st.DrawFn, text: str) -> tuple[int, int, str]:
    """An edit as editors send them: typing, deleting, pasting from the same file, a new line."""
    start_char = draw(st.integers(0, len(text)))
    end_char = min(len(text), start_char + draw(st.sampled_from([0, 0, 0, 1, 2, 8, 60])))
    copied_char = draw(st.integers(0, len(text)))
    typed = st.sampled_from(["x", " ", "\n", "\r\n", "\r", "\t", "1", "é", "😀", "()", "{}", "\n\n", "# ", "// ", '""'])
    copied = st.just(text[copied_char : copied_char + draw(st.integers(0, 60))])
    return start_char, end_char, draw(st.one_of(typed, copied, st.just("")))


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_an_incremental_tree_equals_a_fresh_one(language: Language, data: st.DataObject) -> None:
    """On error-free text. What stands between two such texts may be broken: that is how people type."""
    files = [file for file in (*SAMPLES, *STDLIB) if detect_language(file.name) is language]
    text = data.draw(st.sampled_from(files), "file").read_text("utf-8")[:12_000]
    if data.draw(st.booleans(), "CR LF"):
        text = text.replace("\n", "\r\n")
    snapshot = snapshot_of(text, language)
    for _edit in range(data.draw(st.integers(1, 8))):
        before = snapshot
        start_char, end_char, new_text = data.draw(edits_of(snapshot.text))
        snapshot = snapshot.edited(start_char, end_char, new_text, 5.0)
        assert snapshot.tree_state is TreeState.CURRENT
        fresh = snapshot_of(snapshot.text, language)
        if not has_no_errors(fresh):
            undo = snapshot.edited(start_char, start_char + len(new_text), before.text[start_char:end_char], 5.0)
            assert undo.text == before.text
            snapshot, fresh = undo, snapshot_of(before.text, language)
        if has_no_errors(fresh):
            assert list(nodes(snapshot.tree)) == list(nodes(fresh.tree))


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_an_incremental_tree_equals_a_fresh_one_at_length(language: Language, data: st.DataObject) -> None:
    test_an_incremental_tree_equals_a_fresh_one.hypothesis.inner_test(language, data)  # type: ignore[attr-defined]


@given(text=TEXTS, data=st.data())
def test_offsets_go_to_bytes_and_back(text: str, data: st.DataObject) -> None:
    text = text * data.draw(st.sampled_from([1, 1, 60]))  # long enough for checkpoints
    offsets = OffsetMap(text)
    readable = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    assert len(offsets.data) == len(text.encode("utf-8", "surrogatepass")), readable
    offset_char = data.draw(st.integers(0, len(text)))
    offset_byte = offsets.byte(offset_char)
    assert offset_byte == len(text[:offset_char].encode("utf-8", "surrogatepass"))
    assert offsets.char(offset_byte) == offset_char
    for inside in range(offset_byte, offsets.byte(offset_char + 1)):
        assert offsets.char(inside) == offset_char, "inside a character rounds down"
    row, column = offsets.point(offset_byte)
    assert row == text[:offset_char].replace("\r\n", "\n").replace("\r", "\n").count("\n") - (
        text[offset_char - 1 : offset_char + 1] == "\r\n"
    )
    assert 0 <= column <= offset_byte


def test_offsets_off_the_text_are_clamped() -> None:
    offsets = OffsetMap("a😀")
    assert [offsets.byte(offset) for offset in (-3, 0, 2, 9)] == [0, 0, 5, 5]
    assert [offsets.char(offset) for offset in (-3, 0, 5, 9)] == [0, 0, 2, 2]


@given(text=TEXTS)
def test_lines_are_those_of_the_language_server_protocol(text: str) -> None:
    lines = [line + "\n" for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    start_char = 0
    for line in lines:
        end_char = start_char + len(line) - 1
        assert text[start_char:end_char] == line[:-1]
        for offset_char in {start_char, (start_char + end_char) // 2, end_char}:
            assert line_start(text, offset_char) == start_char
            assert line_end(text, offset_char) == end_char
        following = next_line_start(text, start_char)
        assert following == min(end_char + 1 + (text[end_char : end_char + 2] == "\r\n"), len(text))
        start_char = following


@settings(max_examples=40, deadline=None)
@given(start=TEXTS, data=st.data(), language=st.sampled_from(LANGUAGES))
def test_any_edits_of_any_text_keep_text_and_tree_together(start: str, data: st.DataObject, language: Language) -> None:
    snapshot, text = snapshot_of(start, language), start
    for _edit in range(4):
        first, last = sorted(data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
        new_text = data.draw(TEXTS)
        text = text[:first] + new_text + text[last:]
        snapshot = snapshot.edited(first, last, new_text, 5.0)
        assert snapshot.text == text
        assert snapshot.tree is not None
        assert snapshot.tree.root_node.end_byte <= len(snapshot.offsets.data)


@pytest.mark.parametrize(("start_char", "end_char"), [(-1, 0), (0, 4), (2, 1), (4, 4)])
def test_an_edit_outside_the_text_is_refused(start_char: int, end_char: int) -> None:
    with pytest.raises(ValueError, match="lies outside a text of 3 code points"):
        snapshot_of("a=1", PYTHON).edited(start_char, end_char, "x", 1.0)


def test_an_edit_leaves_older_snapshots_alone() -> None:
    first = snapshot_of("x = 1\ny = 2\n", PYTHON)
    before = list(nodes(first.tree))
    second = first.edited(0, 6, "", 0.0).edited(0, 0, "def f():\n    😀\n", 5.0)
    assert (first.text, second.text) == ("x = 1\ny = 2\n", "def f():\n    😀\ny = 2\n")
    assert list(nodes(first.tree)) == before


def test_the_last_good_tree_shifted_answers_until_there_is_a_new_one() -> None:
    stale = snapshot_of("value = call(1)\n" * 20, PYTHON).edited(0, 0, "# 😀\n", 0.0)
    assert (stale.tree_state, stale.is_pending) == (TreeState.STALE, True)
    span = statement_span(stale, 8, 8)
    assert span is not None
    assert stale.text[span.start_char : span.end_char] == "value = call(1)"
    assert stale.parsed(5.0).tree_state is TreeState.CURRENT


def test_a_parse_that_never_ends_is_given_up() -> None:
    snapshot = snapshot_of("x = (1)\n" * 50_000, PYTHON, timeout_seconds=0.001)
    assert (snapshot.tree_state, snapshot.is_pending) == (TreeState.MISSING, True)
    assert "stopped" in snapshot.problem


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("(" * 50_000 + ")" * 50_000, "brackets open"),
        ("(" * 20_000 + ")" * 20_000, "deep"),
        ("[" + "1," * 1_000_001 + "]", "larger than"),
        ("1+" * 20_000 + "1", "deep"),
    ],
)
def test_what_no_query_could_bear_has_no_tree(text: str, told: str) -> None:
    snapshot = snapshot_of(text, PYTHON)
    assert snapshot.tree_state is TreeState.MISSING
    assert told in snapshot.problem


@pytest.mark.parametrize(
    "items", ["- " * 500, "? " * 500, "\n".join(" " * i + "a:" for i in range(500)), "- &a " * 300]
)
def test_yaml_nested_beyond_its_scanner_does_not_crash(items: str) -> None:
    """tree-sitter-yaml writes its stack of indents into a fixed buffer and does not look where that ends."""
    assert "indented" in snapshot_of(items, language_named("yaml")).problem
    assert snapshot_of(items[:100], language_named("yaml")).tree_state is TreeState.CURRENT


def test_a_language_without_syntax_has_just_a_text() -> None:
    snapshot = snapshot_of("any text", PLAIN_TEXT).edited(4, 8, "😀", 1.0)
    assert (snapshot.text, snapshot.tree_state) == ("any 😀", TreeState.MISSING)
    assert "no syntax" in snapshot.problem


def test_many_threads_edit_and_ask_one_snapshot() -> None:
    first = snapshot_of("x = 1\n" * 500, PYTHON)
    failures: list[BaseException] = []

    def edit() -> None:
        try:
            snapshot = first
            for _ in range(30):
                snapshot = snapshot.edited(0, 0, "y = (2)  # 😀\n", 5.0)
            assert list(nodes(snapshot.tree)) == list(nodes(snapshot_of(snapshot.text, PYTHON).tree))
        except BaseException as error:
            failures.append(error)

    def ask() -> None:
        try:
            for _ in range(60):
                span = statement_span(first, 0, len(first.text))
                assert span is None or span.end_char <= len(first.text)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=target) for target in (edit, edit, ask, ask)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
