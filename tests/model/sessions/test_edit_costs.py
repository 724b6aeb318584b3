"""What each edit costs, in rows fed to the network, against the table of docs/design.md, section 2."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from torch import Tensor

from model.api.types import Edit, Gap
from model.decoding.gap_row import GapRow
from model.decoding.gap_rows import GapRows
from model.network.decoder import Decoder, Rows
from model.network.kv_cache import KVCache
from model.sessions.geometry import FULL, NEAR
from model.sessions.session import FUSED_TAIL_ROWS, IDLE_SLICE_ROWS, IDLE_TAIL_ROWS, Session
from tests.model.tiny import INFILL, tiny_checkpoint
from tests.model.windows import parts

CHUNK = FULL.chunk_rows
LINES = [
    f"    def method_{n}(self, value):  # naïve 👋\n        return self.names[{n}] + value\n\n" for n in range(400)
]
TEXT = "".join(LINES)
MIDDLE = sum(map(len, LINES[:200])) - len("return self.names[199] + value\n\n")  # before a word, in a line

LINE_END = MIDDLE + len("return self.names[199] + value")


@dataclass
class Cost:
    """Rows fed: to the left stack, to the right stack, to gaps, and in each forward."""

    left: int
    right: int
    forwards: list[int]

    @property
    def rows(self) -> int:
        return sum(self.forwards)


class Editor:
    """A session with somebody at its cursor, and every row it feeds counted as the network sees it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, text: str = TEXT, cursor: int = MIDDLE) -> None:
        self.shared = parts(tiny_checkpoint(), FULL, NEAR)
        self.session = Session(self.shared, "src/names.py", text)
        self.cursor = cursor
        self._cost = Cost(0, 0, [])
        forward = Decoder.forward

        def counted(network: Decoder, rows: Rows, cache: KVCache, logits_at: list[int] | None = None) -> Tensor | None:
            fed = rows.token_ids.shape[0]
            self._cost.forwards.append(fed)
            if rows.slot < cache.left_begin:
                self._cost.right += fed
            else:
                self._cost.left += fed - (logits_at is not None)  # without the gap's own row
            return forward(network, rows, cache, logits_at)

        monkeypatch.setattr(Decoder, "forward", counted)
        self.go_to(cursor)

    def cost_of(self, action: Callable[[], object]) -> Cost:
        self._cost = Cost(0, 0, [])
        action()
        return self._cost

    def tokens(self, text: str) -> int:
        return len(self.shared.tokenizer.encode(text))

    def edit(self, start: int, end: int, text: str) -> None:
        self.session.edit([Edit(start, end, text)])

    def ask(self) -> Cost:
        """Ask for the first token of an infill at the cursor."""

        def run() -> None:
            window = self.session.window_at([Gap(self.cursor, self.cursor)], lambda: False)
            GapRows(window).feed([GapRow(INFILL, window.gap_first_id(0), 0, 0)])
            self.left_tokens = len(window.left.ids)

        return self.cost_of(run)

    def idle(self) -> list[Cost]:
        """Do all idle work; no slice may feed more rows than it should."""
        slices: list[Cost] = []
        more = True
        while more:

            def run() -> None:
                nonlocal more
                more = self.session.idle_slice()

            slices.append(self.cost_of(run))
            assert slices[-1].rows <= IDLE_SLICE_ROWS
            assert len(slices) < 200
        return [cost for cost in slices if cost.rows]

    def go_to(self, cursor: int) -> None:
        """Move the cursor and do all that can be done before the next edit."""
        self.cursor = cursor
        self.ask()
        self.idle()
        self.ask()

    def type(self, text: str) -> Cost:
        self.edit(self.cursor, self.cursor, text)
        self.cursor += len(text)
        return self.ask()


@pytest.fixture
def editor(monkeypatch: pytest.MonkeyPatch) -> Editor:
    return Editor(monkeypatch)


def total(costs: list[Cost]) -> int:
    return sum(cost.rows for cost in costs)


def test_asking_again_feeds_only_the_gaps_own_row(editor: Editor) -> None:
    for _ in range(3):
        assert editor.ask().forwards == [1]


def test_typing_pushes_the_new_tokens_and_nothing_else(editor: Editor) -> None:
    editor.go_to(LINE_END)
    typed, before = "if self.names[0] == value:\n            return  \t 12345 'it''s' ", editor.left_tokens
    costs = [editor.type(character) for character in typed]
    assert all(cost.right == 0 for cost in costs)
    assert all(len(cost.forwards) == 1 for cost in costs), "new tokens go with the gap's own row"
    assert sum(cost.left for cost in costs) == editor.left_tokens - before >= editor.tokens(typed) - 1


def test_backspace_pops_and_feeds_nothing_but_the_gaps_own_row(editor: Editor) -> None:
    editor.go_to(LINE_END)
    editor.type("if self.names[0] == value:\n            ")
    for _ in range(60):
        editor.edit(editor.cursor - 1, editor.cursor, "")
        editor.cursor -= 1
        assert editor.ask().forwards == [1]


def test_breaking_a_line_costs_a_chunk_when_its_rest_shares_the_break_and_no_more(editor: Editor) -> None:
    costs = [editor.type(character) for character in "if value:\n    "]
    *before, at_the_break, behind, _, _, _ = [cost.right for cost in costs]
    assert not any(before)
    assert 0 < at_the_break <= CHUNK
    assert 0 <= behind <= CHUNK
    assert sum(cost.right for cost in costs) == at_the_break + behind


def test_backspace_and_typing_it_again_costs_the_same_tokens(editor: Editor) -> None:
    editor.type("self.names ")
    for _ in range(5):
        editor.edit(editor.cursor - 6, editor.cursor, "")
        editor.cursor -= 6
        assert editor.ask().forwards == [1]
        assert editor.type("names ").left <= editor.tokens(".names")


@pytest.mark.parametrize("chars", [1, 4, 20, 70])
def test_moving_left_pushes_what_was_passed_on_the_right(editor: Editor, chars: int) -> None:
    passed = TEXT[editor.cursor - chars : editor.cursor]
    editor.cursor -= chars
    cost = editor.ask()
    assert cost.right == editor.tokens(passed)
    assert cost.left == 0


@pytest.mark.parametrize("chars", [1, 4, 20, 70, 300])
def test_moving_right_re_encodes_at_most_one_chunk(editor: Editor, chars: int) -> None:
    passed = TEXT[editor.cursor : editor.cursor + chars]
    editor.cursor += chars
    cost = editor.ask()
    assert cost.right <= CHUNK
    assert cost.left <= editor.tokens(passed) + 2, "and what was held back"


@pytest.mark.parametrize("chars", [1, 5, 40])
def test_deleting_forward_re_encodes_at_most_the_deleted_tokens_and_a_chunk(editor: Editor, chars: int) -> None:
    editor.edit(editor.cursor, editor.cursor + chars, "")
    cost = editor.ask()
    assert cost.right <= editor.tokens(TEXT[MIDDLE : MIDDLE + chars]) + CHUNK
    assert cost.left == 0


@pytest.mark.parametrize("chars", [0, 10, 100, 300])
def test_an_edit_in_the_suffix_re_encodes_what_lies_before_it_and_a_chunk(editor: Editor, chars: int) -> None:
    at = editor.cursor + chars
    editor.edit(at, at + 3, "yield ")
    cost = editor.ask()
    assert 0 < cost.right <= editor.tokens(TEXT[editor.cursor : at]) + editor.tokens("yield ") + CHUNK
    assert cost.left == 0


@pytest.mark.parametrize("chars", [10, 150, 400])
def test_an_edit_near_in_the_prefix_re_encodes_what_lies_below_it(editor: Editor, chars: int) -> None:
    at = editor.cursor - chars
    editor.edit(at, at + 1, "zq")
    editor.cursor += 1
    cost = editor.ask()
    below = editor.tokens(editor.session.text[at - 3 : editor.cursor])
    assert cost.right == 0
    assert 0 < cost.left <= below + 3


def test_an_edit_far_back_in_the_prefix_is_answered_from_the_near_window(editor: Editor) -> None:
    """The full window keeps the rows above the edit and has the others encoded in idle slices."""
    chars = 1000
    editor.edit(editor.cursor - chars, editor.cursor - chars, "import zoo\n")
    editor.cursor += len("import zoo\n")
    first = editor.ask()
    below = editor.tokens(editor.session.text[editor.cursor - chars - 11 : editor.cursor])
    assert below > NEAR.left_rows + NEAR.right_rows + IDLE_SLICE_ROWS
    assert first.left <= NEAR.left_rows
    assert first.right <= NEAR.right_rows + 4
    assert editor.ask().forwards == [1], "meanwhile the near window is ready"
    assert editor.type("x y ").rows < 8
    slices = editor.idle()
    assert below - 10 <= total(slices) <= below + 10
    assert sum(cost.right for cost in slices) == 0
    assert editor.ask().forwards == [1]


def test_an_edit_outside_the_window_costs_nothing(editor: Editor) -> None:
    editor.edit(0, 10, "# a new first line\nimport os\n")
    editor.cursor += len("# a new first line\nimport os\n") - 10
    assert editor.ask().forwards == [1]
    end = len(editor.session.text)
    editor.edit(end - 20, end, "")
    editor.edit(end - 20, end - 20, "the end\n")
    assert editor.ask().forwards == [1]
    assert not editor.idle()


def test_a_few_typed_rows_wait_for_the_forward_of_an_infill(editor: Editor) -> None:
    """Each key used to cost a forward of idle work, in which the request for a suggestion found the worker busy."""
    editor.edit(editor.cursor, editor.cursor, " a=")
    editor.cursor += len(" a=")
    editor.session.prepare([Gap(editor.cursor, editor.cursor)])
    assert not editor.idle()
    cost = editor.ask()
    assert cost.forwards == [1 + cost.left]
    assert 0 < cost.left <= IDLE_TAIL_ROWS


def test_a_whole_file_sent_again_costs_what_changed_in_it(editor: Editor) -> None:
    """Formatters and file watchers replace the whole text. The window's ends were lost with it, and so all rows."""
    for _ in range(8):
        editor.type("value = self.names[0]\n")
    text = editor.session.text
    editor.edit(0, len(text), text)
    assert editor.ask().forwards == [1]
    at = editor.cursor - 30
    editor.edit(0, len(text), text[:at] + "zq" + text[at:])
    editor.cursor += 2
    assert editor.ask().rows < 40


def test_accepting_an_infill_pushes_its_tokens_while_the_user_reads(editor: Editor) -> None:
    infill = "if value is None:\n            return self.names\n        "
    editor.edit(editor.cursor, editor.cursor, infill)
    editor.cursor += len(infill)
    editor.session.prepare([Gap(editor.cursor, editor.cursor)])
    (slice_,) = editor.idle()
    assert len(slice_.forwards) == 1
    assert slice_.right == 0
    assert 0 <= editor.tokens(infill) - slice_.left <= 5, "all but what is held back"
    assert editor.ask().forwards == [1]


def test_a_far_jump_is_answered_from_the_nearest_rows_and_completed_in_idle_slices(editor: Editor) -> None:
    editor.cursor = MIDDLE // 4
    first = editor.ask()
    assert first.left <= NEAR.left_rows
    assert first.right <= NEAR.right_rows + 4
    assert editor.ask().forwards == [1]
    slices = editor.idle()
    assert sum(cost.left for cost in slices) <= FULL.left_rows
    assert sum(cost.right for cost in slices) <= FULL.right_rows + 16
    assert total(slices) > FULL.left_rows // 2 + FULL.right_rows // 2
    assert editor.ask().forwards == [1]


def test_a_jump_back_only_pops_on_the_left(editor: Editor) -> None:
    editor.cursor -= 1200
    editor.ask()
    slices = editor.idle()
    assert sum(cost.left for cost in slices) == 0
    assert 0 < sum(cost.right for cost in slices) <= FULL.right_rows + 16
    assert editor.ask().forwards == [1]


def test_small_moves_leave_small_chunks_and_idle_time_merges_them(editor: Editor) -> None:
    editor.idle()
    for _ in range(20):
        editor.cursor -= 1
        editor.ask()
    window = editor.session.window_at([Gap(editor.cursor, editor.cursor)], lambda: False)
    chunks = len(window.right)
    merged = editor.idle()
    assert len(window.right) <= chunks - 10
    assert total(merged) <= CHUNK
    assert editor.ask().forwards == [1]
    assert not editor.idle(), "merging comes to an end"


def test_a_rename_re_encodes_the_left_only(editor: Editor) -> None:
    editor.session.rename("src/other_names.py")
    editor.ask()
    header = editor.session.window_at([Gap(editor.cursor, editor.cursor)], lambda: False).header_ids
    assert b"other" in b"".join(editor.shared.tokenizer.token_bytes[token_id] for token_id in header)
    assert all(cost.right == 0 for cost in editor.idle())
    assert editor.ask().forwards == [1]


def test_typing_for_long_never_stops_for_the_window(editor: Editor) -> None:
    """When the left stack has outgrown its window it is cut in idle time; a keystroke never waits for it."""
    most = NEAR.left_rows + NEAR.right_rows + FUSED_TAIL_ROWS + 8
    for _ in range(90):
        assert editor.type("value = self.names[0]\n").rows <= most
        editor.session.idle_slice()


def test_moving_through_the_file_never_stops_for_the_window(editor: Editor) -> None:
    most = NEAR.left_rows + NEAR.right_rows + IDLE_SLICE_ROWS + 8
    for step in [-40] * 100 + [40] * 200:
        editor.cursor += step
        assert editor.ask().rows <= most
        editor.session.idle_slice()


def test_text_of_few_tokens_is_not_encoded_anew_at_every_keystroke(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long runs make long tokens, so a window never held as many rows as it thought it needed and was
    rebuilt at each keystroke, beginning somewhere else each time."""
    editor = Editor(monkeypatch, " " * 60_000, 30_000)
    for _ in range(10):
        assert editor.type("x").rows < 40
    for _ in range(5):
        editor.cursor -= 1
        assert editor.ask().rows < 40


def test_joint_gaps_keep_what_lies_between_while_somebody_types(editor: Editor) -> None:
    gaps = [Gap(MIDDLE, MIDDLE), Gap(MIDDLE + 400, MIDDLE + 410)]

    def ask() -> Cost:
        return editor.cost_of(lambda: editor.session.window_at(gaps, lambda: False))

    assert ask().rows > 100
    assert ask().rows == 0
    for _ in range(3):
        editor.edit(gaps[0].start, gaps[0].start, "value + ")
        gaps = [Gap(gap.start + 8, gap.end + 8) for gap in gaps]
        assert ask().right == 0


def test_joint_gaps_far_apart_are_encoded_in_slices(editor: Editor) -> None:
    editor.session.prepare([Gap(MIDDLE, MIDDLE), Gap(MIDDLE + 4000, MIDDLE + 4010)])
    middle = sum(cost.right for cost in editor.idle())
    assert middle > FULL.middle_rows
