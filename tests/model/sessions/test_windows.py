"""How much of a text a window holds, where that begins and ends, and which position ids are left for gaps."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from model.api.types import Gap
from model.sessions.geometry import FULL, NEAR, WindowLimits
from model.sessions.window import Window
from tests.model.windows import SMALL, parts

LINE = "a = b + 1\n"
LONG = LINE * 200
PARTS = parts()


def window(path: str = "a.py") -> Window:
    return Window(PARTS.network, PARTS.tokenizer, PARTS.capabilities, SMALL, path)


def stand(at: Window, cursor_char: int, text: str = LONG) -> tuple[int, int]:
    """Make a window stand at a cursor; return the rows that are wanted on the left and on the right."""
    at.retarget(text, [Gap(cursor_char, cursor_char)])
    return len(at.left_ids), 1 + sum(len(chunk.ids) for chunk in at.right)


@pytest.mark.parametrize("line", [60, 100, 140])
@pytest.mark.parametrize("column", [0, 4, 9])
def test_a_new_window_holds_whole_lines_on_both_sides(line: int, column: int) -> None:
    cursor_char = line * len(LINE) + column
    new = window()
    left_rows, right_rows = stand(new, cursor_char)
    assert LONG[new.begin_char - 1] == "\n"
    assert LONG[new.end_char] == "\n", "the break belongs to the line that is left out"
    assert SMALL.left_rows * 3 // 4 - len(LINE) <= left_rows <= SMALL.left_rows
    assert SMALL.right_rows * 3 // 4 - len(LINE) <= right_rows <= SMALL.right_rows


def test_a_window_never_holds_half_a_line_break() -> None:
    for text in ("a = b\r\n" * 100, "\r\n" * 300, "x" * 7 + "\r\n" * 300):
        for cursor_char in range(300, 330):
            new = window()
            stand(new, cursor_char, text)
            assert text[new.end_char - 1 : new.end_char + 1] != "\r\n" or new.end_char - 1 <= cursor_char


@pytest.mark.parametrize("step", [-1, 1])
def test_a_window_moves_along_now_and_then(step: int) -> None:
    """Line by line through the file: it is never too small or too large, and is not built anew at every line."""
    moving = window()
    begins, ends = set(), set()
    for line in range(200)[::step]:
        left_rows, right_rows = stand(moving, line * len(LINE) + 4)
        assert left_rows <= SMALL.left_max
        assert left_rows >= SMALL.left_min or moving.begin_char == 0
        assert right_rows <= SMALL.right_max
        assert right_rows >= SMALL.right_min or moving.end_char == len(LONG)
        begins.add(moving.begin_char)
        ends.add(moving.end_char)
    assert 10 < len(begins) < 70
    assert 10 < len(ends) < 70


def test_a_gap_has_the_ids_above_the_left_stack_that_are_kept_for_nothing_else() -> None:
    for path in ("a.py", "a/long/path/to/a/file/of/many/pieces.py"):
        for lines in (0, 1, 3, 8, 100):
            at = window(path)
            left_rows, _ = stand(at, lines * len(LINE))
            assert at.gap_first_id(0) == left_rows
            kept = left_rows + SMALL.right_ids + SMALL.island_rows
            assert at.gap_free_ids(0) == min(SMALL.gap_ids, at.context_rows - kept)


@pytest.mark.parametrize(
    "between",
    ["", "\n", "b = 2\n", "b = 2\n" * 4, "b = 2\n" * 5, "b = c2\n" * 40, " " * 100, "=" * 100, f"# {'-' * 100}\n"],
)
def test_of_text_between_gaps_either_all_is_shown_or_both_ends(between: str) -> None:
    half = SMALL.middle_rows // 2
    at = window()
    text = f"a = 1\n{between}c = 3\n"
    at.retarget(text, [Gap(4, 5), Gap(len(text) - 2, len(text) - 1)])
    [layout_between] = at.layout.middles
    [pieces] = [[chunk.text for chunk in chunks] for chunks in at.middles]
    if len(pieces) < 2:
        assert "".join(pieces) == layout_between
        assert len(at.tokenizer.encode(layout_between)) <= 2 * half
    else:
        first, last = pieces
        assert layout_between.startswith(first)
        assert layout_between.endswith(last)
        assert len(first) + len(last) < len(layout_between), "no text twice"
        for piece in pieces:
            assert half // 2 <= len(at.tokenizer.encode(piece)) <= half + 1


@pytest.mark.parametrize("context_length", [1, 7, 100, 1_000, FULL.span - 1])
def test_limits_for_a_small_model_are_those_for_a_large_one_scaled_down(context_length: int) -> None:
    for limits in (FULL, NEAR, SMALL):
        scaled = limits.within(context_length)
        if limits.span <= context_length:
            assert scaled == limits
            continue
        assert scaled.span <= max(context_length, 4)
        for name, rows in asdict(scaled).items():
            assert rows == max(1, int(asdict(limits)[name] * context_length / limits.span))
        geometry = scaled.geometry
        assert geometry.chunk_tokens == max(1, scaled.chunk_rows - 1)
        assert geometry.path_tokens >= 1
        assert (geometry.right_ids, geometry.joint_gap_ids) == (scaled.right_ids, scaled.joint_gap_ids)


def test_limits_that_fit_stay() -> None:
    assert FULL.within(FULL.span) is FULL
    assert FULL.span == FULL.left_max + FULL.gap_ids + FULL.right_ids + FULL.island_rows
    assert replace(WindowLimits(), chunk_rows=1).geometry.chunk_tokens == 1
