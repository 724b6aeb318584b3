"""What a partial text tells of its lines is what a request for no more of them answers."""

from __future__ import annotations

import pytest

from model.api.types import Gap, GapInfill, Limits, PartialInfill
from model.decoding.open_gap import OpenGap
from model.decoding.spelling import Spelling, Vocabulary
from tests.model.tiny import EOI
from tests.model.windows import parts

GAP = Gap(7, 7)
VOCABULARY = Vocabulary(parts().tokenizer, EOI)


def spelled(text: str, held_back: str, max_lines: int | None) -> OpenGap:
    """Return a gap that spells `text` behind its held-back piece, until it ends."""
    spelling = Spelling(VOCABULARY, held_back.encode())
    gap = OpenGap(GAP, 0, zero_id=0, last_rank=500, spelling=spelling, limits=Limits(200, max_lines))
    for rank, token_id in enumerate(parts().tokenizer.encode(held_back + text), start=1):
        if gap.stop is None:
            gap.place(rank, token_id, -rank / 8)
    return gap


@pytest.mark.parametrize("text", ["one\ntwo\n\n    three", "\nérst\r\nzwei\r\rdrei\n", "a = [\n    1,\n    2,\n]\n"])
@pytest.mark.parametrize("held_back", ["", "x", "    "])
def test_the_first_lines_are_the_answer_of_a_limit(text: str, held_back: str) -> None:
    """Where a statement or a block ended, its lines used to be asked for once more."""
    whole = spelled(text, held_back, None)
    partial = PartialInfill(0, whole.text(), whole.known_logprobs(), whole.line_tokens())
    breaks = len(partial.line_tokens)
    assert breaks >= 3
    for lines in range(1, breaks + 1):
        asked = spelled(text, held_back, lines).result()
        assert asked.stop == "lines"
        assert partial.first_lines(GAP, lines) == asked
    assert partial.first_lines(GAP, 0) is None
    assert partial.first_lines(GAP, breaks + 1) is None


def test_a_text_that_tells_nothing_of_its_lines_has_no_answer() -> None:
    assert PartialInfill(0, "one\ntwo\n").first_lines(GAP, 1) is None


def test_a_line_that_the_limit_has_cut_off_is_left_to_the_answer() -> None:
    gap = spelled("one\ntwo\nthree", "", 2)
    partial = PartialInfill(0, gap.text(), gap.known_logprobs(), gap.line_tokens())
    assert partial.text == "one\ntwo"
    assert isinstance(partial.first_lines(GAP, 1), GapInfill)
    assert partial.first_lines(GAP, 2) is None
