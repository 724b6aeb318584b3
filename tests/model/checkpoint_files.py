"""Checkpoints of other formats, written for tests: Hugging Face directories and GGUF files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
import transformers

from model.checkpoint.gguf_file import LAYER_NAMES, TOP_LEVEL_NAMES
from model.checkpoint.record import Checkpoint
from tests.model.tiny import SPECIAL_TOKENS, tiny_tokenizer

CODE = "def f(x):\n\tif x == 1234:\n        return 'naïve 😊'  # it's <filename> <|endoftext|>\r\n\n\n    12.5e3  \n"
ROPE_DEFAULT = {"rope_type": "default", "rope_theta": 10000.0}
ROPE_LINEAR = {"rope_type": "linear", "rope_theta": 50000.0, "factor": 2.0}
ROPE_LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 256,
}
ROPE_YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 128}


def save_huggingface(directory: Path, kind: str, shard_size: str = "1GB", **options: Any) -> Any:
    """Save a random model of `kind` with the tiny tokenizer, and return it."""
    base: dict[str, Any] = {
        "vocab_size": tiny_tokenizer().get_vocab_size(),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "rope_parameters": dict(ROPE_DEFAULT),
        "bos_token_id": 0,
        "eos_token_id": 0,
    }
    dtype = options.pop("dtype", torch.float32)
    config = getattr(transformers, f"{kind}Config")(**{**base, **options})
    torch.manual_seed(0)
    network = getattr(transformers, f"{kind}ForCausalLM")(config).to(dtype)
    with torch.no_grad():
        for parameter in network.parameters():  # norms and biases too, which start as ones and zeros
            parameter.normal_(0.0, 0.3)
    network.save_pretrained(directory, max_shard_size=shard_size)
    tiny_tokenizer().save(str(directory / "tokenizer.json"))
    return network


def write_gguf(
    path: Path, checkpoint: Checkpoint, quantisation: str = "F32", pre: str = "smollm", **changes: Any
) -> None:
    """Write `checkpoint` as llama.cpp's converter does. `changes` add or replace metadata; None leaves a key out."""
    config, tokenizer = checkpoint.config, checkpoint.tokenizer
    prefix = config.architecture
    tokens = [tokenizer.id_to_token(token_id) for token_id in range(config.vocab_size)]
    merges = [" ".join(merge) for merge in json.loads(tokenizer.to_str())["model"]["merges"]]
    values = {
        f"{prefix}.block_count": config.layers,
        f"{prefix}.context_length": config.context_length,
        f"{prefix}.embedding_length": config.width,
        f"{prefix}.feed_forward_length": config.ffn_width,
        f"{prefix}.attention.head_count": config.heads,
        f"{prefix}.attention.head_count_kv": config.kv_heads,
        f"{prefix}.attention.key_length": config.head_dim,
        f"{prefix}.attention.layer_norm_rms_epsilon": float(config.norm_eps),
        f"{prefix}.rope.freq_base": float(config.rope_base),
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3 if token in SPECIAL_TOKENS else 1 for token in tokens],
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": 1,
    } | changes
    writer = gguf.GGUFWriter(path, prefix)
    for key, value in values.items():
        if isinstance(value, str):
            writer.add_string(key, value)
        elif isinstance(value, list):
            writer.add_array(key, value)
        elif isinstance(value, float):
            writer.add_float32(key, value)
        elif value is not None:
            writer.add_uint32(key, value)
    for name in checkpoint.tensors:
        data = checkpoint.tensors[name].numpy()
        if prefix == "llama" and ("q_proj" in name or "k_proj" in name):
            heads = config.heads if "q_proj" in name else config.kv_heads
            data = data.reshape(heads, 2, data.shape[0] // heads // 2, *data.shape[1:])
            data = data.swapaxes(1, 2).reshape(checkpoint.tensors[name].shape)
        data = np.ascontiguousarray(data)
        kind = gguf.GGMLQuantizationType[quantisation if data.ndim > 1 else "F32"]
        data = quantised(data, kind)
        writer.add_tensor(gguf_name(name), data, raw_dtype=kind)
    write_file(writer)


def write_file(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def quantised(data: np.ndarray, kind: gguf.GGMLQuantizationType) -> np.ndarray:
    """Return the blocks of `data`; of some kind or other where the package cannot quantise (K)."""
    if kind in (gguf.GGMLQuantizationType.F32, gguf.GGMLQuantizationType.F16):
        return gguf.quantize(data, kind)
    try:
        return gguf.quantize(data, kind)
    except NotImplementedError:
        shape = gguf.quant_shape_to_byte_shape(data.shape, kind)
        return np.random.default_rng(0).integers(0, 60, shape, dtype=np.uint8)  # below 60: no scale is infinite


def gguf_name(name: str) -> str:
    if not name.startswith(("layers.", *TOP_LEVEL_NAMES.values())):
        return name
    gguf_names = {ours: theirs for theirs, ours in (TOP_LEVEL_NAMES | LAYER_NAMES).items()}
    stem, _, kind = name.rpartition(".")
    if stem in gguf_names:
        return f"{gguf_names[stem]}.{kind}"
    _, index, part = stem.split(".", 2)
    return f"blk.{index}.{gguf_names[part]}.{kind}"
