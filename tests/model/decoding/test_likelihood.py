"""Likelihoods: against enumeration, against the dense reference, and packed against one by one."""

from __future__ import annotations

import math
import random
from itertools import permutations, product

import pytest
import torch

from model.api.policy import parse_policy
from model.api.types import Gap, Limits, ScoreRequest
from model.decoding.gap_row import GapRow
from model.decoding.gap_rows import GapRows
from model.decoding.likelihood import clean_score, score_in_orders, score_left_to_right, score_sets, text_scores
from model.decoding.open_gap import open_gaps
from model.decoding.packed import PackedScorer
from model.decoding.sampling import log_probabilities
from model.decoding.spelling import Vocabulary
from model.errors import InputError
from model.network.decoder import Decoder
from model.network.linear import Precision
from model.sessions.geometry import RIGHT_LAST_ID
from model.sessions.seams import left_cut, shared_break
from model.sessions.session import Session
from model.sessions.window import Window
from model.worker.engine import Engine
from tests.model.decodes import Setting
from tests.model.reference import RowList, dense_logits
from tests.model.tiny import EOI, INFILL, MASK, SINK, tiny_checkpoint
from tests.model.windows import SMALL, STANDARD_TEXT, parts, reference_rows

ORDERED_PARTITIONS_OF_3 = [
    [[1, 2, 3]],
    *([[a], sorted({1, 2, 3} - {a})] for a in (1, 2, 3)),
    *([sorted({1, 2, 3} - {a}), [a]] for a in (1, 2, 3)),
    *([[a], [b], [c]] for a, b, c in permutations((1, 2, 3))),
]


def window_of_six_tokens() -> Window:
    """An empty file under a network that knows six tokens."""
    checkpoint = tiny_checkpoint(seed=3, vocab_size=6, scale=0.2)
    shared = parts()
    window = Window(Decoder(checkpoint, Precision.FLOAT32), shared.tokenizer, shared.capabilities, SMALL, "")
    window.retarget("", [Gap(0, 0)])
    window.encode()
    return window


@pytest.mark.parametrize("sets", ORDERED_PARTITIONS_OF_3, ids=str)
def test_set_likelihoods_sum_to_one(sets: list[list[int]]) -> None:
    """Whatever the order, the probabilities of all texts of three tokens add up to one."""
    window = window_of_six_tokens()
    total = sum(math.exp(float(score_sets(window, ids, sets).sum())) for ids in product(range(6), repeat=3))
    assert total == pytest.approx(1, abs=1e-4)


def test_set_likelihoods_differ_between_orders() -> None:
    """The test above would also pass if mask rows saw nothing: they do see what is revealed."""
    window = window_of_six_tokens()
    totals = {round(float(score_sets(window, [5, 1, 4], sets).sum()), 5) for sets in ORDERED_PARTITIONS_OF_3}
    assert len(totals) == len(ORDERED_PARTITIONS_OF_3)


@pytest.mark.parametrize("sets", [[[2], [1, 4], [3]], [[4], [3], [2], [1]], [[1, 2, 3, 4]]], ids=str)
def test_set_likelihood_equals_the_dense_reference(sets: list[list[int]]) -> None:
    setting = Setting(tiny_checkpoint(seed=1), [Gap(100, 104)])
    window, ids = setting.window(), [40, 50, 60, EOI]
    window.encode()
    found = score_sets(window, ids, sets)
    listed, context = reference_rows(window, STANDARD_TEXT, setting.gaps)
    first_id = window.gap_first_id(0)
    seen = [*context, listed.add(INFILL, first_id, context)]
    asked = {}
    for revealed in sets:
        for rank in revealed:
            asked[rank] = listed.add(MASK, first_id + rank, list(seen))
        for rank in sorted(revealed):
            seen.append(listed.add(ids[rank - 1], first_id + rank, list(seen)))
    log_probs = dense_logits(setting.checkpoint, listed).log_softmax(-1)
    expected = torch.stack([log_probs[asked[rank]][ids[rank - 1]] for rank in range(1, 5)])
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_uniform_is_the_average_over_all_permutations() -> None:
    """Three tokens revealed one by one in every order, each step a forward of its own."""
    setting = Setting(tiny_checkpoint(seed=6), [Gap(0, 0)])
    window, text = setting.window(), "x=1("
    window.encode()
    ids = setting.parts.tokenizer.encode(window.layout.held_back[0] + text)
    count = len(ids)
    assert 3 <= count <= 5
    first_id, totals = window.gap_first_id(0), []
    for order in permutations(range(1, count + 1)):
        rows = GapRows(window)
        rows.feed([GapRow(INFILL, first_id, 0, 0), GapRow(EOI, first_id + count + 1, 1, 1)])
        rows.commit(range(2))
        total = 0.0
        for key, rank in enumerate(order, start=2):
            logits = rows.feed([GapRow(MASK, first_id + rank, key, None)])
            total += float(logits.double().log_softmax(-1)[0, ids[rank - 1]])
            rows.feed([GapRow(ids[rank - 1], first_id + rank, key, key)])
            rows.commit(range(1))
        totals.append(total)
    expected = math.log(sum(map(math.exp, totals)) / len(totals))
    uniform, _ = parse_policy("uniform")
    score = score_in_orders(window, setting.vocabulary, text, uniform, math.factorial(count), torch.Generator())
    assert score.logprob == pytest.approx(expected, abs=1e-3)
    assert sum(token.logprob for token in score.tokens) == pytest.approx(sum(totals) / len(totals), abs=1e-3)
    assert {token.head for token in score.tokens} == {"mask"}


@pytest.mark.parametrize("policy", ["uniform", "window:4", "block:2"])
def test_sampled_orders_repeat_with_their_seed(policy: str) -> None:
    engine = Engine(tiny_checkpoint(seed=6), Precision.FLOAT32)
    engine.open("f", "a.py", STANDARD_TEXT, 1)

    def score(seed: int) -> float:
        request = ScoreRequest("f", 1, (Gap(40, 40),), ("print(self.name)",), policy, orders=3, seed=seed)
        return engine.score(request).gaps[0].logprob

    assert score(0) == pytest.approx(score(0), abs=1e-5)
    assert abs(score(0) - score(1)) > 1e-3


@pytest.mark.parametrize("adapted", [True, False], ids=["adapted", "base"])
@pytest.mark.parametrize("text", ["", "self.name = 1\n", "👋", "é" * 9])
def test_score_equals_one_row_at_a_time(text: str, adapted: bool) -> None:
    """One forward for the whole text gives what decoding would say token by token, constraint included."""
    setting = Setting(tiny_checkpoint(seed=3, adapted=adapted), [Gap(66, 70)])
    window = setting.window()
    ids = setting.parts.tokenizer.encode(window.layout.held_back[0] + text)
    (opened,) = open_gaps(window, setting.vocabulary, setting.gaps, Limits())
    rows, expected = GapRows(window), []
    pending = [opened.row(0, INFILL, key=0)] if adapted else []
    for rank, token_id in enumerate(ids, start=1):
        log_probs = log_probabilities(rows.feed(pending)[0], opened.allowed())
        rows.commit(range(len(pending)))
        expected.append(float(log_probs[token_id]))
        opened.place(rank, token_id, expected[-1])
        pending = [opened.clean_row(rank, key=rank)]
    stop = float(log_probabilities(rows.feed(pending)[0], opened.allowed())[setting.vocabulary.eoi_id])
    score = score_left_to_right(setting.window(), setting.vocabulary, text)
    assert [token.logprob for token in score.tokens] == pytest.approx(expected, abs=1e-3)
    assert score.logprob == pytest.approx(sum(expected), abs=1e-2)
    assert score.stop_logprob == (pytest.approx(stop, abs=1e-3) if adapted else None)


@pytest.mark.parametrize("slice_rows", [7, 256])
@pytest.mark.parametrize("adapted", [True, False], ids=["adapted", "base"])
def test_packed_scores_equal_gaps_scored_alone(adapted: bool, slice_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many gaps on one encoding: each equals the dense reference of that gap alone between the same seams.

    Some are given the file's own text, which the left stack holds, others another one, which it does not.
    """
    monkeypatch.setattr("model.decoding.packed.SLICE_ROWS", slice_rows)
    rng = random.Random(4)
    text = STANDARD_TEXT * 3
    checkpoint = tiny_checkpoint(seed=2, adapted=adapted)
    shared = parts(checkpoint)
    vocabulary = Vocabulary(shared.tokenizer, EOI if adapted else SINK)
    scorer = PackedScorer(shared, vocabulary, "a.py", as_text=True)
    cuts = sorted(rng.sample(range(1, len(text)), 24))
    gaps = [Gap(start, end) for start, end in zip(cuts[::2], cuts[1::2], strict=True)]
    texts = [text[gap.start : gap.end] for gap in gaps]
    texts[1::3] = [f"{own[: len(own) // 2]} = {own[::-1]}" for own in texts[1::3]]
    found = scorer.score(text, gaps, texts, lambda: False)
    assert sum(score is not None for score in found) >= 10
    encode = shared.tokenizer.encode
    endings = [shared_break(text, gap.start, gap.end) for gap in gaps]
    ends = [gap.end - len(ending) for gap, ending in zip(gaps, endings, strict=True)]
    chunks, right_rows = scorer._right_chunks(text, ends)
    header = scorer._header
    for gap, given, ending, end, score in zip(gaps, texts, endings, ends, found, strict=True):
        seen_rows = right_rows[end]
        if score is None:
            continue
        rows = RowList()
        cut = left_cut(shared.tokenizer, text[: gap.start])
        left = header + encode(text[:cut])
        context = rows.add_chain(left, 0, [])
        right: list[int] = []
        if adapted:
            next_id = RIGHT_LAST_ID
            for chunk in [[SINK], *chunks]:
                if len(right) < seen_rows:
                    right += rows.add_chain(chunk, next_id - len(chunk) + 1, list(right))
                    next_id -= len(chunk)
            assert len(right) == seen_rows
        held_back = text[cut : gap.start]
        ids = encode(held_back + given.removesuffix(ending))
        if adapted:
            asked = rows.add_chain([INFILL, *ids], len(left), context + right)
        else:
            asked = [context[-1], *rows.add_chain(ids, len(left), context)]
        as_text = [context[-1], *rows.add_chain(ids, len(left), context)]
        logits = dense_logits(checkpoint, rows)
        expected = clean_score(vocabulary, held_back, ids, logits[asked], stops=adapted)
        expected_text = text_scores(vocabulary, held_back, ids, logits[as_text], SINK) if adapted else expected.tokens
        assert [token.logprob for token in score.as_text] == pytest.approx(
            [token.logprob for token in expected_text], abs=1e-3
        )
        assert score.logprob == pytest.approx(expected.logprob, abs=2e-3)
        assert [token.logprob for token in score.tokens] == pytest.approx(
            [token.logprob for token in expected.tokens], abs=1e-3
        )
        assert score.stop_logprob == pytest.approx(expected.stop_logprob, abs=1e-3)


def test_the_file_s_own_text_is_read_but_once() -> None:
    """How lines read as text is what the left stack says: no rows beside it, but for other texts."""
    shared = parts(tiny_checkpoint(seed=2))
    vocabulary = Vocabulary(shared.tokenizer, EOI)
    text = "".join(f"name_{n} = value\n" for n in range(12))
    lines = text.split("\n")[:12]
    starts = [text.index(line) for line in lines]
    gaps = [Gap(start, start + len(line)) for start, line in zip(starts, lines, strict=True)]

    def rows(texts: list[str], as_text: bool) -> int:
        scorer = PackedScorer(shared, vocabulary, "a.py", as_text)
        scorer.score(text, gaps, texts, lambda: False)
        return scorer.rows_computed

    own = rows(lines, as_text=False)
    last = len(shared.tokenizer.encode("\n" + lines[-1]))
    assert rows(lines, as_text=True) == own + last - 1, "only the last line's text does not stand in the left stack"
    other = ["other = value", *lines[1:]]
    more = rows(other, as_text=True) - rows(other, as_text=False)
    assert more == last - 1 + len(shared.tokenizer.encode(other[0]))


def test_gaps_that_cannot_be_packed_are_scored_alone() -> None:
    """Every gap gets a score, also where the file's tokens run across its beginning."""
    engine = Engine(tiny_checkpoint(seed=2), Precision.FLOAT32)
    text = "it's we're they'll " * 30 + "\n" + "x" * 300
    engine.open("f", "a.py", text, 1)
    gaps = tuple(Gap(start, start + 2) for start in range(3, 800, 7))
    score = engine.score(ScoreRequest("f", 1, gaps, tuple(text[gap.start : gap.end] for gap in gaps)))
    assert len(score.gaps) == len(gaps)
    assert all(math.isfinite(gap.logprob) and gap.tokens for gap in score.gaps)


@pytest.mark.parametrize("adapted", [True, False], ids=["adapted", "base"])
def test_text_scored_as_text_knows_nothing_behind_it(adapted: bool) -> None:
    """One gap alone: its text as text is what the dense reference says of the file up to there, read on."""
    checkpoint = tiny_checkpoint(seed=3, adapted=adapted)
    engine = Engine(checkpoint, Precision.FLOAT32)
    start, text = STANDARD_TEXT.index("\n", 200) + 1, "self.name = 1"
    engine.open("f", "a.py", STANDARD_TEXT, 1)
    (score,) = engine.score(ScoreRequest("f", 1, (Gap(start, start + 9),), (text,), as_text=True)).gaps
    shared = parts(checkpoint)
    scorer = PackedScorer(shared, vocabulary := Vocabulary(shared.tokenizer, EOI if adapted else SINK), "a.py")
    cut = left_cut(shared.tokenizer, STANDARD_TEXT[:start])
    left = scorer._header + shared.tokenizer.encode(STANDARD_TEXT[:cut])
    held_back, rows = STANDARD_TEXT[cut:start], RowList()
    context = rows.add_chain(left, 0, [])
    ids = shared.tokenizer.encode(held_back + text)
    asked = [context[-1], *rows.add_chain(ids, len(left), context)]
    logits = dense_logits(checkpoint, rows)[asked]
    expected = text_scores(vocabulary, held_back, ids, logits, SINK)
    assert [token.logprob for token in score.as_text] == pytest.approx([t.logprob for t in expected], abs=1e-3)
    assert [token.text for token in score.as_text] == [token.text for token in score.tokens]
    assert engine.score(ScoreRequest("f", 1, (Gap(start, start + 9),), (text,))).gaps[0].as_text == ()


def test_a_token_s_score_says_how_open_its_place_was() -> None:
    """The likeliest token and the entropy, of a distribution that can be written down."""
    setting = Setting(tiny_checkpoint(seed=3), [Gap(0, 0)])
    vocabulary, token_id = setting.vocabulary, setting.parts.tokenizer.encode("x")[0]
    other_id = setting.parts.tokenizer.encode("y")[0]
    logits = torch.full((2, len(vocabulary.token_bytes)), -torch.inf)
    logits[:, token_id], logits[:, other_id] = math.log(0.25), math.log(0.75)
    (score,) = clean_score(vocabulary, "", [token_id], logits, stops=False).tokens
    assert score.logprob == pytest.approx(math.log(0.25))
    assert score.best_logprob == pytest.approx(math.log(0.75))
    assert score.entropy == pytest.approx(-0.25 * math.log(0.25) - 0.75 * math.log(0.75))


def test_bad_score_requests_are_refused() -> None:
    engine = Engine(tiny_checkpoint(seed=2, adapted=False), Precision.FLOAT32)
    engine.open("f", "a.py", "x = 1\n", 1)
    for request, problem in (
        (ScoreRequest("f", 1, (Gap(0, 1),), ()), "one text for each gap"),
        (ScoreRequest("f", 1, (Gap(0, 1),), ("y",), policy="uniform"), "no mask rows"),
        (ScoreRequest("f", 1, (Gap(0, 1),), ("y",), policy="sideways"), "unknown policy"),
        (ScoreRequest("f", 1, (Gap(0, 1),), ("y",), orders=0), "at least 1"),
        (ScoreRequest("f", 1, (Gap(0, 1),), ("y",), "block:4", as_text=True), "left to right only"),
        (ScoreRequest("f", 1, (Gap(0, 1),), ("y " * 2000,)), "at most"),
    ):
        with pytest.raises(InputError, match=problem):
            engine.score(request)


def test_scoring_leaves_the_session_alone() -> None:
    setting = Setting(tiny_checkpoint(seed=8), [Gap(66, 66)])
    before = setting.left_to_right()
    assert isinstance(setting.session, Session)
    score_left_to_right(setting.window(), setting.vocabulary, "hello world")
    after = setting.left_to_right()
    assert [gap.ids for gap in before] == [gap.ids for gap in after]
