"""The replay of a decode: what the page's script shows after each forward."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.model.api.trace_pages import (
    DECODES,
    empty,
    left_to_right_cut,
    needs_node,
    replayed,
    threshold_with_words_behind_the_end,
    uniform_length_first,
    verified_in_two_gaps,
    window_out_of_order,
)


def spelled(slots: list[dict[str, Any]]) -> str:
    """Return slots as text: known as it is, [fresh], ~dropped~, {draft}, ▒ asked about, □ not asked, -cut-."""
    marks = {"known": "{}", "fresh": "[{}]", "dropped": "~{}~", "draft": "{{{}}}"}
    marks |= {"mask": "▒", "unknown": "□", "cut": "-{}-", "end": "|"}
    return "".join(marks[slot["kind"]].format(slot.get("text", "")) for slot in slots)


@needs_node
@pytest.mark.parametrize("decode", DECODES)
def test_the_last_state_is_the_answer(decode: Any) -> None:
    text, infill = decode()
    last = replayed((text, infill))["answers"][-1]["slots"]
    for slots, gap, held_back in zip(last, infill.gaps, infill.trace.held_back, strict=True):
        shown = "".join(slot["text"] for slot in slots if slot["kind"] in ("known", "fresh"))
        assert shown.removeprefix(held_back) == gap.text


@needs_node
def test_replay_of_verified_drafts_in_two_gaps() -> None:
    answers = replayed(verified_in_two_gaps())["answers"]
    assert [[spelled(slots) for slots in answer["slots"]] for answer in answers] == [
        ["□▒▒", "□▒▒"],
        ["[return]{ None}{\n}▒▒", "[ round]{(}{mean}▒▒"],
        ["return~ None\n~[ ]{0}{.}{0}▒▒", " round[(]~mean~{spread}{,}{ places}▒▒"],
        ["return [0][.][0][,]{ }{1}▒", " round([spread][,][ places][)]{<eoi>}"],
        ["return 0.0,[ ]~1~[0]{.}{0}▒", " round(spread, places)|"],
        ["return 0.0, 0[.][0]|", " round(spread, places)|"],
    ]
    say = [" ".join(answer["say"]) for answer in answers]
    assert "146 tokens" in say[0]
    assert "12 had to be encoded anew" in say[0]
    assert "The piece `re` before the cursor is held back" in say[0]
    assert "⟨infill⟩ row opens each gap" in say[1]
    assert "A draft of four tokens, guessed by the masks of the forward before, was checked in one forward" in say[2]
    assert "one was right, the rest are dropped" in say[2]
    assert "all six were right" in say[3]
    assert "two were right, the rest is dropped" in say[4]
    assert "gap 2 ends here" in say[4]
    assert "from the text that was already suggested" in say[5]
    assert "Done: 16 tokens in five forwards" in say[5]


@needs_node
def test_replay_out_of_order() -> None:
    answers = replayed(window_out_of_order())["answers"]
    shown = [spelled(answer["slots"][0]) for answer in answers]
    assert shown[:4] == [
        "▒▒▒▒▒▒▒▒",
        "[    return]▒▒▒▒▒▒▒▒",
        "    return[ max][(]▒▒▒▒▒▒▒▒",
        "    return max(▒[,]▒▒▒▒▒▒",
    ]
    assert "`,` stands behind places that are still unknown" in " ".join(answers[3]["say"])
    assert shown[-1] == "    return max(low, min(value, high))|"


@needs_node
def test_replay_when_the_length_is_drawn_first() -> None:
    answers = replayed(uniform_length_first())["answers"]
    assert [spelled(answer["slots"][0]) for answer in answers] == [
        "▒▒▒▒▒▒▒▒",
        "▒▒▒▒▒|",
        "▒▒▒[ in]▒|",
        "▒[ for]▒ in[ xs]|",
        "[x] for[ x] in xs|",
    ]
    assert "which of their own places is the end" in " ".join(answers[1]["say"])
    assert "fixes the end of the gap: five tokens" in " ".join(answers[1]["say"])


@needs_node
def test_replay_of_words_behind_the_end() -> None:
    answers = replayed(threshold_with_words_behind_the_end())["answers"]
    assert [spelled(answer["slots"][0]) for answer in answers] == ["▒▒▒", "▒▒[junk]", "[ok]|-junk-"]


@needs_node
def test_replay_of_what_the_limit_on_lines_cut_off() -> None:
    answers = replayed(left_to_right_cut())["answers"]
    assert spelled(answers[-1]["slots"][0]) == "if x:\n\treturn()-\n\n--more-"
    assert "that was as many lines as were asked for" in " ".join(answers[-1]["say"])


@needs_node
def test_replay_of_nothing() -> None:
    answers = replayed(empty())["answers"]
    assert "holds nothing: no suggestion" in " ".join(answers[1]["say"])
    untraced = replace(empty()[1], trace=None)
    assert replayed(("", untraced))["answers"][0]["title"] == "No forwards were recorded"


@needs_node
def test_percentages() -> None:
    assert replayed(empty())["percents"] == ["100 %", "> 99.9 %", "99 %", "50 %", "4.2 %", "< 0.1 %", "0 %", "–"]
