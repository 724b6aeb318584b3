"""What is learned of forwards' costs and drafts' chances, and the widths that follow from it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.decoding.widths import MAX_MASKS, WidthPlanner, Widths

WIDTHS = (1, 2, 4, 8, 16, 32, 64)


def planner(ms_of_a_row: float | None = None, flat_ms: float = 0.0, adapted: bool = True) -> WidthPlanner:
    """One for a machine whose forwards take `flat_ms` and `ms_of_a_row` for each row; fresh without."""
    made = WidthPlanner(adapted)
    if ms_of_a_row is not None:
        for width in WIDTHS * 40:
            made.forward_took(width, (flat_ms + ms_of_a_row * width) / 1000)
    return made


def test_before_anything_is_measured_sixteen_rows_cost_twice_one() -> None:
    fresh = planner()
    for rows in range(1, 65):
        assert fresh.forward_ms(rows) == pytest.approx(1 + rows / 16)
    assert fresh.forward_ms(128) == pytest.approx(2 * fresh.forward_ms(64)), "beyond, by the row"


def test_the_first_measurement_tells_how_fast_the_machine_is() -> None:
    fresh = planner()
    fresh.forward_took(1, 5.0)  # a first forward pays for what no other will
    assert fresh.forward_ms(1) == pytest.approx(1 + 1 / 16)
    fresh.forward_took(1, 0.017)
    assert fresh.forward_ms(1) == pytest.approx(17.0)
    assert fresh.forward_ms(16) == pytest.approx(32.0, rel=0.01), "the others follow all the way"
    fresh.forward_took(1, 0.034)
    assert 17 < fresh.forward_ms(1) < 34
    assert fresh.forward_ms(16) > 40, "not measured yet, they follow still"


def test_costs_are_learned() -> None:
    learned = planner(ms_of_a_row=2.0, flat_ms=10.0)
    for rows in WIDTHS:
        assert learned.forward_ms(rows) == pytest.approx(10 + 2 * rows, rel=0.05)
    assert learned.forward_ms(12) == pytest.approx(34, rel=0.05), "between two that were measured"


def test_a_stall_says_little_and_nothing_is_free() -> None:
    learned = planner(ms_of_a_row=1.0)
    before_ms = learned.forward_ms(8)
    learned.forward_took(8, 60.0)
    assert before_ms < learned.forward_ms(8) < 1.5 * before_ms
    for _ in range(1000):
        learned.forward_took(8, 0.0)
    assert learned.forward_ms(8) > 0
    assert learned.forward_ms(64) > 0


@given(st.lists(st.tuples(st.integers(1, 100), st.floats(0.0, 2.0))))
def test_wider_never_costs_less(measured: list[tuple[int, float]]) -> None:
    learned = planner()
    for rows, seconds in measured:
        learned.forward_took(rows, seconds)
    costs = [learned.forward_ms(rows) for rows in range(1, 140)]
    assert all(narrow <= wide * (1 + 1e-9) for narrow, wide in pairwise(costs))
    assert costs[0] > 0


def test_without_learning_nothing_depends_on_the_clock() -> None:
    still, fresh = WidthPlanner(True, learns=False), planner()
    for _ in range(3):
        still.forward_took(4, 9.0)
        still.draft_was("typed", 1, False)
    assert still.forward_ms(4) == fresh.forward_ms(4)
    assert still.expected_tokens([["typed"]]) == fresh.expected_tokens([["typed"]])


def test_expected_tokens_of_gaps_that_must_all_be_right() -> None:
    fresh = planner()
    assert fresh.expected_tokens([]) == [1.0]
    assert fresh.expected_tokens([["typed", "typed", "typed"]]) == pytest.approx([1, 1.9, 2.71, 3.439])
    assert fresh.expected_tokens([["ngram:1"] * 5])[1:3] == pytest.approx([1.2, 1.3])
    both = fresh.expected_tokens([["typed", "typed"], ["held_back"]])
    assert both == pytest.approx([1, 1 + 0.9 * 0.5, 1 + 0.9 * 0.5 + 0.9 * 0.5 * 0.9])


def test_chances_are_counted_by_kind_and_distance() -> None:
    learned = planner()
    learned.draft_was("typed", 2, False)
    assert learned.expected_tokens([["typed"] * 3]) == pytest.approx([1, 1.9, 2.629, 2.629 + 0.9 * 0.81 * 0.9])
    for _ in range(100):
        learned.draft_was("ngram:2", 1, True)
        learned.draft_was("held_back", 1, False)
    assert learned.expected_tokens([["ngram:2"]])[1] == pytest.approx(2, abs=1e-3)
    assert learned.expected_tokens([["held_back"]])[1] == pytest.approx(1, abs=1e-3)


def test_where_rows_cost_nothing_all_drafts_are_verified() -> None:
    free = planner(ms_of_a_row=0.0, flat_ms=20.0)
    assert free.choose([["typed"] * 5]) == Widths(5, MAX_MASKS)
    assert free.choose([["ngram:1"] * 3, ["typed"] * 2]) == Widths(3, MAX_MASKS)
    assert [each.drafts for each in free.choose_each([["typed"] * 5, [], ["ngram:1"] * 2])] == [5, 0, 2]
    assert planner(0.0, 20.0, adapted=False).choose([["typed"] * 5]) == Widths(5, 0), "others have no mask rows"


def test_where_rows_cost_all_only_sure_drafts_are_verified() -> None:
    dear = planner(ms_of_a_row=5.0)
    assert dear.choose([["ngram:1"] * 5]) == Widths(0, 0)
    assert dear.choose([["ngram:1"] * 5] * 3) == Widths(0, 0)
    assert dear.choose_each([["ngram:1"], ["ngram:1"]]) == [Widths(0, 0)] * 2


def test_decodes_side_by_side_verify_what_is_likeliest_of_all() -> None:
    middling = planner(ms_of_a_row=1.0, flat_ms=4.0, adapted=False)
    sure, unsure = middling.choose_each([["typed"] * 6, ["ngram:1"] * 6])
    assert sure.drafts > unsure.drafts
    assert middling.choose_each([["ngram:1"] * 6, ["typed"] * 6]) == [unsure, sure]


@pytest.mark.parametrize("together", [False, True])
def test_a_kind_of_draft_that_failed_is_tried_again_in_time(together: bool) -> None:
    dear = planner(ms_of_a_row=5.0)
    for _ in range(100):
        dear.draft_was("typed", 1, False)
    assert dear.expected_tokens([["typed"]])[1] < 1.01
    chances = []
    for _ in range(2000):
        dear.choose_each([["typed"]]) if together else dear.choose([["typed"]])
        chances.append(dear.expected_tokens([["typed"]])[1])
    assert all(before <= after for before, after in pairwise(chances))
    assert 1.5 < chances[-1] <= 1.9
    assert chances[50] < 1.15, "but not at once"
