"""Where a gap ends, and how the text behind it begins: what decoders ask before they decode."""

from __future__ import annotations

import pytest
import torch

from model.api.types import Gap
from model.decoding.any_order import ending_distribution
from model.decoding.beams import BEHIND_TOKENS, _beginning
from model.sessions.window import Window
from tests.model.windows import SMALL, parts

EOI, OTHER = 0, 1


def ends(*chances: float, may_be_empty: bool = True) -> list[float]:
    """The distribution of a gap's end whose mask rows say `<eoi>` with these probabilities."""
    logits = torch.tensor([[chance, 1 - chance] for chance in chances], dtype=torch.float64).log()
    return ending_distribution(logits, EOI, may_be_empty).exp().tolist()


def test_the_end_is_where_more_of_the_probability_has_come() -> None:
    assert ends(0.1, 0.4, 0.8) == pytest.approx([0.1, 0.3, 0.6])
    assert ends(0.2, 0.2, 0.5, 0.6) == pytest.approx([0.2, 0, 0.3, 0.5], abs=1e-3)
    assert ends(0.5, 0.1, 0.7, 0.7) == pytest.approx([0.5, 0, 0.2, 0.3], abs=1e-3), "no end is taken back"
    assert ends(0.3) == [1.0], "what is left over belongs to the last"


@pytest.mark.parametrize("chances", [(0.0, 0.0, 0.0), (1.0, 1.0), (0.9, 0.1, 0.2), (0.25,) * 8])
@pytest.mark.parametrize("may_be_empty", [True, False])
def test_it_is_a_distribution_in_which_no_end_is_impossible(chances: tuple[float, ...], may_be_empty: bool) -> None:
    found = ends(*chances, may_be_empty=may_be_empty)
    assert sum(found) == pytest.approx(1)
    assert all(chance > 0 for chance in found[0 if may_be_empty else 1 :])
    assert may_be_empty or found[0] == 0, "the held-back piece takes a token"


def test_a_gap_of_one_token_ends_there_whatever_is_held_back() -> None:
    assert ends(0.4, may_be_empty=False) == [1.0]
    assert ends(0.4, 0.5, 0.7, may_be_empty=False) == pytest.approx([0, 0.1 / 0.6, 0.5 / 0.6])


def test_how_the_text_behind_a_gap_begins() -> None:
    """By so many tokens; fewer only where there are no more, and the text's own end counts as one thing more."""
    shared = parts()
    text = "".join(f"value_{number} = {number}\n" for number in range(60))
    for cursor_char in (0, len(text) // 2, len(text) - 90, len(text) - 4, len(text)):
        window = Window(shared.network, shared.tokenizer, shared.capabilities, SMALL, "a.py")
        window.retarget(text, [Gap(cursor_char, cursor_char)])
        begins, goes_on, is_end = _beginning(window)
        behind = text[window.layout.end :]
        assert behind.startswith(begins + goes_on)
        assert is_end == (begins == behind)
        tokens = len(shared.tokenizer.encode_words(begins)[1])
        assert tokens == min(BEHIND_TOKENS, len(shared.tokenizer.encode_words(behind)[1]))
