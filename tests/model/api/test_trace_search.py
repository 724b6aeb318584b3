"""The replay of a beam search: what the page's script says after each forward."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.model.api.test_trace_replay import spelled
from tests.model.api.trace_pages import (
    beginning,
    ending,
    needs_node,
    rendered,
    replayed,
    searched_by_beams,
    searched_in_two_gaps,
    searched_to_a_limit,
)


def test_the_page_has_all_that_a_search_told() -> None:
    [first, *_, last] = rendered(searched_by_beams()).data["trace"]["steps"]
    assert first["search"]["beginnings"][0] == {
        "number": 1,
        "parent": 0,
        "text": " user",
        "gapLogprob": -1.0,
        "textLogprob": -1.6,
        "score": -1.2,
        "bestScore": None,
        "isGreedy": True,
        "fate": "followed",
    }
    assert (first["search"]["passedOver"], first["search"]["answer"]) == (1, None)
    assert (last["search"]["answer"], last["search"]["behindRows"]) == (5, 24)
    assert last["search"]["readOn"].endswith("key")


@needs_node
def test_a_search_forward_by_forward() -> None:
    answers = replayed(searched_by_beams())["answers"]
    assert [spelled(answer["slots"][0]) for answer in answers] == [
        "",
        "[ user]",
        " user[,]",
        " user,[ key]",
        " user",
        " user",
        " user, key",
    ]
    assert [answer["searches"][0]["infills"] for answer in answers[1:]] == [
        [],
        [],
        [" user", " name"],
        [" user", " name"],
        [" user", " user, key", " name"],
        [" user, key", " user", " name"],
    ]
    say = [" ".join(answer["say"]) for answer in answers]
    assert "⟨infill⟩, which sees the text on both sides" in say[1]
    assert "Of four ways to begin, two are followed; ` user` leads." in say[1]
    assert "The gap may end behind ` user` and ` name`: the next forward asks" in say[2]
    assert "how well it follows two infills; best behind ` user`." in say[3]
    assert "` name: str` is given up: even if the text behind followed well" in say[3]
    assert "One end is not asked about" in say[3]
    assert "so the beginning that was left is given up" in say[4]
    assert "one infill; ` user` stays the best" in say[5]
    assert "as far as `key`, a word that not all of them have" in say[6]
    assert "That turned the order: ` user, key` comes before ` user` now." in say[6]
    assert "Done: ` user, key` wins, 13 times as likely as ` user`." in say[6]
    assert "It is what greedy decoding makes of the gap, too." in say[6]


@needs_node
def test_what_surprise_is_made_of() -> None:
    *_, before, last = replayed(searched_by_beams())["answers"]
    assert before["searches"][0]["surprise"][" user, key"] == [["gap", 0.9], ["text", 1.0], ["behind", 5.0]]
    assert last["searches"][0]["surprise"][" user, key"] == [
        ["gap", 0.9],
        ["text", 1.0],
        ["behind", 5.0],
        ["further", 2.0],
    ]
    assert last["searches"][0]["surprise"][" name"] == [["gap", 1.4], ["text", pytest.approx(1.1)], ["behind", 7.0]]
    assert last["searches"][0]["allowances"] == pytest.approx({" user, key": 0.3, " user": 0.1, " name": 0.1})


@needs_node
def test_the_tree_of_a_search() -> None:
    """Each has as many rows as there are ends behind it. The answer's way comes first; what got no room is left out."""
    last = replayed(searched_by_beams())["answers"][-1]
    assert last["searches"][0]["tree"] == [
        [" user", 1, 0, 1],
        [",", 2, 0, 1],
        [" key", 3, 0, 1],
        [")", 4, 0, 1],
        [" name", 1, 1, 1],
        [":", 2, 1, 1],
        [" str", 3, 1, 1],
    ]


@needs_node
def test_several_gaps_are_searched_after_they_were_filled_jointly() -> None:
    answers = replayed(searched_in_two_gaps())["answers"]
    assert "filled in one decode" in " ".join(answers[0]["say"])
    assert "Then each is searched once more" in " ".join(answers[0]["say"])
    assert [[spelled(slots) for slots in answer["slots"]] for answer in answers[1:5]] == [
        ["[self]", "[ user]"],
        ["self|", " user|"],
        ["self|", "[ user]"],
        ["self|", " user[,]"],
    ]
    assert "Now gap 2 is searched, with what the other gaps hold as text around it." in " ".join(answers[3]["say"])
    assert spelled(answers[-1]["slots"][1]) == " user, key"


@needs_node
def test_what_a_limit_cut_is_not_judged() -> None:
    say = " ".join(replayed(searched_to_a_limit())["answers"][-1]["say"])
    assert "` user,` is the answer. It is cut off by a limit" in say
    assert "` user,` and ` name:` are as long as is allowed." in say


@needs_node
def test_a_search_whose_time_was_up_leaves_what_was_there() -> None:
    text, infill = searched_in_two_gaps()
    assert infill.trace is not None
    *joint, first, second = infill.trace.steps[:4]
    assert second.search is not None
    stopped = replace(second, search=replace(second.search, answer=2))
    trace = replace(infill.trace, steps=(*joint, first, stopped))
    gaps = (infill.gaps[0], replace(infill.gaps[1], text="user", tokens=1))
    *_, before, last = replayed((text, replace(infill, gaps=gaps, trace=trace)))["answers"]
    assert spelled(before["slots"][1]) == "[ user]"
    assert "The time was up: what was there before the search stays." in last["say"]
    assert spelled(last["slots"][1]) == " user|"
    alone = replace(infill, gaps=(gaps[0], replace(gaps[1], text="user,", stop="time")), trace=trace)
    last = replayed((text, alone))["answers"][-1]
    assert "The time was up: ` user,` is how far the best beginning came." in last["say"]
    assert spelled(last["slots"][1]) == " user[,]"


@needs_node
def test_the_answer_in_other_tokens_is_no_second_infill() -> None:
    """`user,` can be spelled `us` and `er,` too; the page said that ` user, key` was likelier than itself."""
    text, infill = searched_by_beams()
    assert infill.trace is not None
    *before, last = infill.trace.steps
    first, search = before[0].search, last.search
    assert first is not None
    assert search is not None
    twin = beginning(9, 0, " user, key", -1.5, -2.1)
    before[0] = replace(before[0], search=replace(first, beginnings=(*first.beginnings, twin)))
    judging = before[4].search
    assert judging is not None
    judged = (*judging.judged, ending(9, -1.9, -2.1, -10.0, "judged"))
    before[4] = replace(before[4], search=replace(judging, judged=judged))
    judged = (*search.judged, ending(9, -1.9, -2.1, -14.1, "judged", -6.4))
    last = replace(last, search=replace(search, judged=judged))
    trace = replace(infill.trace, steps=(*before, last))
    answer = replayed((text, replace(infill, trace=trace)))["answers"][-1]
    assert answer["searches"][0]["infills"][:2] == [" user, key", " user, key"]
    assert "Done: ` user, key` wins, 13 times as likely as ` user`." in answer["say"]
