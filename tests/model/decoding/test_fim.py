"""What a model that fills in the middle answers, through the engine: as transformers would, however it is decoded."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch

from model.api.types import Gap, Infill, InfillRequest, Limits, Sampling, ScoreRequest, Snippet
from model.checkpoint.loading import load_checkpoint
from model.checkpoint.record import Checkpoint
from model.decoding.sampling import draw_next, log_probabilities
from model.decoding.spelling import Spelling, Vocabulary
from model.errors import InputError
from model.network.linear import Precision
from model.sessions.fim_window import FimWindow
from model.sessions.geometry import FULL, NEAR
from model.worker.engine import Engine
from tests.model.fim import FAMILIES, card_ids, logits_after, save_fim_model
from tests.model.sessions.test_fim import shown
from tests.model.windows import STANDARD_TEXT

TEXT = STANDARD_TEXT * 2
PLACES = [TEXT.index("parts = []"), TEXT.index("enumerate") + 4, TEXT.index("price") + len("price = 12345"), len(TEXT)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    @lru_cache
    def model(family: str) -> tuple[Any, Checkpoint]:
        directory: Path = tmp_path_factory.mktemp("model")
        network = save_fim_model(directory, family, likes_to_end=1.1)
        return network, load_checkpoint(directory)

    return model


def engine_of(checkpoint: Checkpoint, text: str = TEXT) -> Engine:
    engine = Engine(checkpoint, Precision.FLOAT32, full=FULL, near=NEAR)
    engine.open("f", "src/a.py", text, 1)
    return engine


def fill(engine: Engine, *gaps: Gap, policy: str = "verified", max_tokens: int = 12, **options: Any) -> Infill:
    return engine.infill(InfillRequest("f", 1, gaps, policy, limits=Limits(max_tokens=max_tokens), **options))


def as_transformers(network: Any, engine: Engine, family: str, gap: Gap, text: str, max_tokens: int = 12) -> str:
    """Decode greedily with all rows from nothing for every token."""
    window = engine._sessions["f"].window_on(text, gap, lambda: False)
    assert isinstance(window, FimWindow)
    prefix, held_back, suffix = shown(window, text)
    ids, ends = card_ids(family, "src/a.py", prefix, suffix), window._prompt.end_ids
    spelling = Spelling(Vocabulary(window.tokenizer, ends[0]), held_back.encode())
    for _ in range(max_tokens + len(held_back)):
        logits = logits_after(network, ids)[0]
        logits[ends[0]] = logits[ends].logsumexp(-1)
        token_id = draw_next(log_probabilities(logits, spelling.allowed()), ends[0], Sampling(), torch.Generator())
        if token_id == ends[0]:
            break
        spelling.push(token_id)
        ids = [*ids, token_id]
    return spelling.infill


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_answers_are_what_transformers_would_say(family: str, models: Any) -> None:
    network, checkpoint = models(family)
    engine = engine_of(checkpoint)
    stops = set()
    for place in PLACES:
        gap = Gap(place, place)
        plain = fill(engine, gap, policy="left_to_right").gaps[0]
        expected = as_transformers(network, engine, family, gap, TEXT)
        ending = "\n" if plain.text and not expected.startswith(plain.text) else ""
        assert (expected + ending).startswith(plain.text)
        assert plain.stop != "eoi" or plain.text == expected + ending * bool(expected)
        verified = fill(engine, gap, drafts=(expected[:4],)).gaps[0]
        assert (verified.text, verified.stop) == (plain.text, plain.stop)
        stops.add(plain.stop)
    assert stops & {"eoi", "tokens"}


@pytest.mark.parametrize("family", FAMILIES)
def test_no_marker_is_ever_part_of_an_answer(family: str, models: Any) -> None:
    engine = engine_of(models(family)[1])
    for seed in range(12):
        sampling = Sampling(temperature=1.5, seed=seed)
        for gap in fill(engine, Gap(PLACES[0], PLACES[0]), max_tokens=40, sampling=sampling).gaps:
            assert not any(marker in gap.text for marker in FAMILIES[family][2])


@pytest.mark.parametrize("family", ["qwen2.5-coder", "starcoder2"])
def test_candidates_and_typed_through_drafts_are_as_for_any_model(family: str, models: Any) -> None:
    engine, gap = engine_of(models(family)[1]), Gap(PLACES[1], PLACES[1])
    plain = fill(engine, gap, policy="left_to_right").gaps[0]
    answer = fill(engine, gap, candidates=4).gaps[0]
    assert answer.text == plain.text
    assert len({answer.text, *(other.text for other in answer.alternatives)}) == 1 + len(answer.alternatives) > 2
    typed = fill(engine, gap, drafts=(plain.text,))
    assert typed.gaps[0].text == plain.text
    assert typed.forwards < fill(engine, gap, policy="left_to_right").forwards


@pytest.mark.parametrize("family", FAMILIES)
def test_several_gaps_one_after_the_other_never_show_the_old_text_of_others(family: str, models: Any) -> None:
    """The first gap's suffix held what stood in the second, which the model is not to be shown."""
    network, checkpoint = models(family)
    gaps = [Gap(PLACES[0], PLACES[0] + 10), Gap(PLACES[1], PLACES[1] + 5)]
    engine = engine_of(checkpoint)
    infill = fill(engine, *gaps)
    without = TEXT[: gaps[1].start] + TEXT[gaps[1].end :]
    first = infill.gaps[0].text
    assert as_transformers(network, engine, family, gaps[0], without).startswith(first)
    filled = TEXT[: gaps[0].start] + first + TEXT[gaps[0].end :]
    shift = len(first) - 10
    second = Gap(gaps[1].start + shift, gaps[1].end + shift)
    assert as_transformers(network, engine, family, second, filled).startswith(infill.gaps[1].text)
    assert [gap.gap for gap in infill.gaps] == gaps
    secret = TEXT[: gaps[1].start] + "zzzzz" + TEXT[gaps[1].end :]
    assert fill(engine_of(checkpoint, secret), *gaps).gaps[0].text == first


@pytest.mark.parametrize("family", FAMILIES)
def test_likelihoods_are_those_of_transformers(family: str, models: Any) -> None:
    """Of the text in the gap, of its end, and, besides, of the text as one that only follows what stands before it."""
    network, checkpoint = models(family)
    engine, gap, text = engine_of(checkpoint), Gap(PLACES[0], PLACES[0] + 10), "rows = list()"
    (score,) = engine.score(ScoreRequest("f", 1, (gap,), (text,), as_text=True)).gaps
    window = engine._sessions["f"].window_at((gap,), lambda: False)
    assert isinstance(window, FimWindow)
    prefix, held_back, suffix = shown(window, TEXT)
    before = card_ids(family, "src/a.py", prefix, suffix)
    said = window.tokenizer.encode(held_back + text)
    ends = window._prompt.end_ids
    logits = logits_after(network, [*before, *said], len(said) + 1)
    logits[:, ends[0]] = logits[:, ends].logsumexp(-1)
    spelling = Spelling(Vocabulary(window.tokenizer, ends[0]), held_back.encode())
    expected = []
    for token_id, row in zip([*said, ends[0]], logits, strict=True):
        expected.append(float(log_probabilities(row, spelling.allowed())[token_id]))
        spelling.push(token_id)
    assert [token.logprob for token in score.tokens] == pytest.approx(expected[:-1], abs=1e-3)
    assert score.stop_logprob == pytest.approx(expected[-1], abs=1e-3)
    assert score.as_text is not None
    assert len(score.as_text) == len(score.tokens)
    assert score.as_text != score.tokens
    alone = engine.score(ScoreRequest("f", 1, (gap,), (text,), as_text=True)).gaps[0]
    twice = engine.score(ScoreRequest("f", 1, (gap, Gap(PLACES[3], PLACES[3])), (text, "x"), as_text=True)).gaps[0]
    assert [t.logprob for t in twice.tokens] == pytest.approx([t.logprob for t in alone.tokens], abs=1e-3)


def test_it_says_what_it_is_and_what_it_cannot(models: Any) -> None:
    engine = engine_of(models("mellum")[1])
    description = engine.describe()
    assert (description.fim, description.adapted, description.sees_suffix) == ("mellum", False, True)
    for policy in ("block:4", "uniform"):
        with pytest.raises(InputError, match="needs a model adapted"):
            fill(engine, Gap(3, 3), policy=policy)


@pytest.mark.parametrize("family", ["qwen2.5-coder", "starcoder2", "mellum"])
def test_other_files_change_what_is_said(family: str, models: Any) -> None:
    engine, gap = engine_of(models(family)[1]), Gap(PLACES[0], PLACES[0])
    before = fill(engine, gap, policy="left_to_right").gaps[0]
    engine.set_context("f", [Snippet("lib/other.py", "def other(x):\n    return x\n" * 4)])
    while engine.idle_slice():
        pass
    after = fill(engine, gap, policy="left_to_right").gaps[0]
    assert before.logprobs != after.logprobs
