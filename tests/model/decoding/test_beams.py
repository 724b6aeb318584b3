"""Beam search: cached rows against recomputed ones, scores against their definition, and what a request may ask."""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from model.api.types import Gap, InfillRequest, Limits, PartialInfill, Sampling
from model.decoding import beams, copying
from model.decoding.beam import LENGTH_REWARD_NATS, TEXT_WEIGHT, Beam
from model.decoding.beams import BEHIND_TOKENS, BeamSearch
from model.decoding.infill import InfillRun
from model.decoding.mentions import chars_that_tell
from model.decoding.open_gap import OpenGap
from model.decoding.row_tree import RowTree, TreeRow
from model.decoding.sampling import log_probabilities
from model.decoding.spelling import Spelling
from model.errors import Cancelled, InputError
from model.network.linear import Precision
from model.sessions.session import Session
from model.sessions.window import Window
from model.worker.engine import Engine
from tests.model.decodes import Setting, eager_checkpoint, on, random_gaps
from tests.model.reference import RowList, dense_logits
from tests.model.tiny import EOI, INFILL, SINK, tiny_checkpoint
from tests.model.windows import STANDARD_TEXT, check_window, reference_rows


class DenseTree(RowTree):
    """Stands in for the cache: every forward recomputes every row from nothing, by the independent reference."""

    def __init__(self, setting: Setting) -> None:
        self.window, self.setting = setting.window(), setting
        self.size = self.forwards = self.rows_fed = 0
        self._kept: list[TreeRow] = []
        self._fed: list[TreeRow] = []

    def feed(self, rows: Sequence[TreeRow]) -> Tensor:
        listed, context = reference_rows(self.window, STANDARD_TEXT, self.setting.gaps)
        left_begin = listed.token_ids.index(self.window.left_ids[0])
        left = list(range(left_begin, left_begin + len(self.window.left_ids)))
        assert [listed.token_ids[index] for index in left] == self.window.left_ids
        begin = len(listed.token_ids)
        for row in (*self._kept, *rows):
            seen = left if row.follows_left else context
            listed.add(row.token_id, row.position_id, seen + [begin + other for other in row.ancestors])
        self._fed, self.forwards = list(rows), self.forwards + 1
        logits = dense_logits(self.setting.checkpoint, listed).float()
        fed = logits[begin + self.size :]
        return torch.cat((logits[left[-1:]], fed)) if self.forwards == 1 else fed

    def commit(self, numbers: Sequence[int]) -> None:
        everything = [*self._kept, *self._fed]
        place = {number: index for index, number in enumerate(numbers)}
        self._kept = [
            dataclasses.replace(everything[number], ancestors=[place[other] for other in everything[number].ancestors])
            for number in numbers
        ]
        self.size = len(numbers)


def search(setting: Setting, width: int, rows: RowTree | None = None) -> BeamSearch:
    (gap,) = setting.open()
    found = BeamSearch(setting.window(), gap, width, INFILL)
    if rows is not None:
        found.rows = rows
    found.run(on)
    return found


def summary(gaps: Sequence[OpenGap]) -> list[tuple[str, list[int], str | None]]:
    return [(gap.text(), gap.known_ids(), gap.stop) for gap in gaps]


def test_cached_rows_equal_rows_computed_from_nothing() -> None:
    """The same infills in the same order, in the same number of forwards."""
    rng, stops, lengths = random.Random(3), set(), set()
    for case in range(16):
        setting = Setting(eager_checkpoint(seed=case, layers=1), random_gaps(rng, 1), max_tokens=6)
        cached = search(setting, 1 + case % 4)
        dense = search(setting, 1 + case % 4, DenseTree(setting))
        assert summary(cached.found()) == summary(dense.found())
        assert cached.rows.forwards == dense.rows.forwards
        stops |= {gap.stop for gap in cached.found()}
        lengths |= {len(gap.known_ids()) for gap in cached.found()}
    assert stops == {"eoi", "tokens"}
    assert len(lengths) > 4


def log_likelihood(setting: Setting, ids: Sequence[int], follows_left: bool) -> tuple[float, Tensor]:
    """Return log p of `ids` in the gap, or behind the left stack alone, and the log-probabilities of what comes next.

    What the file says elsewhere has its part in the former.
    One row after the other from nothing; tokens spell the held-back piece first.
    """
    window, vocabulary = setting.window(), setting.vocabulary
    spelling = Spelling(vocabulary, window.layout.held_back[0].encode())
    if follows_left:
        listed, fed = RowList(), window.left_ids + list(ids)
        listed.add_chain(fed, 0, [])
        logits = dense_logits(setting.checkpoint, listed)[len(window.left_ids) - 1 :]
    else:
        listed, context = reference_rows(window, STANDARD_TEXT, setting.gaps)
        chain = listed.add_chain([INFILL, *ids], window.gap_first_id(0), context)
        logits = dense_logits(setting.checkpoint, listed)[chain]
    total = 0.0
    (gap,) = setting.open()
    for count, (token_id, row) in enumerate(zip([*ids, None], logits, strict=True)):
        allowed = spelling.allowed().clone()
        if follows_left:
            allowed[EOI], allowed[SINK] = False, spelling.is_settled
        log_probs = log_probabilities(row.float(), allowed)
        if not follows_left:
            assert gap.copying is not None
            log_probs = gap.copying.mixed(log_probs, 0, ids[:count], allowed)
        if token_id is not None:
            total += float(log_probs[token_id])
            spelling.push(token_id)
    return total, log_probs


def test_scores_are_what_they_are_defined_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every infill that ended: gap rows and `<eoi>`, weighed with the text and how the text behind begins."""
    monkeypatch.setattr(copying, "_WEIGHTS", (0.5,) * copying.MAX_MATCH_TOKENS)  # one token that matches will do
    rng, merged, checked, at_end = random.Random(4), 0, 0, 0
    for case in range(30):
        gaps = random_gaps(rng, 1) if case % 3 else [Gap(len(STANDARD_TEXT) - case // 6, len(STANDARD_TEXT))]
        setting = Setting(eager_checkpoint(seed=case, layers=1), gaps, max_tokens=5)
        window, encode = setting.window(), setting.parts.tokenizer.encode
        text = STANDARD_TEXT[setting.gaps[0].end - len(window.layout.endings[0]) : window.end_char]
        behind = text[: [*setting.parts.tokenizer.encode_words(text)[1], len(text)][: BEHIND_TOKENS + 1][-1]]
        for infill in search(setting, 3)._ended:
            ids = infill.gap.known_ids()
            gap_logprob, following = log_likelihood(setting, ids, follows_left=False)
            gap_logprob += float(following[EOI])
            joined = encode(window.layout.held_back[0] + infill.gap.text() + behind)
            joined += [SINK] if behind == text else []
            at_end += behind == text
            merged += joined[: len(ids)] != ids
            text_logprob, _ = log_likelihood(setting, joined, follows_left=True)
            assert infill.gap_logprob == pytest.approx(gap_logprob, abs=2e-3)
            score = (1 - TEXT_WEIGHT) * gap_logprob + TEXT_WEIGHT * text_logprob + LENGTH_REWARD_NATS * len(ids)
            assert infill.score == pytest.approx(score, abs=2e-3)
            checked += 1
    assert checked > 20
    assert at_end > 5
    assert merged, "some infill must run together with the text behind it"


def test_the_best_comes_first_and_no_text_twice() -> None:
    rng = random.Random(5)
    for case in range(10):
        found = search(Setting(eager_checkpoint(seed=case, layers=1), random_gaps(rng, 1)), 4)
        texts = [gap.text() for gap in found.found()]
        assert len(texts) == len(set(texts))
        if found.found()[0].stop == "eoi":
            best = max(found._ended, key=lambda infill: infill.score)
            assert best.gap.text() == texts[0]


def test_what_a_limit_cut_is_the_answer_where_the_gap_rows_prefer_it() -> None:
    """A model that hardly ever ends a gap: its answer is as long as allowed, though others ended."""
    never = tiny_checkpoint(seed=1, layers=1)
    never.tensors["embed_tokens.weight"][EOI] *= 0.1
    found = search(Setting(never, [Gap(40, 40)], max_tokens=4), 4)
    assert found.found()[0].stop == "tokens"
    cut = max(beam.gap_logprob for beam in found._cut)
    assert all(infill.gap_logprob <= cut for infill in found._ended)


@pytest.mark.parametrize(
    ("says", "before", "chance", "is_asked"),
    [
        ("", 0.9, 0.3, True),
        ("", 0.5, 0.3, False),
        ("", 1.0, 0.1, False),
        ("x", 0.5, 0.1, True),
        ("x", 1.0, 0.001, False),
    ],
)
def test_where_an_infill_may_end(says: str, before: float, chance: float, is_asked: bool) -> None:
    """To say nothing must be as likely as where greedy decoding ends, with the held-back piece that comes before."""
    setting = Setting(eager_checkpoint(seed=0, layers=1), [Gap(60, 60)])
    (gap,) = setting.open()
    found = BeamSearch(setting.window(), gap, 3, INFILL)
    for token_id in setting.parts.tokenizer.encode(setting.window().layout.held_back[0] + says):
        gap.place(gap.frontier, token_id, 0.0)
    assert gap.text() == says
    by_gap = torch.full((setting.checkpoint.config.vocab_size,), -20.0)
    by_gap[EOI] = math.log(chance)
    found._end(Beam(gap, math.log(before)), by_gap, by_gap)
    assert len(found._ending) == is_asked


def test_a_wider_search_finds_nothing_worse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no beam is given up for good and none is cut, the best score grows with the width, on the whole."""
    monkeypatch.setattr(beams, "_LEAST_END_LOGPROB", -100.0)
    rng, better = random.Random(6), 0
    for case in range(12):
        setting = Setting(eager_checkpoint(seed=case, layers=1), random_gaps(rng, 1), max_tokens=6)
        narrow, wide = (
            max((infill.score for infill in search(setting, width)._ended), default=-1e9) for width in (1, 12)
        )
        better += wide > narrow + 1e-6
        assert wide >= narrow - 3
    assert better >= 3


def test_infills_near_each_other_are_judged_by_what_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as that is told, and by how likely each is with all of that text behind it; then the likeliest wins."""
    monkeypatch.setattr(beams, "_LEAST_END_LOGPROB", -100.0)
    monkeypatch.setattr(beams, "_CONTENDERS_LOGPROB", 100.0)
    monkeypatch.setattr(BeamSearch, "_cut_is_likeliest", lambda _: False)
    logprobs_as_text = BeamSearch._logprobs_as_text
    read: list[tuple[OpenGap, str, float]] = []

    def noted(search: BeamSearch, gaps: Sequence[OpenGap], further: str) -> list[float]:
        found = logprobs_as_text(search, gaps, further)
        read[:] = [(gap, search._behind + further, logprob) for gap, logprob in zip(gaps, found, strict=True)]
        return found

    monkeypatch.setattr(BeamSearch, "_logprobs_as_text", noted)
    rng, checked, changed, greedy = random.Random(11), 0, 0, 0
    for case in range(12):
        setting = Setting(eager_checkpoint(seed=case, layers=1), random_gaps(rng, 1), max_tokens=5)
        monkeypatch.setattr(beams, "chars_that_tell", lambda *_: 0)
        before = search(setting, 3)
        monkeypatch.setattr(beams, "chars_that_tell", lambda infills, behind: min(7, len(behind)))
        dense = search(setting, 3, DenseTree(setting))
        read.clear()
        cached = search(setting, 3)
        assert summary(cached.found()) == summary(dense.found())
        assert cached.rows.forwards == before.rows.forwards + bool(read)
        scores: dict[str, float] = {}
        for gap, behind, logprob in read:
            ids = setting.parts.tokenizer.encode(setting.window().layout.held_back[0] + gap.text() + behind)
            assert logprob == pytest.approx(log_likelihood(setting, ids, follows_left=True)[0], abs=2e-3)
            (infill,) = (each for each in cached._ended if each.gap is gap)
            greedy += infill.is_greedy
            likelihood = (1 - TEXT_WEIGHT) * infill.gap_logprob + TEXT_WEIGHT * logprob
            scores[gap.text()] = likelihood + LENGTH_REWARD_NATS * gap.known_tokens
            checked += 1
        if read:
            assert max(scores, key=lambda text: scores[text]) == cached.found()[0].text()
            changed += before.found()[0].text() != cached.found()[0].text()
    assert checked > 20
    assert changed
    assert greedy


def test_the_greedy_infill_is_judged_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """However little the text rows think of its beginning, as long as there is time."""
    monkeypatch.setattr(beams, "_PATIENCE_STEPS", 100)
    monkeypatch.setattr(BeamSearch, "_cut_is_likeliest", lambda _: False)
    rng, ended = random.Random(12), 0
    for case in range(16):
        checkpoint = eager_checkpoint(seed=case, layers=1)
        checkpoint.tensors["embed_tokens.weight"][EOI] *= 1.6
        setting = Setting(checkpoint, random_gaps(rng, 1), max_tokens=6)
        (greedy,) = setting.left_to_right()
        found = search(setting, 1 + case % 2)
        judged = [infill.gap for infill in found._ended if infill.is_greedy]
        assert summary(judged) == (summary([greedy]) if greedy.stop == "eoi" else [])
        ended += len(judged)
    assert ended > 3


@pytest.mark.parametrize(
    ("infills", "behind", "read"),
    [
        (["user, password", "password"], "):\n return get(user, password) + user", "):\n return get(user"),
        (["user, password", "password", "name"], "):\n get(user, password, x)", "):\n get(user, password"),
        (["users", "user"], "(usersx, user_)", ""),
        (["a", "a"], "a", ""),
        (["a"], "a", ""),
        ([], "a", ""),
        (["größe", ""], " = größe; größe", " = größe"),
    ],
)
def test_how_far_the_text_behind_tells_infills_apart(infills: list[str], behind: str, read: str) -> None:
    assert behind[: chars_that_tell(infills, behind)] == read


def test_what_is_given_up_could_not_have_won(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where what is unknown is held to cost nothing, giving up saves rows and finds nothing worse."""
    monkeypatch.setattr(beams, "_LEAST_END_LOGPROB", -100.0)
    monkeypatch.setattr(beams, "BEHIND_TOKENS", 2)
    rng, saved = random.Random(9), 0
    for case in range(12):
        setting = Setting(eager_checkpoint(seed=case, layers=1), random_gaps(rng, 1), max_tokens=6)
        with monkeypatch.context() as everything:
            everything.setattr(BeamSearch, "_may_win", lambda *_: True)
            whole = search(setting, 3)
        with monkeypatch.context() as certain:
            certain.setattr(beams, "_PATIENCE_STEPS", 100)
            certain.setattr(beams, "_BEAM_SHARE", 0.0)
            certain.setattr(beams, "_ENDING_SHARE", 0.0)
            pruned = search(setting, 3)
        best, without = (max((infill.score for infill in each._ended), default=-1e9) for each in (pruned, whole))
        assert best >= without - 1e-4
        saved += whole.rows.rows_fed - pruned.rows.rows_fed
    assert saved > 100


def engine(seed: int = 0) -> Engine:
    made = Engine(eager_checkpoint(seed=seed), Precision.FLOAT32)
    made.open("a", "a.py", STANDARD_TEXT, 1)
    return made


def request(**changes: object) -> InfillRequest:
    fields: dict[str, object] = {"gaps": (Gap(60, 60),), "limits": Limits(max_tokens=8), "policy": "beam:3", **changes}
    return InfillRequest("a", 1, **fields)  # type: ignore[arg-type]


def test_alternatives_partials_and_counts() -> None:
    partials: list[PartialInfill] = []
    found = [engine(seed).infill(request(candidates=3), partials.append) for seed in range(5)]
    for infill in found:
        (gap,) = infill.gaps
        texts = [gap.text, *(other.text for other in gap.alternatives)]
        assert len(set(texts)) == len(texts) <= 3
        assert infill.forwards > 1
        assert infill.rows_computed > infill.forwards
        assert len(gap.logprobs) == gap.tokens
    assert any(len(infill.gaps[0].alternatives) == 2 for infill in found)
    assert any(partial.text for partial in partials)
    assert not engine().infill(request()).gaps[0].alternatives


def test_a_session_is_as_good_as_before() -> None:
    """The rows of a search leave nothing: the window's next logits are those of a window built anew."""
    rng = random.Random(7)
    for case in range(6):
        gaps = random_gaps(rng, 1)
        setting = Setting(eager_checkpoint(seed=case), gaps)
        search(setting, 3)
        check_window(setting.window(), setting.checkpoint, STANDARD_TEXT, gaps)


GAPS = (Gap(20, 24), Gap(60, 60), Gap(90, 97))


def with_others_filled(texts: Sequence[str], index: int) -> tuple[str, Gap]:
    text, at = STANDARD_TEXT, GAPS[index].start
    for gap, filled in reversed(list(zip(GAPS, texts, strict=True))):
        if gap != GAPS[index]:
            text = text[: gap.start] + filled + text[gap.end :]
        if gap.start < GAPS[index].start:
            at += len(filled) - (gap.end - gap.start)
    return text, Gap(at, at + GAPS[index].end - GAPS[index].start)


def test_several_gaps_are_searched_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the text that holds the others' infills: those before it by beams already, those behind it greedy."""
    stood_at: list[tuple[str, Gap]] = []
    window_on, searched = Session.window_on, 0

    def noted(session: Session, text: str, gap: Gap, cancelled: Callable[[], bool]) -> Window:
        stood_at.append((text, gap))
        return window_on(session, text, gap, cancelled)

    monkeypatch.setattr(Session, "window_on", noted)
    for seed in range(4):
        greedy = engine(seed).infill(request(gaps=GAPS, policy="verified")).gaps
        stood_at.clear()
        found = engine(seed).infill(request(gaps=GAPS)).gaps
        assert [infill.gap for infill in found] == list(GAPS)
        texts = [[infill.text for infill in (*found[:index], *greedy[index:])] for index in range(len(GAPS))]
        assert stood_at == [with_others_filled(each, index) for index, each in enumerate(texts)]
        searched += [infill.text for infill in found] != [infill.text for infill in greedy]
    assert searched


def test_several_gaps_keep_their_greedy_infills_when_time_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    greedy = engine().infill(request(gaps=GAPS, policy="verified"))
    left = iter([True] * (greedy.forwards + 2))
    monkeypatch.setattr(InfillRun, "_time_is_left", lambda _: next(left, False))
    assert engine().infill(request(gaps=GAPS)).gaps == greedy.gaps


def test_time_and_cancellation() -> None:
    (gap,) = engine().infill(request(limits=Limits(max_tokens=8, max_ms=1e-3))).gaps
    assert gap.stop in ("time", "eoi")
    calls = itertools.count()
    made = engine()
    with pytest.raises(Cancelled):
        made.infill(request(), cancelled=lambda: next(calls) > 2)
    assert made.infill(request()).gaps == engine().infill(request()).gaps


def test_what_grows_is_the_answer_of_a_search_that_is_interrupted() -> None:
    """After each number of forwards: a beginning that may still win comes first, and is not said to be complete."""
    rng, unfinished = random.Random(8), 0
    for case in range(8):
        setting = Setting(eager_checkpoint(seed=case, layers=1), random_gaps(rng, 1), max_tokens=8)
        for forwards in range(1, 6):
            (gap,) = setting.open()
            interrupted, left = BeamSearch(setting.window(), gap, 3, INFILL), iter([True] * (forwards - 1))
            interrupted.run(lambda left=left: next(left, False))
            first = interrupted.found()[0]
            if not interrupted._is_interrupted or first.stop is not None:
                continue
            unfinished += 1
            assert interrupted.growing is first
            assert first.result().stop == "time"
    assert unfinished > 5


@pytest.mark.parametrize("limits", [{"max_tokens": 1}, {"max_tokens": 2, "max_lines": 1}])
def test_an_empty_file(limits: dict[str, int]) -> None:
    """Nothing before or behind the gap: there may be no row to feed for an infill that ends."""
    for seed in range(8):
        made = Engine(eager_checkpoint(seed=seed, layers=1), Precision.FLOAT32)
        made.open("a", "a.py", "", 1)
        for width in (1, 2, 4):
            infill = made.infill(InfillRequest("a", 1, (Gap(0, 0),), policy=f"beam:{width}", limits=Limits(**limits)))
            assert infill.gaps[0].stop in ("eoi", "tokens", "lines")


def test_length_given() -> None:
    """An infill of the length that evaluation tells, chosen by what stands behind it."""
    for seed in range(4):
        infill = engine(seed).infill(request(lengths_tok=(5,)))
        assert infill.gaps[0].tokens == 5
        assert infill.gaps[0].stop == "eoi"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"policy": "beam"}, "unknown policy"),
        ({"policy": "beam:0"}, "from 1 to 16"),
        ({"policy": "beam:99"}, "from 1 to 16"),
        ({"policy": "beam:3", "reveal": "verified"}, "first_hitting"),
        ({"gaps": (Gap(10, 10), Gap(60, 60)), "candidates": 2}, "single gap"),
        ({"sampling": Sampling(temperature=0.5)}, "temperature 0"),
    ],
)
def test_what_beams_do_not_go_with(changes: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        engine().infill(request(**changes))


def test_a_model_that_is_not_adapted_has_no_beams() -> None:
    made = Engine(tiny_checkpoint(adapted=False), Precision.FLOAT32)
    made.open("a", "a.py", STANDARD_TEXT, 1)
    with pytest.raises(InputError, match="adapted"):
        made.infill(request())
