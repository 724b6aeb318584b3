"""Smoothing: channels are scaled and nothing else changes, and rows of few bits lose less."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from model.checkpoint.description import DESCRIPTION_FILE, verify_files
from model.checkpoint.loading import load_checkpoint
from model.checkpoint.own_format import SMOOTHING_FILE, save_checkpoint, write_smoothing
from model.checkpoint.record import Checkpoint, smoothing_shapes
from model.errors import CheckpointError
from model.network import decoder
from model.network.decoder import Decoder
from model.network.linear import Precision, has_7_bits
from model.network.smoothing import smoothed
from model.release.smoothing import measured_factors
from tests.model.network.test_network import fed_in_slices, random_ids
from tests.model.tiny import tiny_checkpoint

# What reads and what makes the scaled rows: every tensor of each of these takes part or must be left alone.
SHAPES: list[dict[str, Any]] = [
    {},
    {"tied_head": False},
    {"heads": 4, "kv_heads": 4},
    {"qkv_bias": True, "output_bias": True, "ffn_bias": True},
    {"architecture": "qwen3", "qk_norm": True},
]


def random_factors(checkpoint: Checkpoint, seed: int = 5) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(shape, generator=generator).exp()
        for name, shape in smoothing_shapes(checkpoint.config).items()
    }


@pytest.mark.parametrize("changes", SHAPES)
def test_a_smoothed_network_computes_the_same(changes: dict[str, Any]) -> None:
    checkpoint = tiny_checkpoint(seed=3, **changes)
    ids = random_ids(40, checkpoint.config.vocab_size)
    expected = fed_in_slices(Decoder(checkpoint, Precision.FLOAT32), ids, [40])
    found = fed_in_slices(
        Decoder(smoothed(checkpoint, random_factors(checkpoint)), Precision.FLOAT32), ids, [17, 1, 22]
    )
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=1e-4)


def test_every_factor_is_applied() -> None:
    """Each changes what a linear reads: leaving one out of the rows, or of the weights, would change the logits."""
    checkpoint = tiny_checkpoint(layers=1)
    ones = {name: torch.ones(shape) for name, shape in smoothing_shapes(checkpoint.config).items()}
    plain = {name: smoothed(checkpoint, ones).tensors[name] for name in smoothed(checkpoint, ones).tensors}
    for name in ones:
        tensors = smoothed(checkpoint, {**ones, name: ones[name] * 3}).tensors
        changed = {each for each in plain if not torch.equal(tensors[each], plain[each])}
        assert len(changed) >= 2, name


def with_outlier(checkpoint: Checkpoint) -> Checkpoint:
    """Return the checkpoint with one channel of every row that linears read much larger than the others."""
    tensors = {name: tensor.clone() for name, tensor in checkpoint.tensors.items()}
    for name, tensor in tensors.items():
        if name.endswith("norm.weight"):
            tensor[7] *= 60
        elif name.endswith(("q_proj.weight", "k_proj.weight", "v_proj.weight", "gate_proj.weight", "up_proj.weight")):
            tensor[:, 7] /= 60
    tensors["lm_head.weight"][:, 7] /= 60
    return replace(checkpoint, tensors=tensors)


def test_rows_of_7_bits_lose_less(monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = with_outlier(tiny_checkpoint(tied_head=False))
    ids = random_ids(60, checkpoint.config.vocab_size)
    exact = fed_in_slices(Decoder(checkpoint, Precision.FLOAT32), ids, [60])
    monkeypatch.setattr(decoder, "has_7_bits", lambda precision: precision is Precision.INT8)
    errors = []
    for each in (checkpoint, replace(checkpoint, smoothing=measured_factors(checkpoint))):
        errors.append(float((fed_in_slices(Decoder(each, Precision.INT8), ids, [60]) - exact).square().mean()))
    assert errors[1] < errors[0] / 4


def test_only_rows_of_7_bits_are_smoothed(monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = tiny_checkpoint()
    with_factors = replace(checkpoint, smoothing=random_factors(checkpoint))
    ids = random_ids(20, checkpoint.config.vocab_size)
    for precision in Precision:
        plain = fed_in_slices(Decoder(checkpoint, precision), ids, [20])
        found = fed_in_slices(Decoder(with_factors, precision), ids, [20])
        assert torch.equal(plain, found) is not has_7_bits(precision), precision


def test_factors_are_kept_with_a_model(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint()
    factors = measured_factors(checkpoint)
    assert {name: tuple(numbers.shape) for name, numbers in factors.items()} == smoothing_shapes(checkpoint.config)
    save_checkpoint(checkpoint, tmp_path / "model")
    assert load_checkpoint(tmp_path / "model").smoothing is None
    write_smoothing(factors, tmp_path / "model")
    save_checkpoint(load_checkpoint(tmp_path / "model"), tmp_path / "copy", "int8")
    for place in ("model", "copy"):
        verify_files(tmp_path / place)
        kept = load_checkpoint(tmp_path / place).smoothing
        assert kept is not None
        assert all(torch.equal(kept[name], numbers) for name, numbers in factors.items())


def test_damaged_factors_are_refused(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint()
    good = random_factors(checkpoint)
    name = next(iter(good))
    for bad in (
        {each: numbers for each, numbers in good.items() if each != name},
        {**good, "more": torch.ones(3)},
        {**good, name: torch.ones(3)},
        {**good, name: good[name] * 0},
        {**good, name: good[name] * float("nan")},
        {**good, name: -good[name]},
    ):
        save_checkpoint(checkpoint, tmp_path / "model")
        write_smoothing(bad, tmp_path / "model")
        with pytest.raises(CheckpointError, match="smoothing factors"):
            load_checkpoint(tmp_path / "model")
    (tmp_path / "model" / SMOOTHING_FILE).unlink()
    with pytest.raises(CheckpointError, match=r"smoothing\.safetensors is missing"):
        load_checkpoint(tmp_path / "model")
    description = (tmp_path / "model" / DESCRIPTION_FILE).read_text(encoding="utf-8")
    hostile = description.replace(SMOOTHING_FILE, "../smoothing.safetensors")
    (tmp_path / "model" / DESCRIPTION_FILE).write_text(hostile, encoding="utf-8")
    with pytest.raises(CheckpointError, match="outside its directory"):
        load_checkpoint(tmp_path / "model")
