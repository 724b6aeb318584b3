"""Decoding: every fast path against a slow one.

Verified decoding against one token per forward; cached rows against rows
recomputed from nothing at every step.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from model.api.policy import parse_policy
from model.api.types import Gap, GapInfill, Limits, Sampling
from model.decoding.drafts import MAX_DRAFT_TOKENS, Draft, TextDrafts
from model.decoding.gap_row import GapRow
from model.decoding.gap_rows import GapRows
from model.decoding.hitting_times import hitting_times
from model.decoding.open_gap import OpenGap, open_gaps
from model.decoding.spelling import Vocabulary
from model.decoding.widths import WidthPlanner, Widths
from model.errors import InputError
from model.sessions.session import Session
from tests.model.decodes import DenseRows, Setting, eager_checkpoint, random_gaps
from tests.model.tiny import EOI, INFILL, tiny_checkpoint
from tests.model.windows import parts


def results(gaps: Sequence[OpenGap]) -> list[tuple[str, int, str]]:
    return [(gap.text(), gap.result().tokens, gap.result().stop) for gap in gaps]


class CorruptedTruth:
    """Drafts from what one-token decoding answered, each token wrong with some probability."""

    def __init__(self, truth: Sequence[OpenGap], rate: float, rng: random.Random) -> None:
        self.ids = [[gap.ids[rank] for rank in sorted(gap.ids)] for gap in truth]
        self.rate, self.rng = rate, rng

    def propose(self, gap: OpenGap) -> list[Draft]:
        if self.rng.random() < 0.3:
            return []  # leaves the word to the mask rows
        rest = self.ids[gap.index][gap.frontier - 1 :][:MAX_DRAFT_TOKENS]
        wrong = [token if self.rng.random() >= self.rate else self.rng.randrange(5, 300) for token in rest]
        return [Draft(token, "typed") for token in wrong]


class AnyWidths(WidthPlanner):
    """Widths drawn at random, and a count of how many drafts were right in a row."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(adapted=True)
        self.rng = rng
        self.outcomes: set[tuple[int, int]] = set()  # (drafts, the first so many right)
        self._run = 0

    def choose(self, kinds: Sequence[Sequence[str]]) -> Widths:
        self.widths = Widths(self.rng.randrange(min(max(map(len, kinds)), 5) + 1), self.rng.randrange(4))
        self._run = 0
        return self.widths

    def draft_was(self, kind: str, distance: int, right: bool) -> None:
        self._run += right
        if not right or distance == self.widths.drafts:
            self.outcomes.add((self.widths.drafts, self._run))


@pytest.mark.parametrize("adapted", [True, False], ids=["adapted", "base"])
def test_verified_equals_one_token_greedy(adapted: bool) -> None:
    """2,000 random cases with one to three gaps and drafts corrupted at rates from 0 to 100 %."""
    rng = random.Random(0)
    outcomes: set[tuple[int, int]] = set()
    stops: set[str] = set()
    for case in range(50):
        gaps = random_gaps(rng, 1 + case % 3 if adapted else 1)
        setting = Setting(eager_checkpoint(seed=case, adapted=adapted, layers=1), gaps)
        truth = setting.left_to_right()
        stops |= {stop for _, _, stop in results(truth)}
        for trial in range(20):
            planner = AnyWidths(rng)
            found = setting.verified(CorruptedTruth(truth, trial / 19, rng), planner)
            assert results(found) == results(truth)
            for gap, true_gap in zip(found, truth, strict=True):
                assert gap.ids == true_gap.ids
                assert gap.logprobs == pytest.approx(true_gap.logprobs, abs=1e-3)
            outcomes |= planner.outcomes
    assert outcomes >= {(drafts, right) for drafts in range(1, 6) for right in range(drafts + 1)}
    assert stops >= {"eoi", "tokens"}


def test_rows_behind_the_end_of_a_line_are_given_up() -> None:
    """A limit on lines ends a gap amid drafts that were right; the other gaps' rows saw those behind its end."""
    rng = random.Random(2)
    ended_amid_drafts = 0
    for case in range(40):
        checkpoint = tiny_checkpoint(seed=case, layers=1)
        (break_id,) = checkpoint.tokenizer.encode("\n", add_special_tokens=False).ids
        checkpoint.tensors["embed_tokens.weight"][break_id] *= 1.6
        gaps = random_gaps(rng, 2 + case % 2)
        unlimited = Setting(checkpoint, gaps).left_to_right()
        setting = Setting(checkpoint, gaps, max_lines=1)
        truth = setting.left_to_right()
        for _ in range(6):
            found = setting.verified(CorruptedTruth(unlimited, 0, rng), AnyWidths(rng))
            assert results(found) == results(truth)
            assert [gap.ids for gap in found] == [gap.ids for gap in truth]
        ended_amid_drafts += any(
            gap.stop == "lines" and len(gap.ids) < len(longer.ids) for gap, longer in zip(truth, unlimited, strict=True)
        )
    assert ended_amid_drafts > 10


def test_text_drafts_do_not_change_the_answer() -> None:
    """Type-through, held-back and n-gram drafts with the real planner: the same answer, right or wrong."""
    rng = random.Random(1)
    for case in range(20):
        gaps = random_gaps(rng, 1 + case % 2)
        setting = Setting(eager_checkpoint(seed=case), gaps, max_tokens=12)
        truth = setting.left_to_right()
        for expected in ([gap.text() for gap in truth], [gap.text()[:3] + "x" for gap in truth], []):
            drafts = TextDrafts(setting.window(), setting.vocabulary.eoi_id, expected)
            assert results(setting.verified(drafts, WidthPlanner(adapted=True))) == results(truth)


def test_typing_through_takes_few_forwards() -> None:
    """A suggestion that is right is verified in a forward or two, not a forward a token."""
    setting = Setting(tiny_checkpoint(seed=5), [Gap(60, 60)], max_tokens=12)
    truth = setting.left_to_right()
    rows = GapRows(setting.window())
    drafts = TextDrafts(setting.window(), setting.vocabulary.eoi_id, [truth[0].text()])
    # Canonical tokens of the text may differ from those decoded; then drafts stop being right there.
    canonical = setting.parts.tokenizer.encode(setting.window().layout.held_back[0] + truth[0].text())
    agree = next((i for i, (a, b) in enumerate(zip(canonical, truth[0].ids.values(), strict=False)) if a != b), 12)
    setting.verified(drafts, WidthPlanner(adapted=True), rows)
    assert rows.forwards <= 2 + (12 - agree)


def speed_up(planner: WidthPlanner, ms: Callable[[int], float], chance: float, slow_one_in: int = 10**6) -> float:
    """Return how much faster than one-row forwards `planner` gets when forwards take `ms(rows)`.

    Mask drafts are right by `chance`; one forward in `slow_one_in` takes 20 times as long.
    """
    rng, widths, tokens, spent_ms = random.Random(0), Widths(0, 0), 0, 0.0
    for forward in range(1500):
        widths = planner.choose([["mask"] * widths.masks])
        right = [rng.random() < chance for _ in range(widths.drafts)]
        accepted = right.index(False) if False in right else len(right)
        for distance, was_right in enumerate(right[: accepted + 1], start=1):
            planner.draft_was("mask", distance, was_right)
        rows = 1 + widths.drafts + (widths.drafts + 1) * widths.masks
        stall = 20 if rng.randrange(slow_one_in) == 1 else 1
        planner.forward_took(rows, ms(rows) / 1000 * stall * rng.uniform(0.9, 1.2))
        if forward >= 750:
            tokens, spent_ms = tokens + accepted + 1, spent_ms + ms(rows)
    return tokens / spent_ms * ms(1)


def test_widths_settle_where_time_is_best_spent() -> None:
    def usual(rows: int) -> float:
        return 20 * (1 + rows / 16)

    cold = WidthPlanner(adapted=True)
    cold.forward_took(17, 2.0)
    assert speed_up(cold, usual, 0.8) > 1.5
    assert speed_up(WidthPlanner(adapted=True), usual, 0.8) > 1.5
    assert speed_up(WidthPlanner(adapted=True), usual, 0.8, slow_one_in=20) > 1.4
    assert speed_up(WidthPlanner(adapted=True), usual, 0.1) > 0.95
    assert speed_up(WidthPlanner(adapted=True), lambda rows: 20, 0.8) > 2.5


def test_a_wider_forward_is_never_thought_cheaper() -> None:
    rng, planner = random.Random(0), WidthPlanner(adapted=True)
    for _ in range(200):
        planner.forward_took(rng.randrange(1, 90), rng.random())
        costs = [planner.forward_ms(rows) for rows in range(1, 100)]
        assert costs == pytest.approx(sorted(costs))
        assert costs[0] > 0


def test_drafts_that_were_wrong_for_long_are_tried_again() -> None:
    """Once a kind of draft looked hopeless it was never checked, and so looked hopeless ever after."""
    planner, kinds = WidthPlanner(adapted=False), [["ngram:3"] * 4]
    tried = []
    for _ in range(400):
        tried.append(planner.choose(kinds).drafts > 0)
        if tried[-1]:
            planner.draft_was("ngram:3", 1, False)
    assert 0 < sum(tried[200:]) < 60
    for _ in range(400):
        for distance in range(1, planner.choose(kinds).drafts + 1):
            planner.draft_was("ngram:3", distance, True)
    assert planner.choose(kinds).drafts == 4


@pytest.mark.parametrize(
    ("before", "behind", "revealed", "drafted"),
    [
        ("a = one(two)\nb = one(", "", "", "two)"),
        ("", "\na = one(two)\n", "b = one(", "two)"),
        (
            "x = one(two)\ny = 1\nc = one(six)\nd = one(",
            "\ndef f(x):\n    return 0\nz = one(ten)",
            "",
            "six)",
        ),  # the nearest
        ("y = f(one)\nx = one(two)\n", "", "k = g(six, one(seven), one(", "seven)"),
        ("a = q(1)\n", "", "b = k(", ""),
    ],
)
def test_drafts_follow_the_longest_match_nearby(before: str, behind: str, revealed: str, drafted: str) -> None:
    """`drafted` is how the draft begins; empty if nothing but single tokens can match."""
    shared = parts(tiny_checkpoint(vocab_size=512))
    session = Session(shared, "a.py", before + behind)
    gap = Gap(len(before), len(before))
    window = session.window_at([gap], lambda: False)
    (opened,) = open_gaps(window, Vocabulary(shared.tokenizer, EOI), [gap], Limits())
    for rank, token_id in enumerate(shared.tokenizer.encode(window.layout.held_back[0] + revealed), start=1):
        opened.place(rank, token_id, 0.0)
    drafts = TextDrafts(window, EOI, []).propose(opened)
    spelled = shared.tokenizer.spell([draft.token_id for draft in drafts]).decode()
    if drafted:
        assert spelled.startswith(drafted)
        assert drafts[0].match_tok >= 2
    else:
        assert all(draft.match_tok <= 1 for draft in drafts)
    assert {draft.source for draft in drafts} <= {"ngram"}


POLICIES = [
    ("left_to_right", None), ("verified", None),
    *((policy, rule) for policy in ("block:1", "block:3", "window:1", "window:4", "uniform")
      for rule in ("threshold:0.02", "threshold:0.5", "first_hitting")),
]  # fmt: skip


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize(("policy_name", "reveal"), POLICIES)
def test_cached_decoding_equals_recomputing_everything(policy_name: str, reveal: str | None, count: int) -> None:
    rng = random.Random(count)
    policy, rule = parse_policy(policy_name, reveal)

    def fill(setting: Setting, rows: GapRows) -> list[OpenGap]:
        generator = torch.Generator().manual_seed(7)
        if rule.kind == "verified":
            drafts = TextDrafts(setting.window(), EOI, [])
            return setting.verified(drafts, WidthPlanner(adapted=True), rows, generator)
        if policy.kind == "left_to_right":
            return setting.left_to_right(rows)
        return setting.fill(policy_name, rows, setting.open(), reveal, generator=generator)

    for seed in range(2):
        setting = Setting(eager_checkpoint(seed=seed + 20, layers=2), random_gaps(rng, count), max_tokens=6)
        window = setting.window()
        window.encode()
        found, expected = fill(setting, GapRows(window)), fill(setting, DenseRows(window, setting))
        assert results(found) == results(expected)
        for gap, true_gap in zip(found, expected, strict=True):
            assert gap.ids == true_gap.ids
            assert gap.logprobs == pytest.approx(true_gap.logprobs, abs=2e-3)


@pytest.mark.parametrize("policy_name", ["uniform", "block:64", "window:64"])
def test_nothing_is_decoded_that_limits_cut_off(policy_name: str) -> None:
    """Once a gap limited to a few tokens was filled at random places up to 64 tokens on."""
    setting = Setting(tiny_checkpoint(seed=3), [Gap(0, 0)], max_tokens=4)
    rows, opened = GapRows(setting.window()), setting.open()
    setting.fill(policy_name, rows, opened, "first_hitting", generator=torch.Generator().manual_seed(0))
    assert rows.forwards <= 1 + 4
    assert max(opened[0].ids) <= 1 + 4


def test_base_model_decodes_as_recomputed() -> None:
    setting = Setting(eager_checkpoint(seed=2, adapted=False), [Gap(90, 90)])
    window = setting.window()
    found = setting.left_to_right(GapRows(window))
    assert results(found) == results(setting.left_to_right(DenseRows(window, setting)))


def chi_square(counts: dict[object, int], probabilities: dict[object, float], draws: int) -> tuple[float, int]:
    """Pearson's statistic and degrees of freedom, outcomes expected fewer than 8 times pooled."""
    pooled_count, pooled_expected, statistic, cells = 0, 0.0, 0.0, 0
    for outcome, probability in probabilities.items():
        expected = probability * draws
        if expected < 8:
            pooled_count += counts.get(outcome, 0)
            pooled_expected += expected
            continue
        statistic += (counts.get(outcome, 0) - expected) ** 2 / expected
        cells += 1
    if pooled_expected > 1:
        statistic += (pooled_count - pooled_expected) ** 2 / pooled_expected
        cells += 1
    return statistic, cells - 1


class RememberedRows(GapRows):
    """Stands in for the network where the same few rows come again and again: each is computed once.

    A row's logits depend on the row and on what it sees, not on the forward
    that it is fed in.
    """

    known: ClassVar[dict[object, Tensor]] = {}

    def feed(self, rows: Sequence[GapRow], logits_at: Sequence[int] | None = None) -> Tensor:
        self._fed = list(rows)
        everything = [*self._committed, *rows]
        wanted = []
        for row in rows if logits_at is None else [rows[index] for index in logits_at]:
            seen = [other for other in everything if other.key is not None and other.key < row.sees_below]
            name = (*((other.token_id, other.rank) for other in seen), row.token_id, row.rank)
            if name not in self.known:
                self.known[name] = GapRows(self.window).feed([*seen, row])[-1]
            wanted.append(self.known[name])
        return torch.stack(wanted)


def test_sampled_verified_decoding_follows_the_clean_head(monkeypatch: pytest.MonkeyPatch) -> None:
    """20,000 draws of four tokens over a vocabulary of four, against the exact product of probabilities.

    Drafts are guesses now and then, else drawn from mask rows, up to three of them.
    """
    monkeypatch.setattr(RememberedRows, "known", {})
    checkpoint = tiny_checkpoint(seed=11, scale=0.15, layers=1)
    setting = Setting(checkpoint, [Gap(0, 0)], max_tokens=4)
    keep = torch.zeros(checkpoint.config.vocab_size, dtype=torch.bool)
    few = [EOI, *setting.parts.tokenizer.encode("x=1")]
    keep[few] = True
    setting.vocabulary._free = keep
    sampling, draws = Sampling(temperature=5.0, top_p=0.95), 20_000
    window = setting.window()
    window.encode()

    probabilities: dict[object, float] = {}

    def walk(prefix: tuple[int, ...], probability: float) -> None:
        if probability == 0:
            return
        if len(prefix) == 4 or EOI in prefix:
            probabilities[prefix] = probability
            return
        first_id = window.gap_first_id(0)
        chain = [GapRow(token, first_id + n, n, n) for n, token in enumerate([INFILL, *prefix])]
        logits = GapRows(window).feed(chain)[-1].masked_fill(~keep, -torch.inf)
        probs = (logits.double() / sampling.temperature).softmax(-1)
        ordered, order = probs.sort(descending=True)
        probs[order[(ordered.cumsum(-1) - ordered) >= sampling.top_p]] = 0
        for token in few:
            walk((*prefix, token), probability * float(probs[token] / probs.sum()))

    walk((), 1.0)
    assert sum(probabilities.values()) == pytest.approx(1)

    class GuessedDrafts:
        """Always the same guess, so that it is right now and then; otherwise mask drafts."""

        def __init__(self, rng: random.Random) -> None:
            self.rng = rng

        def propose(self, gap: OpenGap) -> list[Draft]:
            return [Draft(few[1 + self.rng.randrange(3)], "typed")] if self.rng.random() < 0.3 else []

    rng, generator = random.Random(3), torch.Generator().manual_seed(5)
    planner, counts = AnyWidths(rng), dict[object, int]()
    for _ in range(draws):
        opened = open_gaps(window, setting.vocabulary, setting.gaps, setting.limits)
        rows = RememberedRows(window)
        drafts = GuessedDrafts(rng)
        setting.fill("verified", rows, opened, drafts=drafts, planner=planner, sampling=sampling, generator=generator)
        outcome = tuple(opened[0].ids.values())
        counts[outcome] = counts.get(outcome, 0) + 1
    assert set(counts) <= set(probabilities)
    statistic, freedom = chi_square(counts, probabilities, draws)
    assert freedom >= 20
    assert {(1, 1), (2, 2), (2, 1), (2, 0)} <= planner.outcomes
    # Wilson-Hilferty: beyond 4 standard deviations, less than one run in 30,000.
    z = ((statistic / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / math.sqrt(2 / (9 * freedom))
    assert z < 4, (statistic, freedom)


def first_hitting_times(length: int, size: int, generator: torch.Generator) -> Tensor:
    """Return the paper's staggered first-hitting times [length] float64 for window(S); revealed by descending time.

    arXiv 2607.01775: T_i = loc_i + w (1 - exp(-e / c)) with e ~ Exp(1),
    w = S / (L + S - 1), area = D / (2 L), c = area / (w - area), S = 2 D, and
    loc falling linearly from 1 - w to 0. It needs the length, which an editor
    does not know.
    """
    width = size / (length + size - 1)
    area = (size / 2) / (2 * length)
    scale = area / (width - area)
    location = torch.linspace(1 - width, 0, length, dtype=torch.float64)
    exponential = torch.empty(length, dtype=torch.float64).exponential_(1, generator=generator)
    return location + width * (1 - torch.exp(-exponential / scale))


def test_window_order_is_the_limit_of_first_hitting_times() -> None:
    """Positions come in the same order, statistically: how far ahead of its turn a position is revealed."""
    size, length, generator = 16, 3000, torch.Generator().manual_seed(0)
    policy, _ = parse_policy(f"window:{size}")
    samples = []
    for times in (-first_hitting_times(length, size, generator), hitting_times(policy, length, generator)):
        turns = times.argsort().argsort().double() - torch.arange(length)
        samples.append(turns[200:-200].sort().values)  # away from the ends, where the exact form knows the length
    a, b = samples
    points = torch.cat((a, b)).unique()
    distance = (torch.searchsorted(a, points, right=True) - torch.searchsorted(b, points, right=True)).abs().max()
    assert float(distance) / len(a) < 1.95 * math.sqrt(2 / len(a)) * 1.5  # Kolmogorov-Smirnov at 0.1 %, with ties
    assert a.std() == pytest.approx(float(b.std()), rel=0.1)


@pytest.mark.parametrize("seed", range(5))
def test_window_reveals_within_its_reach(seed: int) -> None:
    """No position waits behind one that is S or more places later."""
    policy, _ = parse_policy("window:8")
    times = hitting_times(policy, 500, torch.Generator().manual_seed(seed))
    order = times.argsort().tolist()
    revealed: set[int] = set()
    frontier = 0
    for position in order:
        assert position < frontier + 8
        revealed.add(position)
        while frontier in revealed:
            frontier += 1


def test_blocks_are_ascending_and_mixed_inside() -> None:
    policy, _ = parse_policy("block:8")
    order = hitting_times(policy, 400, torch.Generator().manual_seed(0)).argsort().tolist()
    assert all(a // 8 <= b // 8 for a, b in pairwise(order))
    assert order != sorted(order)


@pytest.mark.parametrize(
    ("policy", "reveal", "problem"),
    [
        ("left_to_right", "threshold:0.5", "cannot reveal by threshold"),
        ("block:4", "verified", "cannot reveal by verified"),
        ("uniform", "verified", "cannot reveal by verified"),
        ("verified", "first_hitting", "rule of its own"),
        ("block", None, "unknown policy"),
        ("block:0", None, "size"),
        ("window:1000", None, "size"),
        ("uniform:3", None, "unknown policy"),
        ("sideways", None, "unknown policy"),
        ("window:4", "threshold:0", "probability"),
        ("window:4", "threshold:nan", "probability"),
        ("window:4", "magic", "unknown reveal rule"),
    ],
)
def test_illegal_pairs_are_refused(policy: str, reveal: str | None, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        parse_policy(policy, reveal)


@pytest.mark.parametrize("policy_name", ["block:3", "window:4", "uniform", "left_to_right"])
def test_a_length_that_is_told_is_kept(policy_name: str) -> None:
    """Evaluation with gold lengths: exactly so many tokens, whatever the model would have chosen."""
    setting = Setting(eager_checkpoint(seed=9), [Gap(0, 0), Gap(200, 204)], max_tokens=50)
    setting.session.edit([])
    lengths = [5, 3]
    opened = setting.open(lengths)
    rows, generator = GapRows(setting.window()), torch.Generator().manual_seed(0)
    setting.fill(policy_name, rows, opened, generator=generator)
    found: list[GapInfill] = [gap.result() for gap in opened]
    assert [result.tokens for result in found] == lengths
    assert {result.stop for result in found} == {"eoi"}
