"""Orders, sets and what rows predict, against a replay of how a decode would reveal the same positions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from model.training.orders import GapTokens, any_order_rows, group_rows, left_to_right_rows, log_uniform
from model.training.rows import NO_TARGET, UNSEEN, GapTable, RowKind
from tests.model.tiny import EOI, INFILL, MASK
from tests.training.tiny_training import SMALL, SPECIAL


def gaps_of(*lengths: int) -> list[GapTokens]:
    """Gaps whose tokens are all different: 100 for the first of gap 0, 200 for that of gap 1, ..."""
    return [
        GapTokens(1000 * index, [*range(100 * (index + 1), 100 * (index + 1) + length), EOI])
        for index, length in enumerate(lengths)
    ]


def rank_of(gap: GapTokens, position_id: int) -> int:
    return position_id - gap.first_id


def gap_at(gaps: list[GapTokens], position_id: int) -> GapTokens:
    return gaps[position_id // 1000]


def clean_rows(table: GapTable) -> list[int]:
    return [row for row, key in enumerate(table.keys) if key != UNSEEN]


def mask_rows(table: GapTable) -> list[int]:
    return [row for row, kind in enumerate(table.kinds) if kind == RowKind.MASK]


def check_rows(table: GapTable, gaps: list[GapTokens]) -> None:
    """What holds in any order."""
    for row in range(len(table)):
        gap = gap_at(gaps, table.position_ids[row])
        rank = rank_of(gap, table.position_ids[row])
        if table.keys[row] == UNSEEN:
            assert table.token_ids[row] == MASK
            assert table.targets[row] == (gap.ids[rank - 1] if rank <= len(gap.ids) else EOI)
            assert 1 <= rank <= len(gap.ids) + SMALL.past_end_rows
        else:
            assert table.token_ids[row] == (gap.ids[rank - 1] if rank else INFILL)
            assert table.below[row] == table.keys[row], "a clean row sees all smaller keys"
            assert table.targets[row] in (NO_TARGET, gap.ids[rank] if rank < len(gap.ids) else NO_TARGET)
    inside = [position for row in mask_rows(table) if (position := table.position_ids[row]) % 1000 <= len(
        gap_at(gaps, position).ids)]  # fmt: skip
    every = [gap.first_id + rank for gap in gaps for rank in range(1, len(gap.ids) + 1)]
    assert sorted(inside) == every, "each position has one mask row"


@pytest.mark.parametrize("seed", range(20))
def test_left_to_right(seed: int) -> None:
    rng = np.random.default_rng(seed)
    gaps = gaps_of(*rng.integers(0, 30, int(rng.integers(1, 4))).tolist())
    table = left_to_right_rows(gaps, SPECIAL, SMALL, rng)
    check_rows(table, gaps)
    last = max(len(gap.ids) for gap in gaps)
    for gap in gaps:
        fed = [rank_of(gap, table.position_ids[row]) for row in clean_rows(table) if gap_at(
            gaps, table.position_ids[row]) is gap]  # fmt: skip
        assert fed == list(range(len(gap.ids) + (len(gap.ids) < last))), "<eoi> is fed while others are open"
    for row in clean_rows(table):
        gap = gap_at(gaps, table.position_ids[row])
        rank = rank_of(gap, table.position_ids[row])
        assert table.keys[row] == rank
        assert (table.targets[row] == NO_TARGET) == (rank == len(gap.ids))
    frontiers = set()
    for row in mask_rows(table):
        gap = gap_at(gaps, table.position_ids[row])
        rank, distance = rank_of(gap, table.position_ids[row]), table.distances[row]
        frontier = rank - distance
        frontiers.add(frontier)
        assert table.below[row] == frontier + 1, "a mask row sees the rows of rank <= the frontier"
        assert frontier < len(gap.ids), "a closed gap has no mask rows"
        if rank <= len(gap.ids):
            verifier = table.verifiers[row]
            assert table.position_ids[verifier] == gap.first_id + rank - 1
            assert table.targets[verifier] == table.targets[row]
    assert 0 in frontiers


@pytest.mark.parametrize("seed", range(20))
def test_other_orders_replay(seed: int) -> None:
    """Sets in sequence: each set's mask rows see exactly the rows revealed by the sets before."""
    rng = np.random.default_rng(seed)
    gaps = gaps_of(*rng.integers(1, 9, int(rng.integers(1, 4))).tolist())
    ranks = [list(range(1, len(gap.ids) + 1)) for gap in gaps]
    sets = []
    while any(ranks) and rng.random() < 0.9:
        chosen = []
        for index, left in enumerate(ranks):
            taken = sorted(rng.permutation(left)[: int(rng.integers(0, 4))].tolist())
            ranks[index] = [rank for rank in left if rank not in taken]
            chosen.append((index, taken))
        sets.append(chosen)
    table = any_order_rows(gaps, sets, SPECIAL, SMALL, rng)
    check_rows(table, gaps)
    key_of = {table.position_ids[row]: table.keys[row] for row in clean_rows(table)}
    revealed: list[int] = []
    for chosen in sets:
        expected = len(revealed) + 1
        for index, taken in chosen:
            for rank in taken:
                position = gaps[index].first_id + rank
                (mask,) = [row for row in mask_rows(table) if table.position_ids[row] == position]
                assert table.below[mask] == expected
        revealed += [gaps[index].first_id + rank for index, taken in chosen for rank in taken]
    unknown = [gaps[index].first_id + rank for index, left in enumerate(ranks) for rank in left]
    for row in mask_rows(table):
        if table.position_ids[row] in unknown:
            assert table.below[row] == len(revealed) + 1
    for number, position in enumerate(revealed, 1):
        is_end = position == gap_at(gaps, position).first_id + len(gap_at(gaps, position).ids)
        if not (is_end and number == len(revealed) and not unknown):
            assert key_of[position] == number
    assert all(key_of[gap.first_id] == 0 for gap in gaps)


def test_next_targets_of_other_orders_are_not_given_away() -> None:
    """A clean row predicts position i+1 only where its chain goes on there: not when that is known already."""
    (gap,) = gaps_of(4)
    table = any_order_rows([gap], [[(0, [2])], [(0, [1, 3])], [(0, [4, 5])]], SPECIAL, SMALL, np.random.default_rng(0))
    target_of = {table.position_ids[row]: table.targets[row] for row in clean_rows(table)}
    assert target_of[0] == NO_TARGET, "rank 2 comes first"
    assert target_of[2] == NO_TARGET, "rank 1 comes next"
    assert target_of[1] == NO_TARGET, "rank 2 is known by then"
    assert target_of[3] == gap.ids[3]
    assert target_of[4] == EOI


def test_orders_come_in_their_shares() -> None:
    rng, gaps = np.random.default_rng(0), gaps_of(12)
    config = replace(SMALL, left_to_right_share=0.7, window_order_share=0.2, subset_share=0.1)
    left_to_right = sum(any(group_rows(gaps, SPECIAL, config, rng).distances) for _ in range(1000))
    assert 650 < left_to_right < 750


def test_set_sizes_are_log_uniform() -> None:
    rng = np.random.default_rng(0)
    drawn = np.bincount([log_uniform(rng, 1, 12) for _ in range(20_000)], minlength=13)[1:]
    expected = np.diff(np.log(np.arange(1, 14))) / np.log(13) * 20_000
    assert np.abs(drawn - expected).max() < 250


def test_rows_past_the_end_want_the_end() -> None:
    table = left_to_right_rows(gaps_of(3), SPECIAL, replace(SMALL, past_end_full=1.0), np.random.default_rng(0))
    last = max(table.position_ids)
    assert last == 4 + SMALL.past_end_rows
    assert table.targets[table.position_ids.index(last)] == EOI
