"""What is typed in a replay: whatever is accepted on the way, the text ends as recorded."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.api.edits import common_prefix_chars
from model.errors import InputError
from model.evaluation.edit_trace import EditTrace, Patch, read_trace, replayed
from setfill.replay.script import Pace, Script

TRACE = Path(__file__).resolve().parents[1] / "data" / "rustcode-5000.json.gz"


def recorded(draw: random.Random, edits: int) -> EditTrace:
    """Return a session that mostly types on, and sometimes takes away, goes elsewhere, or changes several places."""
    text, patches, joined, cursor = "fn main() {}\n", [], set(), 3
    start = text
    for number in range(edits):
        kind = draw.random()
        at = draw.randint(0, len(text)) if kind < 0.1 else min(cursor, len(text))
        gone = min(len(text) - at, draw.randint(0, 3)) if kind > 0.8 else 0
        new = draw.choice(["a", "é", "👋x", "\n  ", "", "let y = 2;"]) if kind < 0.9 else ""
        if number and draw.random() < 0.05:
            joined.add(number)
        patches.append((at, gone, new))
        text, cursor = replayed(text, patches[-1:]), at + len(new)
    return EditTrace(start, patches, frozenset(joined))


@given(st.integers(0, 10_000), st.integers(1, 60))
def test_accepting_what_comes_next_leads_to_the_recorded_text(seed: int, edits: int) -> None:
    draw = random.Random(seed)
    trace = recorded(draw, edits)
    script = Script(trace, 0, None)
    text = script.text
    while script:
        change = script.next()
        text = replayed(text, change.patches)
        coming = script.upcoming(change.cursor, draw.randint(1, 12))
        accepted = coming[: draw.randint(0, len(coming))]
        text = replayed(text, [(change.cursor, 0, accepted)])
        script.skip(len(accepted))
        assert script.finished(text) == script.end_text
    assert text == replayed(trace.text, trace.patches)


def test_what_comes_next_ends_where_the_typist_does_something_else() -> None:
    def check(patches: list[Patch], expected: str, joined: frozenset[int] = frozenset()) -> None:
        script = Script(EditTrace("abc", [(3, 0, "."), *patches], joined), 0, None)
        assert script.upcoming(script.next().cursor, 100) == expected

    check([(4, 0, "x"), (5, 0, "yz")], "xyz")
    check([(4, 0, "x"), (5, 0, "y"), (4, 2, "")], "xy")  # takes away
    check([(4, 0, "x"), (0, 0, "y")], "x")  # elsewhere
    check([(4, 0, "x"), (5, 0, "y"), (0, 0, "z")], "x", frozenset({3}))  # two places at once
    check([(3, 1, "x")], "")  # in place of something


def test_a_part_of_a_recording() -> None:
    trace = read_trace(TRACE)
    script = Script(trace, 2600, 400)
    assert script.text == replayed("", trace.patches[:2600])
    assert script.end_text == replayed("", trace.patches[:3000])
    with pytest.raises(InputError, match="only 5,000 edits"):
        Script(trace, 5000, None)
    with pytest.raises(InputError, match="edit 1 of the recording lies outside its text"):
        Script(EditTrace("ab", [(0, 1, ""), (2, 0, "x")]), 0, None)


def test_changes_of_several_places_are_made_at_once(tmp_path: Path) -> None:
    file = tmp_path / "t.json"
    file.write_text('{"startContent": "ab", "txns": [{"patches": [[0,0,"x"],[3,0,"y"]]}, {"patches": [[4,0,"z"]]}]}')
    script = Script(read_trace(file), 0, None)
    assert [script.next().patches for _ in range(2)] == [((0, 0, "x"), (3, 0, "y")), ((4, 0, "z"),)]
    assert not script


def test_times_are_drawn_by_the_number_of_the_edit_and_the_seed_alone() -> None:
    """Two servers are compared by their answers after the same gaps, whatever was accepted of the first."""
    gaps = [Pace(1).gap_ms(number, 0, False) for number in range(4000)]
    assert gaps == [Pace(1).gap_ms(number, 0, False) for number in range(4000)]
    assert gaps != [Pace(2).gap_ms(number, 0, False) for number in range(4000)]
    keys, pauses = [ms for ms in gaps if ms < 400], [ms for ms in gaps if ms >= 400]
    assert sorted(keys)[len(keys) // 2] == pytest.approx(140, rel=0.05)
    assert len(pauses) / len(gaps) == pytest.approx(0.08 + 0.92 * 0.018, abs=0.015)
    elsewhere = [Pace(1).gap_ms(number, 0, True) for number in range(4000)]
    assert min(elsewhere) >= 400
    assert sum(elsewhere) / len(elsewhere) == pytest.approx(1500, rel=0.1)
    assert sum(Pace(1).accepts(number, 0) for number in range(4000)) / 4000 == pytest.approx(0.7, abs=0.05)


def test_common_prefix_chars() -> None:
    for first, second, expected in (("", "", 0), ("ab", "abc", 2), ("abc", "ab", 2), ("abc", "abd", 2), ("x", "y", 0)):
        assert common_prefix_chars(first, second) == expected
