"""Losses on held-out packages, and how far sessions are from fresh windows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.checkpoint.loading import load_checkpoint
from model.errors import InputError
from model.evaluation.drift import drift_page, session_drift
from model.evaluation.edit_trace import EditTrace, read_trace
from model.evaluation.held_out import held_out_loss, loss_page
from model.training.batches import micro_batch
from model.training.config import ExampleConfig, parse_config
from model.training.measures import Measures
from model.training.shards import read_corpus, write_corpus
from model.training.trainer import Machine, Trainer
from tests.training.conftest import SETTINGS

TRACE = Path(__file__).parents[1] / "data" / "rustcode-5000.json.gz"


@pytest.fixture(scope="session")
def examples() -> ExampleConfig:
    import tomllib

    return parse_config(tomllib.loads(SETTINGS)).examples


@pytest.fixture(scope="session")
def held_out_corpus(small_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small corpus with one of its two packages held out."""
    corpus = read_corpus(small_corpus)
    documents = [replace(document, held_out=document.package == "grammars") for document in corpus.documents]
    ids = [np.array(corpus.ids(index, 0, document.tokens)) for index, document in enumerate(documents)]
    directory = tmp_path_factory.mktemp("held-out") / "corpus"
    write_corpus(directory, documents, ids, [corpus.nodes_of(index) for index in range(len(documents))], {})
    return directory


def test_losses_are_those_of_the_trainer(
    tiny_model: Path, held_out_corpus: Path, examples: ExampleConfig, tmp_path: Path
) -> None:
    from model.evaluation.held_out import _source

    checkpoint = load_checkpoint(tiny_model)
    report = held_out_loss(checkpoint, held_out_corpus, 3, examples)
    config = parse_config({})
    source = _source(checkpoint, held_out_corpus, examples, seed=1)
    assert {source.corpus.documents[index].package for index in source._documents} == {"grammars"}
    trainer = Trainer(checkpoint.config, checkpoint.tensors, config.optimiser, Machine.of(config.run), 64)
    measures = Measures(torch.device("cpu"))
    for number in range(3):
        part = micro_batch([source.unit(number)], np.ones(4, np.float32), 64)
        trainer.loss(part, measures)
    expected = measures.summary()
    for kind, row in expected["kinds"].items():
        assert report["kinds"][kind]["rows"] == row["rows"] > 0
        assert report["kinds"][kind]["loss"] == pytest.approx(row["loss"], rel=1e-4)
        assert report["kinds"][kind]["low"] <= row["loss"] <= report["kinds"][kind]["high"]
    for told, row in zip(report["mask_by_distance"], expected["distances"], strict=True):
        assert told["loss"] == pytest.approx(row["loss"], rel=1e-4)
        assert told["agreement"] == pytest.approx(row["agreement"])
    log = tmp_path / "losses.jsonl"
    held_out_loss(checkpoint, held_out_corpus, 2, examples, log=log)
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:2]))  # an interrupted run goes on
    assert held_out_loss(checkpoint, held_out_corpus, 3, examples, log=log) == report
    assert log.read_text().splitlines(keepends=True)[:3] == lines
    page = loss_page(report)
    assert "mask, distance 4" in page
    assert "not adapted" not in page


def test_losses_of_a_model_that_is_not_adapted(
    tiny_prefix_model: Path, held_out_corpus: Path, small_corpus: Path, examples: ExampleConfig
) -> None:
    checkpoint = load_checkpoint(tiny_prefix_model)
    report = held_out_loss(checkpoint, held_out_corpus, 1, examples)
    assert report["kinds"]["island_next"]["loss"] > 0
    assert "not adapted" in loss_page(report)
    with pytest.raises(InputError, match="holds no packages out"):
        held_out_loss(checkpoint, small_corpus, 1, examples)
    with pytest.raises(InputError, match="no corpus"):
        held_out_loss(checkpoint, small_corpus.parent / "none", 1, examples)


def test_sessions_beside_fresh_windows(tiny_model: Path, tiny_prefix_model: Path) -> None:
    trace = read_trace(TRACE)
    assert len(trace.patches) == 5000
    report = session_drift(load_checkpoint(tiny_model), trace, samples=6, first=200, edits=40)
    assert (report["edits"], report["samples"]) == (40, 6)
    nats = report["divergence_nats"]
    assert 0 <= nats["median"] <= nats["p95"] <= nats["max"]
    assert "6 places in 40 edits" in drift_page(report)
    # What stands before the cursor is encoded the same way, whatever came before it.
    prefix_only = session_drift(load_checkpoint(tiny_prefix_model), trace, samples=6, first=200, edits=40)
    assert prefix_only["divergence_nats"]["max"] < 1e-6
    assert prefix_only["same_first_choice"] == 1


def test_a_session_without_history_is_a_fresh_window(tiny_model: Path) -> None:
    trace = EditTrace("fn main() {\n    let x = 1;\n}\n", [(16, 0, "")])
    report = session_drift(load_checkpoint(tiny_model), trace, samples=1)
    assert report["divergence_nats"]["max"] < 1e-9


def test_bad_traces_are_refused(tmp_path: Path) -> None:
    for content in (b"", b"{}", b"[1]", b'{"startContent": "", "patches": [[1, 2]]}'):
        path = tmp_path / "trace.json"
        path.write_bytes(content)
        with pytest.raises(InputError, match="not an editing trace"):
            read_trace(path)
