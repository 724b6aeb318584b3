"""The real model's files against transformers."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest
import torch
import transformers
from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

from model import store
from model.checkpoint.config import Capabilities, ModelConfig
from model.checkpoint.loading import load_checkpoint
from tests.model.checkpoint.reference import reference_tokenizer
from tests.model.real import real_gguf


@pytest.mark.slow
def test_real_gguf_against_transformers() -> None:
    path = real_gguf()
    described = transformers.LlamaConfig(**load_gguf_checkpoint(path)["config"])
    with torch.device("meta"):  # it only needs the names in the network
        network = transformers.LlamaForCausalLM(described)
    expected = load_gguf_checkpoint(path, return_tensors=True, model_to_load=network)["tensors"]
    checkpoint = load_checkpoint(path)
    for name in checkpoint.tensors:
        assert (checkpoint.tensors[name] - expected[f"model.{name}"]).abs().max() < 1e-3, name
    assert checkpoint.config == ModelConfig(
        "llama", 30, 576, 9, 3, 64, 1536, 49152, rope_base=100000.0, norm_eps=checkpoint.config.norm_eps
    )
    assert described.rope_parameters["rope_theta"] == 100000.0
    assert checkpoint.config.norm_eps == pytest.approx(described.rms_norm_eps)
    assert checkpoint.capabilities == Capabilities(sink_id=0, filename_id=6, window=8192)


@pytest.mark.slow
def test_real_token_ids_over_the_standard_library() -> None:
    """Every file, against transformers' vocabulary and merges with SmolLM2's splits; and the text comes back."""
    ours, theirs = load_checkpoint(real_gguf()).tokenizer, reference_tokenizer(real_gguf(), "smollm")
    compared = 0
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        if "site-packages" in path.parts:
            continue
        try:
            text = path.read_bytes().decode()
        except UnicodeDecodeError:
            continue
        ids = ours.encode(text).ids
        assert ids == theirs.encode(text, add_special_tokens=False).ids, path
        compared += 1
    assert compared > 500


@pytest.mark.slow
def test_a_fetched_base_equals_its_gguf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SETFILL_HOME", str(tmp_path))
    installed = load_checkpoint(store.fetch(store.BASE_MODEL, source=real_gguf()).path)
    source = load_checkpoint(real_gguf())
    assert source.tensors
    assert all(torch.equal(installed.tensors[name], source.tensors[name]) for name in source.tensors)
