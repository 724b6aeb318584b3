"""The rows of jointly filled gaps: orders, sets, and what each row predicts (docs/design.md, sections 1, 3, 7).

The keys are those of `model.decoding`: a token's rank for left to right, the
running number of its reveal otherwise. Rank 0 of a gap is `<infill>`, rank n
its n-th token, `<eoi>` included. Knows no text and no islands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.checkpoint.config import Capabilities
from model.training.config import ExampleConfig
from model.training.rows import NO_TARGET, GapTable


@dataclass(frozen=True)
class SpecialIds:
    """The ids of the rows that are no text."""

    sink: int
    filename: int | None
    mask: int
    infill: int
    eoi: int


def special_ids(known: Capabilities) -> SpecialIds:
    """Return the ids that training uses with a model."""
    # An unadapted base says nothing of these; SmolLM2's are untouched by pretraining (docs/design.md, section 7).
    mask, infill, eoi = known.mask_id, known.infill_id, known.eoi_id
    return SpecialIds(
        known.sink_id,
        known.filename_id,
        7 if mask is None else mask,
        8 if infill is None else infill,
        9 if eoi is None else eoi,
    )


@dataclass(frozen=True)
class GapTokens:
    """One gap of a group: `first_id` is the position id of `<infill>`; `ids` end with `<eoi>`."""

    first_id: int
    ids: Sequence[int]


def log_uniform(rng: np.random.Generator, low: int, high: int) -> int:
    """Draw an integer from `low` to `high`, both included, log-uniformly."""
    return min(high, int(math.exp(rng.uniform(math.log(low), math.log(high + 1)))))


def group_rows(
    gaps: Sequence[GapTokens], special: SpecialIds, config: ExampleConfig, rng: np.random.Generator
) -> GapTable:
    """Return the rows of `gaps` in an order drawn from `config`."""
    order = rng.random()
    if order < config.left_to_right_share:
        return left_to_right_rows(gaps, special, config, rng)
    if order < config.left_to_right_share + config.window_order_share:
        size = int(rng.choice(config.window_sizes))
        return any_order_rows(gaps, _window_sets(gaps, size, config, rng), special, config, rng)
    return any_order_rows(gaps, _subset_sets(gaps, config, rng), special, config, rng)


def left_to_right_rows(
    gaps: Sequence[GapTokens], special: SpecialIds, config: ExampleConfig, rng: np.random.Generator
) -> GapTable:
    """Clean rows of every rank, and mask rows that look up to `set_max` positions beyond a frontier.

    The cuts between sets are ranks, common to all gaps: mask rows of ranks
    f+1 .. f+s see the rows of rank <= f of every gap, as verified decoding's do.
    """
    table = GapTable()
    last_rank = max(len(gap.ids) for gap in gaps)
    clean_of = []  # per gap, the table index of each clean rank
    for gap in gaps:
        # <eoi> is fed for the gaps that are still open after it.
        fed = len(gap.ids) if len(gap.ids) < last_rank else len(gap.ids) - 1
        clean = []
        for rank in range(fed + 1):
            token_id = gap.ids[rank - 1] if rank else special.infill
            target = gap.ids[rank] if rank < len(gap.ids) else NO_TARGET
            clean.append(table.add_clean(token_id, gap.first_id + rank, rank, rank, target))
        clean_of.append(clean)
    frontier = 0
    while frontier < last_rank:
        end = frontier + log_uniform(rng, config.set_min, config.set_max)
        for gap, clean in zip(gaps, clean_of, strict=True):
            count = len(gap.ids)
            if frontier >= count:
                continue
            for rank in range(frontier + 1, _past_end(end, count, config, rng) + 1):
                target, verifier = (gap.ids[rank - 1], clean[rank - 1]) if rank <= count else (special.eoi, -1)
                distance = rank - frontier
                table.add_mask(special.mask, gap.first_id + rank, frontier + 1, target, distance, verifier)
        frontier = end
    return table


def any_order_rows(
    gaps: Sequence[GapTokens],
    sets: Sequence[Sequence[tuple[int, Sequence[int]]]],
    special: SpecialIds,
    config: ExampleConfig,
    rng: np.random.Generator,
) -> GapTable:
    """Clean and mask rows for any sequence of sets.

    A set lists (gap index, ranks ascending), gaps in order. Ranks that no set
    reveals get mask rows that see all the sets. A revealed row's key is its
    running number, from 1; `<infill>` rows have 0.
    """
    table = GapTable()
    unknown = [set(range(1, len(gap.ids) + 1)) for gap in gaps]
    chains: list[list[tuple[int, int]]] = [[(0, 0)] for _ in gaps]  # per gap, (key, rank) as revealed
    next_key = 1
    for revealed in sets:
        for index, ranks in revealed:
            gap = gaps[index]
            masked = list(ranks)
            if masked and masked[-1] == len(gap.ids):  # the end is in reach, and so are positions past it
                masked += range(len(gap.ids) + 1, _past_end(masked[-1] + len(ranks) - 1, len(gap.ids), config, rng) + 1)
            _add_masks(table, gap, masked, next_key, special)
        for index, ranks in revealed:
            for rank in ranks:
                chains[index].append((next_key, rank))
                unknown[index].discard(rank)
                next_key += 1
    for gap, left in zip(gaps, unknown, strict=True):
        ranks = sorted(left)
        if ranks and ranks[-1] == len(gap.ids):
            ranks += range(len(gap.ids) + 1, _past_end(len(gap.ids), len(gap.ids), config, rng) + 1)
        _add_masks(table, gap, ranks, next_key, special)
    last_key = next_key - 1 if not any(unknown) else None
    for gap, chain in zip(gaps, chains, strict=True):
        followers = [*(rank for _, rank in chain[1:]), -1]
        for (key, rank), follower in zip(chain, followers, strict=True):
            if rank == len(gap.ids) and key == last_key:
                continue  # <eoi>, revealed last of all positions: nobody is left to see it
            target = gap.ids[rank] if follower == rank + 1 else NO_TARGET
            token_id = gap.ids[rank - 1] if rank else special.infill
            table.add_clean(token_id, gap.first_id + rank, key, key, target)
    return table


def _add_masks(table: GapTable, gap: GapTokens, ranks: Sequence[int], below: int, special: SpecialIds) -> None:
    for rank in ranks:
        target = gap.ids[rank - 1] if rank <= len(gap.ids) else special.eoi
        table.add_mask(special.mask, gap.first_id + rank, below, target)


def _past_end(end: int, count: int, config: ExampleConfig, rng: np.random.Generator) -> int:
    """Return the last rank that gets a mask row in a set that reaches rank `end`, in a gap of `count` ranks."""
    if end < count:
        return end
    if rng.random() < config.past_end_full:
        return count + config.past_end_rows
    return min(end, count + config.past_end_rows)


def _window_sets(
    gaps: Sequence[GapTokens], size: int, config: ExampleConfig, rng: np.random.Generator
) -> list[list[tuple[int, list[int]]]]:
    """Cut the order argsort(i + S * U**3) of each gap into sets of common sizes; `<eoi>` comes last in its gap."""
    orders = []
    for gap in gaps:
        count = len(gap.ids) - 1
        times = np.arange(count) + size * rng.random(count) ** 3
        orders.append([int(index) + 1 for index in np.argsort(times)] + [len(gap.ids)])
    sets: list[list[tuple[int, list[int]]]] = []
    begin = 0
    while begin < max(len(order) for order in orders):
        end = begin + log_uniform(rng, config.set_min, config.set_max)
        sets.append([(i, sorted(order[begin:end])) for i, order in enumerate(orders) if begin < len(order)])
        begin = end
    return sets


def _subset_sets(
    gaps: Sequence[GapTokens], config: ExampleConfig, rng: np.random.Generator
) -> list[list[tuple[int, list[int]]]]:
    """Reveal a random subset: the ends first, if they are known, then each token with one probability for all."""
    sets: list[list[tuple[int, list[int]]]] = []
    end_known = rng.random() < config.subset_end_known
    if end_known:
        sets.append([(index, [len(gap.ids)]) for index, gap in enumerate(gaps)])
    share = rng.random()
    subset = [
        (index, [rank for rank in range(1, len(gap.ids)) if rng.random() < share]) for index, gap in enumerate(gaps)
    ]
    return [*sets, subset]
