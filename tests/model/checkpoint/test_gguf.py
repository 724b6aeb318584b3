"""GGUF files: quantisations, architectures and tokenizers, against transformers; and damaged ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import gguf
import pytest
import torch
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers.integrations.gguf.dequant import dequantize as reference_dequantize
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from model.checkpoint.config import RopeScaling
from model.checkpoint.loading import load_checkpoint
from model.checkpoint.record import Checkpoint
from model.errors import CheckpointError
from tests.model.checkpoint.reference import reference_tokenizer
from tests.model.checkpoint_files import (
    CODE,
    ROPE_LLAMA3,
    quantised,
    write_gguf,
)
from tests.model.tiny import tiny_checkpoint

WIDE = {"width": 256, "heads": 4, "kv_heads": 2, "head_dim": 64, "ffn_width": 256, "layers": 1}


FLOAT_KINDS = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
COARSEST = {"Q8_0": 0.02, "Q5_1": 0.05, "Q5_0": 0.1, "Q4_1": 0.1, "Q4_0": 0.2}  # of a step, for weights below 1.5
UNKNOWN_TO_REFERENCE = ("Q5_0", "Q5_1")
K_KINDS = ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K")


@pytest.mark.parametrize("quantisation", [*FLOAT_KINDS, *COARSEST, *K_KINDS])
def test_gguf_quantisations(tmp_path: Path, quantisation: str) -> None:
    """The reference dequantises in transformers' own code, of which ours (the gguf package's) is independent."""
    checkpoint = tiny_checkpoint(adapted=False, **WIDE)
    write_gguf(tmp_path / "m.gguf", checkpoint, quantisation)
    loaded = load_checkpoint(tmp_path / "m.gguf")
    kind = gguf.GGMLQuantizationType[quantisation]
    for name, original in checkpoint.tensors.items():
        tensor = loaded.tensors[name]
        assert (tensor.dtype, tensor.shape) == (torch.float32, original.shape)
        if original.dim() == 1:
            assert torch.equal(tensor, original), name
        elif quantisation in FLOAT_KINDS:
            assert torch.equal(tensor, original.to(FLOAT_KINDS[quantisation]).float()), name
        elif quantisation not in UNKNOWN_TO_REFERENCE and "q_proj" not in name and "k_proj" not in name:
            # (The rows of q and k are in another order in the file.)
            blocks = torch.from_numpy(quantised(original.numpy(), kind))
            assert torch.allclose(tensor, reference_dequantize(blocks, int(kind)).reshape(original.shape)), name
        if quantisation in COARSEST:
            assert (tensor - original).abs().max() < COARSEST[quantisation] * original.abs().max(), name


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": "llama", "tied_head": False, "qkv_bias": True},
        {"architecture": "qwen2", "qkv_bias": True, "context_length": 77},
        {"architecture": "qwen3", "qk_norm": True, "head_dim": 32},
        {"rope_base": 1e6, "norm_eps": 1e-6},
    ],
)
def test_gguf_architectures(tmp_path: Path, changes: dict) -> None:
    checkpoint = tiny_checkpoint(adapted=False, **changes)
    write_gguf(tmp_path / "m.gguf", checkpoint)
    loaded = load_checkpoint(tmp_path / "m.gguf")
    assert replace(loaded.config, norm_eps=checkpoint.config.norm_eps) == checkpoint.config
    assert loaded.config.norm_eps == pytest.approx(checkpoint.config.norm_eps)
    assert set(loaded.tensors) == set(checkpoint.tensors)
    assert all(torch.equal(loaded.tensors[name], tensor) for name, tensor in checkpoint.tensors.items())
    assert loaded.capabilities.window == checkpoint.config.context_length
    assert loaded.name == "m"


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"type": "none"}, None),
        ({"type": "linear"}, None),
        ({"factor": 4.0}, RopeScaling("linear", 4.0)),
        ({"type": "linear", "factor": 4.0}, RopeScaling("linear", 4.0)),
        ({"type": "yarn", "factor": 2.0, "original_context_length": 64}, RopeScaling("yarn", 2.0, 64)),
    ],
)
def test_gguf_rope_scaling(tmp_path: Path, metadata: dict, expected: RopeScaling | None) -> None:
    write_gguf(tmp_path / "m.gguf", tiny_checkpoint(), **{f"llama.rope.scaling.{k}": v for k, v in metadata.items()})
    assert load_checkpoint(tmp_path / "m.gguf").config.rope_scaling == expected


def test_gguf_llama3_scaling_is_recovered_from_its_divisors(tmp_path: Path) -> None:
    """Llama 3.2's numbers: llama.cpp stores only by what each frequency is divided."""
    rope = ROPE_LLAMA3 | {"factor": 32.0, "original_max_position_embeddings": 8192}
    config = transformers.LlamaConfig(
        hidden_size=256, num_attention_heads=4, max_position_embeddings=131072, rope_parameters=rope
    )
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](config, torch.device("cpu"))
    plain = 500000.0 ** (-torch.arange(0, 64, 2) / 64)
    checkpoint = tiny_checkpoint(**WIDE, rope_base=500000.0)
    tensors = dict(checkpoint.tensors) | {"rope_freqs.weight": plain / scaled}
    write_gguf(tmp_path / "m.gguf", with_tensors(checkpoint, tensors))
    assert load_checkpoint(tmp_path / "m.gguf").config.rope_scaling == RopeScaling("llama3", 32.0, 8192, 1.0, 4.0)
    tensors["rope_freqs.weight"] = torch.linspace(1, 32, 32)
    write_gguf(tmp_path / "m.gguf", with_tensors(checkpoint, tensors))
    with pytest.raises(CheckpointError, match="not Llama 3's scaling"):
        load_checkpoint(tmp_path / "m.gguf")


def with_tensors(checkpoint: Checkpoint, tensors: dict) -> Checkpoint:
    return replace(checkpoint, tensors=tensors)


@pytest.mark.parametrize("pre", ["gpt-2", "smollm", "qwen2", "llama-bpe"])
def test_gguf_tokenizer(tmp_path: Path, pre: str) -> None:
    path = tmp_path / "m.gguf"
    write_gguf(path, tiny_checkpoint(), pre=pre)
    ours, theirs = load_checkpoint(path).tokenizer, reference_tokenizer(path, pre)
    for text in (CODE, Path(__file__).read_text(), "a1b22 333\n\n\t 4444 's 'S I'LL ½ ²\u3000x\u00a0y"):
        assert ours.encode(text).ids == theirs.encode(text, add_special_tokens=False).ids
        assert ours.decode(ours.encode(text).ids) == text


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"general.architecture": "gemma"}, "architecture 'gemma' is not supported"),
        ({"llama.expert_count": 8}, "mixture-of-experts"),
        ({"llama.block_count": None}, "lacks the metadata key llama.block_count"),
        ({"llama.attention.head_count": [4, 4]}, "list"),
        ({"llama.attention.head_count": 0}, "m.gguf.*modulo by zero"),
        ({"llama.attention.head_count_kv": 3}, "do not divide"),
        ({"llama.attention.value_length": 8}, "value_length differs"),
        ({"llama.rope.dimension_count": 8}, "rope.dimension_count differs"),
        ({"llama.rope.scaling.type": "longrope"}, "'longrope' is not supported"),
        ({"llama.rope.scaling.type": "yarn"}, "lacks the metadata key llama.rope.scaling.factor"),
        ({"llama.rope.scaling.type": "yarn", "llama.rope.scaling.attn_factor": 0.5}, "attn_factor is not supported"),
        ({"llama.embedding_length": 44}, "has shape"),
        ({"llama.block_count": 3}, "tensor layers.2.*is missing"),
        ({"split.count": 2}, "llama-gguf-split --merge"),
        ({"tokenizer.ggml.model": "llama"}, "only byte-level BPE"),
        ({"tokenizer.ggml.pre": "gpt-4o"}, "pre-tokenizer 'gpt-4o' is not supported"),
        ({"tokenizer.ggml.tokens": None}, "lacks the metadata key tokenizer.ggml.tokens"),
        ({"tokenizer.ggml.merges": ["a b c"]}, "do not fit together"),
        ({"tokenizer.ggml.merges": ["qq zz"]}, "do not fit together"),
        ({"tokenizer.ggml.token_type": [1, 1]}, "do not fit together"),
    ],
)
def test_unsupported_gguf(tmp_path: Path, metadata: dict, message: str) -> None:
    checkpoint = tiny_checkpoint()
    write_gguf(tmp_path / "m.gguf", checkpoint, **metadata)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path / "m.gguf")


def test_gguf_with_unknown_tensors(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "q.gguf", "llama")
    checkpoint = tiny_checkpoint(**WIDE)
    write_gguf(tmp_path / "m.gguf", checkpoint, "IQ4_XS")
    with pytest.raises(CheckpointError, match="quantised as IQ4_XS; supported are"):
        load_checkpoint(tmp_path / "m.gguf")
    writer.close()
    tensors = dict(checkpoint.tensors) | {"strange.weight": torch.zeros(4)}
    write_gguf(tmp_path / "m.gguf", with_tensors(checkpoint, tensors))
    with pytest.raises(CheckpointError, match=r"strange.weight does not belong"):
        load_checkpoint(tmp_path / "m.gguf")


@pytest.fixture(scope="module")
def gguf_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("gguf") / "m.gguf"
    write_gguf(path, tiny_checkpoint(layers=1))
    return path.read_bytes()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_corrupt_gguf_is_an_error_of_ours_or_loads(tmp_path: Path, gguf_bytes: bytes, data: st.DataObject) -> None:
    """Cut off anywhere, or with bytes changed in what describes the file."""
    content = bytearray(gguf_bytes[: data.draw(st.integers(0, len(gguf_bytes)), "cut")])
    for _ in range(data.draw(st.integers(0, 3), "changes")):
        if content:
            content[data.draw(st.integers(0, min(len(content), 2000) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    try:
        checkpoint = load_checkpoint(path)
    except CheckpointError as error:
        assert str(path) in str(error)  # noqa: PT017 (it may load as well)
    else:
        assert checkpoint.float_tensor("norm.weight").dtype == torch.float32
