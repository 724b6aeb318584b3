"""What a trace is told of a decode, without one."""

from __future__ import annotations

import math

import pytest
import torch

from model.checkpoint.tokenization import ByteTokenizer
from model.decoding.gap_row import GapRow
from model.decoding.recorder import Recorder
from tests.model.tiny import EOI, tiny_checkpoint


def test_a_forward_tells_its_time_its_rows_and_what_it_revealed() -> None:
    checkpoint = tiny_checkpoint()
    tokenizer = ByteTokenizer(checkpoint.tokenizer, checkpoint.config.vocab_size)
    (a,), (b,) = tokenizer.encode("a"), tokenizer.encode("b")
    log_probs = torch.full((checkpoint.config.vocab_size,), -torch.inf)
    log_probs[[a, b, EOI]] = torch.tensor([0.5, 0.375, 0.125]).log()
    recorder = Recorder(tokenizer, {EOI: "<eoi>"}, first_gap=2)
    recorder.reveal(1, 4, b, log_probs, "clean")
    recorder.reveal_end(1, 5, math.log(0.25))
    rows = [GapRow(a, 10, 3, 3, gap=1, rank=3), GapRow(b, 11, 4, 4, gap=1, rank=4, source="typed")]
    recorder.forward(rows, [0], seconds=0.5)
    recorder.forward([], [], seconds=2)
    first, second = recorder.steps
    assert (first.ms, second.ms, second.reveals) == (500, 2000, ())
    assert [(row.gap, row.rank, row.text, row.outcome) for row in first.rows] == [
        (3, 3, "a", "committed"),
        (3, 4, "b", "dropped"),
    ]
    said, ended = first.reveals
    assert (said.gap, said.rank, said.text, said.probability) == (3, 4, "b", pytest.approx(0.375))
    assert said.alternatives == (("a", pytest.approx(0.5)), ("<eoi>", pytest.approx(0.125))), "none that cannot be"
    assert (ended.text, ended.probability) == ("<eoi>", pytest.approx(0.25))
