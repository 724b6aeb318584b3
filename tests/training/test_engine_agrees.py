"""The training loss is the likelihood that the engine computes through its KV cache, for the same rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.api.types import Gap, Snippet
from model.checkpoint.loading import load_checkpoint
from model.checkpoint.record import Checkpoint
from model.checkpoint.tokenization import ByteTokenizer
from model.decoding.gap_row import GapRow
from model.decoding.gap_rows import GapRows
from model.network.decoder import Decoder, Rows
from model.network.kv_cache import KVCache
from model.network.linear import Precision
from model.sessions.geometry import WindowLimits
from model.sessions.islands import IslandStore
from model.sessions.window import Window
from model.training.rows import BELOW, KEY, NO_TARGET, UNSEEN, PackedRows, RowKind
from model.training.visibility import dense_mask
from tests.model.real import real_gguf
from tests.model.tiny import tiny_checkpoint
from tests.training.tiny_training import (
    SMALL,
    BuiltWindow,
    built_window,
    row_losses,
    trainer_network,
)

# Everything fits, so that the window holds what the unit holds.
LIMITS = WindowLimits(
    left_rows=2000, left_min=2 * SMALL.path_max, left_max=2000, right_rows=2000, right_min=1, right_max=2000,
    chunk_rows=SMALL.chunk_tokens + 1, island_rows=500, middle_rows=2000,
    right_ids=SMALL.right_ids, gap_ids=2000, joint_gap_ids=SMALL.joint_free_ids,
)  # fmt: skip


def engine_window(built: BuiltWindow, checkpoint: Checkpoint, spans: list[tuple[int, int]]) -> Window:
    """Return a window of the engine with the seams that the unit has, standing at the gaps `spans`."""
    network = Decoder(checkpoint, Precision.FLOAT32)
    tokenizer = ByteTokenizer(checkpoint.tokenizer, checkpoint.config.vocab_size)
    text = built.window.window.text
    path = built.window.window.path if len(built.window.header) > 1 else ""
    window = Window(network, tokenizer, checkpoint.capabilities, LIMITS, path)
    islands = IslandStore(network, tokenizer, checkpoint.capabilities, 2**30, 500)
    encoded = [islands.encode_slice(Snippet(*snippet), 500) for snippet in built.window.window.snippets]
    window.set_context([island for island in encoded if island is not None])
    # A selection's end walks from the end of the text to the gap, which leaves the chunks of the unit.
    for bound in sorted(built.window.bounds, reverse=True):
        if bound >= spans[-1][1]:
            window.retarget(text, [Gap(1, bound)])
    window.retarget(text, [Gap(*span) for span in spans])
    window.encode()
    return window


def engine_losses(window: Window, unit: PackedRows, gap_rows: np.ndarray) -> torch.Tensor:
    """Feed the gap rows to the engine and return the losses of those with a target."""
    rows = []
    for row in gap_rows:
        key = int(unit.sees[row, KEY])
        rows.append(
            GapRow(
                int(unit.token_ids[row]),
                int(unit.position_ids[row]),
                int(unit.sees[row, BELOW]),
                None if key == UNSEEN else key,
            )
        )
    logits = GapRows(window).feed(rows)
    targets = torch.from_numpy(unit.targets[gap_rows].astype(np.int64))
    with_target = targets != NO_TARGET
    return torch.nn.functional.cross_entropy(logits[with_target], targets[with_target], reduction="none")


@pytest.mark.parametrize("seed", range(3))
def test_gap_losses_equal_the_engines(seed: int) -> None:
    """Context islands, header, left, middles, chunks, free ids, orders, keys: all of it, for every gap of a unit."""
    built, checkpoint = built_window(seed), tiny_checkpoint(seed=seed)
    unit, network = built.unit, trainer_network(checkpoint)
    mask = dense_mask(torch.from_numpy(unit.sees)[None])
    for group, gap_rows in built.groups:
        with torch.no_grad():
            ours = row_losses(network, unit, mask, gap_rows[unit.targets[gap_rows] != NO_TARGET])
        window = engine_window(built, checkpoint, group.spans)
        assert window.layout.held_back == group.held_back
        assert window.gap_first_id(0) == unit.position_ids[gap_rows].min()
        theirs = engine_losses(window, unit, gap_rows)
        torch.testing.assert_close(ours, theirs, atol=2e-3, rtol=1e-3)


def test_a_row_that_sees_too_much_is_noticed() -> None:
    """A test of the test: one column off by one, and the losses differ."""
    built, checkpoint = built_window(0), tiny_checkpoint()
    unit, network = built.unit, trainer_network(checkpoint)
    group, gap_rows = built.groups[0]
    sees = unit.sees.copy()
    sees[gap_rows, BELOW] += 1
    changed = replace(unit, sees=sees)
    wanted = gap_rows[unit.targets[gap_rows] != NO_TARGET]
    with torch.no_grad():
        ours = row_losses(network, changed, dense_mask(torch.from_numpy(sees)[None]), wanted)
    window = engine_window(built, checkpoint, group.spans)
    theirs = engine_losses(window, unit, gap_rows)
    assert float((ours - theirs).abs().max()) > 0.05


def check_left_island(checkpoint: Checkpoint, text: str) -> float:
    """The clean-next losses of a left island are the engine's; returns their mean in nats."""
    tokenizer = ByteTokenizer(checkpoint.tokenizer, checkpoint.config.vocab_size)
    ids = [checkpoint.capabilities.sink_id, *tokenizer.encode(text)]
    token_ids = torch.tensor(ids)
    cache = KVCache(checkpoint.config, torch.float32, 0, len(ids))
    rows = Rows(token_ids, torch.arange(len(ids)), 0, 0, len(ids))
    logits = Decoder(checkpoint, Precision.FLOAT32).forward(rows, cache, list(range(len(ids))))
    assert logits is not None
    theirs = torch.nn.functional.cross_entropy(logits[:-1], token_ids[1:], reduction="none")
    network = trainer_network(checkpoint)
    causal = torch.ones(1, len(ids), len(ids), dtype=torch.bool).tril()
    with torch.no_grad():
        hidden = network(token_ids[None], torch.arange(len(ids))[None], causal)[0, :-1]
        ours = torch.nn.functional.cross_entropy(hidden @ network.head_weight.T, token_ids[1:], reduction="none")
    torch.testing.assert_close(ours, theirs, atol=2e-3, rtol=1e-3)
    return float(ours.mean())


@pytest.mark.parametrize(
    "changes",
    [{}, {"architecture": "qwen2", "qkv_bias": True}, {"architecture": "qwen3", "qk_norm": True, "tied_head": False}],
)
def test_clean_next_losses_equal_the_engines(changes: dict[str, object]) -> None:
    check_left_island(tiny_checkpoint(**changes), built_window(0).window.window.text)


@pytest.mark.slow
def test_clean_next_losses_of_the_base_equal_the_engines() -> None:
    """At step 0 the base predicts code as well in training as in the engine."""
    mean = check_left_island(load_checkpoint(real_gguf()), Path(__file__).read_text()[:3000])
    assert mean < 3


def test_units_have_all_kinds_of_rows() -> None:
    kinds = np.bincount(np.concatenate([built_window(seed).unit.kinds for seed in range(3)]), minlength=4)
    assert all(kinds[kind] > 50 for kind in RowKind)
