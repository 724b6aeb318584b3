"""Checkpoints in one GGUF file (llama.cpp), of Llama, Qwen2 and Qwen3 kinds.

Weights are dequantised to float32 when asked for; the file's metadata gives
the configuration and the tokenizer. Sources: the `gguf` package's constants
for keys and tensor names, llama.cpp's convert_hf_to_gguf.py for the order of
q and k rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor

from model.checkpoint.byte_level import tokenizer_from_gguf, unadapted_capabilities
from model.checkpoint.config import ModelConfig, RopeScaling
from model.checkpoint.description import check_regular
from model.checkpoint.gguf_header import Header, TensorPlace, read_header
from model.checkpoint.record import Checkpoint, StoredTensor, checked_tensors
from model.errors import CheckpointError

ARCHITECTURES = ("llama", "qwen2", "qwen3")
TOP_LEVEL_NAMES = {"token_embd": "embed_tokens", "output_norm": "norm", "output": "lm_head"}
LAYER_NAMES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
ROPE_FREQUENCIES = "rope_freqs.weight"
FLOAT_TYPES = ("F32", "F16", "BF16")
BLOCK_TYPES = ("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K")


def load_gguf(path: Path) -> Checkpoint:
    """Return the checkpoint in a GGUF file. Raises CheckpointError for what is corrupt or not supported."""
    check_regular(path)
    try:
        header = read_header(path)
        tensors = {place.name: _FileTensor.of(place, header, path) for place in header.tensors}
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{path} is not a whole GGUF file ({error}); download it again") from error
    metadata = Metadata(path, header.metadata)
    if metadata.get("split.count", 1) not in (0, 1):
        raise CheckpointError(f"{path} is one of several parts; join them first with llama-gguf-split --merge")
    config = _config(metadata, tensors)
    stored = {}
    for name, tensor in tensors.items():
        if name != ROPE_FREQUENCIES:
            hf_name = _hugging_face_name(name)
            stored[hf_name] = _stored_tensor(tensor, hf_name, config, path)
    checked = checked_tensors(stored, config, str(path))
    tokenizer = _tokenizer(metadata)
    ids = [metadata.get("tokenizer.ggml.bos_token_id"), metadata.get("tokenizer.ggml.eos_token_id")]
    begin_id = ids[0] if metadata.get("tokenizer.ggml.add_bos_token") else None
    capabilities = unadapted_capabilities(tokenizer, config, ids, str(path), begin_id)
    return Checkpoint(path.stem, config, capabilities, tokenizer, checked)


@dataclass(frozen=True)
class _FileTensor:
    """A tensor of the file as it lies there, in blocks where it is quantised."""

    name: str
    shape: tuple[int, ...]
    kind: gguf.GGMLQuantizationType
    data: npt.NDArray[np.uint8]  # [..., bytes of a row]

    @classmethod
    def of(cls, place: TensorPlace, header: Header, path: Path) -> _FileTensor:
        try:
            kind = gguf.GGMLQuantizationType(place.type_number)
        except ValueError:
            kind = None
        if kind is None or kind.name not in FLOAT_TYPES + BLOCK_TYPES:
            raise CheckpointError(
                f"{path}: tensor {place.name} is quantised as {kind.name if kind else place.type_number}; "
                f"supported are {', '.join(FLOAT_TYPES + BLOCK_TYPES)}"
            )
        if not place.shape or 0 in place.shape:
            raise ValueError(f"tensor {place.name} has shape {list(place.shape)}")
        row_bytes = gguf.quant_shape_to_byte_shape(place.shape, kind)
        end = place.start_byte + math.prod(row_bytes)
        if end > len(header.data):
            raise ValueError(f"it ends before the numbers of tensor {place.name}")
        return cls(place.name, place.shape, kind, header.data[place.start_byte : end].reshape(row_bytes))

    def read(self) -> npt.NDArray[np.float32]:
        """Return the numbers, copied."""
        return np.array(gguf.dequantize(self.data, self.kind), dtype=np.float32)


class Metadata:
    """A GGUF file's key/value pairs; what must be there and is not is a CheckpointError."""

    def __init__(self, path: Path, values: dict[str, Any]) -> None:
        self.path = path
        self.values = values

    def __getitem__(self, key: str) -> Any:
        if self.values.get(key) is None:
            raise CheckpointError(f"{self.path} lacks the metadata key {key}; convert the model again")
        return self.values[key]

    def get(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)


def _config(metadata: Metadata, tensors: dict[str, _FileTensor]) -> ModelConfig:
    architecture = metadata["general.architecture"]
    if architecture not in ARCHITECTURES:
        raise CheckpointError(
            f"{metadata.path}: architecture {architecture!r} is not supported in GGUF; use a "
            f"{', '.join(ARCHITECTURES)} model, or the model's Hugging Face directory"
        )
    if metadata.get(f"{architecture}.expert_count", 0):
        raise CheckpointError(f"{metadata.path}: mixture-of-experts models are not supported; use a dense one")
    try:
        return _shape(metadata, architecture, tensors)
    except (ValueError, TypeError, ArithmeticError) as error:  # such as a list of head counts, one for each layer
        raise CheckpointError(
            f"{metadata.path} describes a model that is not supported, or is damaged ({error}); use another copy of it"
        ) from error


def _shape(metadata: Metadata, architecture: str, tensors: dict[str, _FileTensor]) -> ModelConfig:
    heads = metadata[f"{architecture}.attention.head_count"]
    width = metadata[f"{architecture}.embedding_length"]
    head_dim = metadata.get(f"{architecture}.attention.key_length", width // heads)
    for key in ("attention.value_length", "rope.dimension_count"):
        if metadata.get(f"{architecture}.{key}", head_dim) != head_dim:
            raise CheckpointError(f"{metadata.path}: {key} differs from the head size {head_dim}; not supported")
    rope_base = metadata.get(f"{architecture}.rope.freq_base", 10000.0)
    return ModelConfig(
        architecture=architecture,
        layers=metadata[f"{architecture}.block_count"],
        width=width,
        heads=heads,
        kv_heads=metadata.get(f"{architecture}.attention.head_count_kv", heads),
        head_dim=head_dim,
        ffn_width=metadata[f"{architecture}.feed_forward_length"],
        vocab_size=len(metadata["tokenizer.ggml.tokens"]),
        context_length=metadata[f"{architecture}.context_length"],
        rope_base=rope_base,
        rope_scaling=_rope_scaling(metadata, architecture, head_dim, rope_base, tensors.get(ROPE_FREQUENCIES)),
        norm_eps=metadata[f"{architecture}.attention.layer_norm_rms_epsilon"],
        tied_head="output.weight" not in tensors,
        qkv_bias="blk.0.attn_q.bias" in tensors,
        output_bias="blk.0.attn_output.bias" in tensors,
        ffn_bias="blk.0.ffn_up.bias" in tensors,
        qk_norm=architecture == "qwen3",
    )


def _rope_scaling(
    metadata: Metadata, architecture: str, head_dim: int, rope_base: float, frequencies: _FileTensor | None
) -> RopeScaling | None:
    if frequencies is not None:
        return _llama3_scaling(frequencies, head_dim, rope_base, metadata.path)
    prefix = f"{architecture}.rope.scaling."
    # As in llama.cpp: a factor without a type means linear, and older files have it under another key.
    factor = metadata.get(prefix + "factor") or metadata.get(f"{architecture}.rope.scale_linear")
    kind = metadata.get(prefix + "type", "linear" if factor else "none")
    if kind == "none":
        return None
    if kind not in ("linear", "yarn"):
        raise CheckpointError(f"{metadata.path}: rope scaling {kind!r} is not supported; use a model without it")
    if kind == "linear":
        return RopeScaling("linear", factor) if factor else None
    for key in ("attn_factor", "yarn_attn_factor", "yarn_ext_factor", "yarn_log_multiplier"):
        if metadata.get(prefix + key, 1.0) != 1.0:
            raise CheckpointError(
                f"{metadata.path}: {prefix}{key} is not supported; use the Hugging Face directory of the model"
            )
    return RopeScaling(
        "yarn",
        metadata[prefix + "factor"],
        original_context=metadata[prefix + "original_context_length"],
        beta_fast=metadata.get(prefix + "yarn_beta_fast", 32.0),
        beta_slow=metadata.get(prefix + "yarn_beta_slow", 1.0),
    )


def _llama3_scaling(frequencies: _FileTensor, head_dim: int, rope_base: float, path: Path) -> RopeScaling:
    """Recover Llama 3's scaling from the divisors of the frequencies, which is all that GGUF keeps of it.

    Every Llama 3 model has low and high factors 1 and 4 over 8,192 positions, and
    its lowest frequency is divided by the whole factor. Anything else is refused.
    """
    divisors = frequencies.read().astype(np.float64)
    scaling = RopeScaling("llama3", round(float(divisors.max()), 4), 8192, 1.0, 4.0)
    wavelengths = 2 * math.pi * rope_base ** (np.arange(0, head_dim, 2) / head_dim)
    smooth = np.clip((8192 / wavelengths - 1.0) / (4.0 - 1.0), 0.0, 1.0)
    expected = 1.0 / ((1 - smooth) / scaling.factor + smooth)
    if divisors.shape != expected.shape or not np.allclose(divisors, expected, rtol=1e-3):
        raise CheckpointError(
            f"{path}: {ROPE_FREQUENCIES} is not Llama 3's scaling; use the Hugging Face directory of the model"
        )
    return scaling


def _hugging_face_name(name: str) -> str:
    stem, _, kind = name.rpartition(".")
    if stem in TOP_LEVEL_NAMES:
        return f"{TOP_LEVEL_NAMES[stem]}.{kind}"
    prefix, _, rest = stem.partition(".")
    index, _, part = rest.partition(".")
    if prefix == "blk" and part in LAYER_NAMES:
        return f"layers.{index}.{LAYER_NAMES[part]}.{kind}"
    return name  # the check of all names refuses it


def _stored_tensor(tensor: _FileTensor, name: str, config: ModelConfig, path: Path) -> StoredTensor:
    permuted_heads = 0
    if config.architecture == "llama" and ".self_attn.q_proj." in name:
        permuted_heads = config.heads
    if config.architecture == "llama" and ".self_attn.k_proj." in name:
        permuted_heads = config.kv_heads

    def read() -> Tensor:
        rows = torch.from_numpy(tensor.read())
        return _unpermuted(rows, permuted_heads) if permuted_heads else rows

    return StoredTensor(tensor.shape, torch.float32, str(path), read)


def _unpermuted(rows: Tensor, heads: int) -> Tensor:
    """Undo llama.cpp's order of q and k rows.

    Two rows of a head rotate together: they are neighbours there, half a head apart here.
    """
    half = rows.shape[0] // heads // 2
    pairs = rows.reshape(heads, half, 2, *rows.shape[1:])
    return pairs.transpose(1, 2).reshape(rows.shape).contiguous()


def _tokenizer(metadata: Metadata) -> Tokenizer:
    kind = metadata["tokenizer.ggml.model"]
    if kind != "gpt2":
        raise CheckpointError(
            f"{metadata.path}: tokenizer kind {kind!r} is not supported; "
            "only byte-level BPE ('gpt2' in GGUF): choose a model with one"
        )
    tokens = metadata["tokenizer.ggml.tokens"]
    return tokenizer_from_gguf(
        tokens,
        metadata.get("tokenizer.ggml.token_type", [1] * len(tokens)),
        metadata["tokenizer.ggml.merges"],
        metadata["tokenizer.ggml.pre"],
        str(metadata.path),
    )
