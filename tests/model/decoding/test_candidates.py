"""Candidates: each is what decoding it alone, one token at a time, makes of its beginning."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch

from model.api.types import Gap, Limits, Sampling
from model.decoding.drafts import Draft, TextDrafts
from model.decoding.gap_rows import GapRows
from model.decoding.left_to_right import first_rows
from model.decoding.open_gap import OpenGap, open_gaps
from model.decoding.sampling import draw_next
from model.decoding.spelling import Vocabulary
from model.decoding.widths import WidthPlanner, Widths
from model.sessions.session import Session
from tests.model.decodes import GREEDY, DenseRows, Setting, eager_checkpoint, on, random_gaps
from tests.model.tiny import EOI, tiny_checkpoint
from tests.model.windows import parts


def alone(setting: Setting, beginning: OpenGap | None, sampling: Sampling, generator: torch.Generator) -> OpenGap:
    """Decode what follows `beginning`, every row fed anew for every token."""
    (gap,) = setting.open() if beginning is None else (beginning,)
    while gap.stop is None:
        known = [gap.clean_row(rank, key=rank) for rank in range(1, gap.frontier)]
        logits = GapRows(setting.window()).feed([*first_rows([gap], setting.capabilities.infill_id), *known])
        log_probs = gap.next_log_probs(logits[-1])
        gap.reveal(gap.frontier, draw_next(log_probs, gap.spelling.vocabulary.eoi_id, sampling, generator), log_probs)
    return gap


def one_by_one(setting: Setting, count: int, sampling: Sampling = GREEDY, seed: int = 0) -> list[OpenGap]:
    """The answer and at most `count` branches, of other texts or not, each decoded alone."""
    answer = alone(setting, None, sampling, torch.Generator().manual_seed(seed))
    margin = {rank: answer.logprobs[rank] - second for rank, (_, second) in answer.runners_up.items()}
    found = [answer]
    for rank in sorted((rank for rank in margin if margin[rank] < float("inf")), key=lambda rank: margin[rank])[:count]:
        branch = answer.branch_at(rank)
        branch.place(rank, *answer.runners_up[rank])
        found.append(alone(setting, branch, sampling, torch.Generator().manual_seed(seed + rank)))
    return found


def together(
    setting: Setting,
    count: int,
    drafts: object,
    planner: WidthPlanner,
    rows: GapRows | None = None,
    sampling: Sampling = GREEDY,
    after_forward: Callable[[], bool] = on,
) -> list[OpenGap]:
    rows = rows or GapRows(setting.window())
    return setting.fill(
        "left_to_right", rows, setting.open(window=rows.window), planner=planner, drafts=drafts, candidates=count,
        sampling=sampling, generator=torch.Generator().manual_seed(0), after_forward=after_forward,
    )  # fmt: skip


def check(found: Sequence[OpenGap], expected: Sequence[OpenGap]) -> None:
    """`found` are the texts `expected`, each once, the likeliest branch first."""
    answer, *branches = expected
    others: dict[str, OpenGap] = {}
    for branch in sorted(branches, key=lambda branch: -sum(branch.logprobs.values())):
        if branch.text() != answer.text():
            others.setdefault(branch.text(), branch)
    assert [gap.text() for gap in found] == [answer.text(), *others]
    for gap, true_gap in zip(found, (answer, *others.values()), strict=True):
        assert gap.ids == true_gap.ids
        assert gap.stop == true_gap.stop
        assert gap.logprobs == pytest.approx(true_gap.logprobs, abs=1e-3)


class PlantedDrafts:
    """Drafts from what each candidate will be, each token wrong with some probability."""

    def __init__(self, truth: Sequence[OpenGap], rate: float, rng: random.Random) -> None:
        self.truth, self.rate, self.rng = [list(gap.ids.values()) for gap in truth], rate, rng

    def propose(self, gap: OpenGap, others: Sequence[OpenGap]) -> list[Draft]:
        if self.rng.random() < 0.2:
            return []  # leaves the word to the mask rows
        known = gap.known_ids()
        fitting = [ids for ids in self.truth if ids[: len(known)] == known] or self.truth
        rest = self.rng.choice(fitting)[len(known) :]
        wrong = [token if self.rng.random() >= self.rate else self.rng.randrange(300) for token in rest]
        return [Draft(token, "typed") for token in wrong]


class AnyWidths(WidthPlanner):
    """Widths drawn at random, and a count of how many drafts were right in a row."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(adapted=True)
        self.rng = rng
        self.outcomes: set[tuple[int, bool]] = set()  # (how many right ones came before, whether this one was)

    def choose_each(self, kinds: Sequence[Sequence[str]]) -> list[Widths]:
        masks = self.rng.randrange(4)
        return [Widths(self.rng.randrange(min(len(of_one), 5) + 1), masks) for of_one in kinds]

    def draft_was(self, kind: str, distance: int, right: bool) -> None:
        self.outcomes.add((distance - 1, right))


@pytest.mark.parametrize("adapted", [True, False], ids=["adapted", "base"])
def test_candidates_equal_decoding_each_alone(adapted: bool) -> None:
    """480 random cases with one to four candidates beside the answer and drafts wrong at rates from 0 to 100 %."""
    rng = random.Random(2)
    outcomes: set[tuple[int, bool]] = set()
    stops: set[str | None] = set()
    numbers: set[int] = set()
    for case in range(40):
        count = 1 + case % 4
        checkpoint = eager_checkpoint(seed=case, adapted=adapted, layers=1)
        checkpoint.tensors["embed_tokens.weight"][checkpoint.tokenizer.token_to_id("Ċ")] *= 1.6  # a line break
        setting = Setting(checkpoint, random_gaps(rng, 1), max_tokens=11)
        setting.limits = replace(setting.limits, max_lines=rng.choice([None, 1, 2]))
        truth = one_by_one(setting, count)
        for trial in range(6):
            planner = AnyWidths(rng)
            found = together(setting, count, PlantedDrafts(truth, trial / 5, rng), planner)
            check(found, truth)
            outcomes |= planner.outcomes
            stops |= {gap.stop for gap in found[1:]}
            numbers.add(len(found) - 1)
    assert outcomes == {(before, right) for before in range(5) for right in (False, True)}
    assert stops >= {"eoi", "tokens", "lines"}
    assert numbers >= {1, 2, 3, 4}


@pytest.mark.parametrize("adapted", [True, False], ids=["adapted", "base"])
def test_text_drafts_do_not_change_candidates(adapted: bool) -> None:
    """With the drafts and the planner of every day."""
    rng = random.Random(3)
    for case in range(10):
        setting = Setting(eager_checkpoint(seed=case + 50, adapted=adapted), random_gaps(rng, 1), max_tokens=14)
        truth = one_by_one(setting, 3)
        for expected in ([truth[0].text()], []):
            drafts = TextDrafts(setting.window(), setting.vocabulary.eoi_id, expected)
            check(together(setting, 3, drafts, WidthPlanner(adapted=adapted)), truth)


@pytest.mark.parametrize("adapted", [True, False], ids=["adapted", "base"])
def test_candidates_equal_recomputing_everything(adapted: bool) -> None:
    rng = random.Random(4)
    for case in range(3):
        setting = Setting(eager_checkpoint(seed=case + 4, adapted=adapted), random_gaps(rng, 1), max_tokens=8)
        truth = one_by_one(setting, 3)
        for drafts in (None, PlantedDrafts(truth, 0.3, random.Random(case))):
            rows = DenseRows(setting.window(), setting)
            check(together(setting, 3, drafts, AnyWidths(random.Random(case)), rows), truth)


@pytest.mark.parametrize("adapted", [True, False], ids=["adapted", "base"])
def test_drawn_candidates_do_not_depend_on_drafts(adapted: bool) -> None:
    """Every candidate has random numbers of its own, one for a token: drawn alone, it is the same."""
    rng, sampling = random.Random(5), Sampling(temperature=0.7, top_p=0.9)
    for case in range(8):
        setting = Setting(eager_checkpoint(seed=case, adapted=adapted, layers=1), random_gaps(rng, 1))
        truth = one_by_one(setting, 3, sampling)
        for rate in (0, 0.3, 1):
            drafts = PlantedDrafts(truth, rate, rng)
            check(together(setting, 3, drafts, AnyWidths(rng), sampling=sampling), truth)


def test_candidates_take_few_forwards_more_than_the_answer() -> None:
    """They are decoded beside it, so only those that part late or go on for longer make forwards of their own."""
    few = with_drafts = 0
    for seed in range(8):
        setting = Setting(tiny_checkpoint(seed=seed), [Gap(60, 60)], max_tokens=12)
        truth = one_by_one(setting, 3)
        longest = max(len(gap.ids) for gap in truth)
        rows = GapRows(setting.window())
        together(setting, 3, None, WidthPlanner(adapted=True), rows)
        assert rows.forwards == longest
        rows = GapRows(setting.window())
        together(setting, 3, PlantedDrafts(truth, 0, random.Random(0)), WidthPlanner(adapted=True), rows)
        few, with_drafts = few + longest, with_drafts + rows.forwards
    assert with_drafts < few / 2


def test_time_may_end_between_any_two_forwards() -> None:
    setting = Setting(eager_checkpoint(seed=4), [Gap(60, 60)], max_tokens=10)
    truth = one_by_one(setting, 3)
    for forwards in range(1, 10):
        left = iter(range(forwards - 1, -1, -1))
        found = together(setting, 3, None, WidthPlanner(adapted=True), after_forward=lambda left=left: next(left) > 0)
        assert truth[0].text().startswith(found[0].text())
        assert len({gap.text() for gap in found}) == len(found)
        unfinished = [gap.stop is None for gap in found[1:]]
        assert unfinished == sorted(unfinished)


def test_drafts_come_from_other_candidates() -> None:
    """The tail of the answer is found again where a branch has come back to it, shifted by a token or more."""
    shared = parts(tiny_checkpoint(vocab_size=512))
    before, behind = "def f(a, b):\n    ", "\n\nprint(f(1, 2))\n"
    gap = Gap(len(before), len(before))
    window = Session(shared, "a.py", before + behind).window_at([gap], lambda: False)
    vocabulary = Vocabulary(shared.tokenizer, EOI)

    def opened(text: str) -> OpenGap:
        (found,) = open_gaps(window, vocabulary, [gap], Limits())
        for rank, token_id in enumerate(shared.tokenizer.encode(window.layout.held_back[0] + text), start=1):
            found.place(rank, token_id, 0.0)
        return found

    answer, branch = opened("x = self.where(a, b)"), opened("result = self.where")
    (first, *rest) = TextDrafts(window, EOI, []).propose(branch, [answer])
    assert first.kind in ("candidate:2", "candidate:3", "candidate:4", "candidate:5")
    assert shared.tokenizer.spell([draft.token_id for draft in (first, *rest)]).decode() == "(a, b)"
    assert {draft.source for draft in rest} == {"candidate"}
    assert all(draft.source != "candidate" for draft in TextDrafts(window, EOI, []).propose(branch))


def test_widths_of_each_are_those_of_one() -> None:
    planner = WidthPlanner(adapted=True, learns=False)
    for kinds in ([], ["typed"] * 3, ["ngram:1"] * 9, ["mask"] * 2, ["ngram:5"] * 16):
        assert planner.choose_each([kinds]) == [planner.choose([kinds])]


def test_rows_go_to_the_candidates_with_better_drafts() -> None:
    planner = WidthPlanner(adapted=False, learns=False)
    good, bad, none = planner.choose_each([["typed"] * 8, ["ngram:1"] * 8, []])
    assert good.drafts > bad.drafts
    assert none.drafts == 0


def test_drafts_that_would_end_the_gap_are_not_wanted() -> None:
    """The row before says that a gap ends: one for the token that ends it tells nothing."""
    setting = Setting(tiny_checkpoint(), [Gap(0, 0)], max_tokens=4)
    encode = setting.parts.tokenizer.encode
    (gap,) = setting.open()
    assert gap.drafts_wanted([*encode("x")[:1], EOI, *encode("x")[:1]]) == 1
    assert gap.drafts_wanted(encode("1234567")) == 3
    setting.limits = replace(setting.limits, max_lines=1, max_tokens=100)
    (gap,) = setting.open()
    assert gap.drafts_wanted(encode("1\n2\n")) == 1
    assert gap.frontier == 1
    assert gap.ids == {}


@pytest.mark.parametrize("adapted", [True, False], ids=["adapted", "base"])
def test_the_answer_stands_where_it_would_stand_alone(adapted: bool) -> None:
    """Once rows of branches stood between the answer's own, sums were added up in another order, and in int8 5 of 12
    real answers of 40 tokens were others with candidates than without."""
    rng = random.Random(6)
    for case in range(5):
        setting = Setting(eager_checkpoint(seed=case, adapted=adapted), random_gaps(rng, 1), max_tokens=12)
        drafts = PlantedDrafts(one_by_one(setting, 3), 0.3, rng)
        rows = GapRows(setting.window())
        answer, *_ = together(setting, 3, drafts, AnyWidths(rng), rows)
        cache, last = rows.window.cache, max(answer.ids)  # the row of the last token is not fed
        first = 0 if adapted else 1
        stands = cache.position_ids[cache.left_end : cache.left_end + last - first]
        assert stands.tolist() == [answer.zero_id + rank for rank in range(first, last)]
