"""A loaded checkpoint, and what its tensors must look like.

Knows the names and shapes of a decoder's tensors; knows no file format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields

import torch
from tokenizers import Tokenizer
from torch import Tensor

from model.checkpoint.config import Capabilities, ModelConfig
from model.checkpoint.fim_formats import format_named, marker_ids
from model.errors import CheckpointError

FLOAT_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
SCALE_SUFFIX = ".scale"
SMALLEST_WINDOW = 64
"""Rows of the smallest model that is taken: with fewer than 24 no gap can be opened."""
_LARGEST_INT = 1 << 31
_LARGEST_FLOAT = 1e12


@dataclass(frozen=True)
class StoredTensor:
    """A tensor that lies in a file: its shape and dtype are known, its numbers are read on demand."""

    shape: tuple[int, ...]
    dtype: torch.dtype | str  # of the tensor that `read` returns; a name where torch or we have no such type
    file: str
    read: Callable[[], Tensor]


class StoredTensors(Mapping[str, Tensor]):
    """Tensors by name, each read from its file anew whenever it is asked for.

    So a model larger than memory in float32 loads layer by layer: keep what
    you were given rather than asking twice.
    """

    def __init__(self, stored: dict[str, StoredTensor]) -> None:
        self.stored = stored

    def __getitem__(self, name: str) -> Tensor:
        return self.stored[name].read()

    def __contains__(self, name: object) -> bool:  # Mapping's own would read the tensor
        return name in self.stored

    def __iter__(self) -> Iterator[str]:
        return iter(self.stored)

    def __len__(self) -> int:
        return len(self.stored)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A model as it came from disk.

    `tensors` has Hugging Face names without the leading `model.`. Matrices
    are [out, in] and floating, or int8 with a float32 scale [out] under
    NAME + ".scale", to be used so: row r of the matrix is NAME[r] * scale[r].
    `tokenizer` is a byte-level BPE without normalizer or post-processor which
    encodes the text of special tokens like any other text. `smoothing` has the
    factors of `smoothing_shapes`, by which int8 scales channels; None where
    they were not measured.
    """

    name: str
    config: ModelConfig
    capabilities: Capabilities
    tokenizer: Tokenizer
    tensors: Mapping[str, Tensor]
    smoothing: Mapping[str, Tensor] | None = None

    def float_tensor(self, name: str) -> Tensor:
        """Return the tensor in float32, multiplied by its scale when it is int8."""
        tensor = self.tensors[name]
        if tensor.dtype != torch.int8:
            return tensor.float()
        return tensor.float() * self.tensors[name + SCALE_SUFFIX][:, None]


def expected_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor that a model of this configuration has, by name."""
    width, ffn_width, head_dim = config.width, config.ffn_width, config.head_dim
    query_width, kv_width = config.heads * head_dim, config.kv_heads * head_dim
    linear = {  # name: out, in, bias
        "self_attn.q_proj": (query_width, width, config.qkv_bias),
        "self_attn.k_proj": (kv_width, width, config.qkv_bias),
        "self_attn.v_proj": (kv_width, width, config.qkv_bias),
        "self_attn.o_proj": (width, query_width, config.output_bias),
        **({"mlp.gate_proj": (ffn_width, width, config.ffn_bias)} if config.gated_ffn else {}),
        "mlp.up_proj": (ffn_width, width, config.ffn_bias),
        "mlp.down_proj": (width, ffn_width, config.ffn_bias),
    }
    layer: dict[str, tuple[int, ...]] = {}
    for name, (outputs, inputs, bias) in linear.items():
        layer[f"{name}.weight"] = (outputs, inputs)
        if bias:
            layer[f"{name}.bias"] = (outputs,)
    if config.qk_norm:
        layer["self_attn.q_norm.weight"] = layer["self_attn.k_norm.weight"] = (head_dim,)
    norm_parts = ("weight", "bias") if config.layer_norm else ("weight",)
    for part in norm_parts:
        layer[f"input_layernorm.{part}"] = layer[f"post_attention_layernorm.{part}"] = (width,)

    shapes: dict[str, tuple[int, ...]] = {"embed_tokens.weight": (config.vocab_size, width)}
    for index in range(config.layers):
        shapes |= {f"layers.{index}.{name}": shape for name, shape in layer.items()}
    shapes |= {f"norm.{part}": (width,) for part in norm_parts}
    if not config.tied_head:
        shapes["lm_head.weight"] = (config.vocab_size, width)
    return shapes


def smoothing_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of every vector of smoothing factors, by the rows whose channels it scales.

    `attention` and `ffn` are what the norms make, `output` the value rows, `down` the up rows, `head` what the last
    norm makes.
    """
    kv_width = config.kv_heads * config.head_dim
    widths = {"attention": config.width, "output": kv_width, "ffn": config.width, "down": config.ffn_width}
    shapes = {f"layers.{index}.{name}": (width,) for index in range(config.layers) for name, width in widths.items()}
    return {**shapes, "head": (config.width,)}


def checked_smoothing(stored: Mapping[str, StoredTensor], config: ModelConfig, source: str) -> dict[str, Tensor]:
    """Return the smoothing factors if they are those of `config`: positive and finite. Raises CheckpointError."""
    shapes = smoothing_shapes(config)
    if {name: tensor.shape for name, tensor in stored.items()} != shapes:
        raise CheckpointError(f"{source}: the smoothing factors are not those of this model; install the model again")
    factors = {name: stored[name].read().float() for name in shapes}
    for name, numbers in factors.items():
        if not (numbers.isfinite() & (numbers > 0)).all():
            raise CheckpointError(f"{source}: smoothing factors of {name} cannot be; install the model again")
    return factors


def checked_tensors(stored: dict[str, StoredTensor], config: ModelConfig, source: str) -> StoredTensors:
    """Return the tensors if they are exactly those of `config`.

    Raises CheckpointError, naming tensor and file, for one that is missing,
    unexpected, or of a wrong shape or dtype.
    """
    _check_values(config, len(stored), source)
    shapes = expected_shapes(config)
    for name, shape in shapes.items():
        if name not in stored:
            raise CheckpointError(f"{source}: tensor {name} is missing; get a complete copy of the model")
        tensor = stored[name]
        if tensor.shape != shape:
            raise CheckpointError(
                f"{tensor.file}: tensor {name} has shape {list(tensor.shape)}, "
                f"its configuration says {list(shape)}; weights and configuration do not belong together"
            )
        scale = stored.get(name + SCALE_SUFFIX)
        if tensor.dtype == torch.int8 and len(shape) == 2:
            if scale is None or scale.shape != shape[:1] or scale.dtype != torch.float32:
                raise CheckpointError(f"{tensor.file}: int8 tensor {name} needs a float32 {name}.scale of [{shape[0]}]")
        elif tensor.dtype not in FLOAT_DTYPES:
            raise CheckpointError(
                f"{tensor.file}: tensor {name} has dtype {tensor.dtype}; "
                "only float32, bfloat16 and float16 weights load: use an unquantised copy of the model, or a GGUF file"
            )
        elif scale is not None:
            raise CheckpointError(f"{tensor.file}: tensor {name} has a scale but is not int8")
    known = shapes.keys() | {name + SCALE_SUFFIX for name in shapes}
    for name, tensor in stored.items():
        if name not in known:
            raise CheckpointError(
                f"{tensor.file}: tensor {name} does not belong to a {config.architecture} model of this configuration; "
                "adapters and variants of the architecture are not supported: merge or convert them first"
            )
    return StoredTensors(stored)


def check_token_ids(checkpoint: Checkpoint, source: str) -> None:
    """Raise CheckpointError if the tokenizer or a special id reaches beyond the embedding's rows."""
    vocab_size, capabilities = checkpoint.config.vocab_size, checkpoint.capabilities
    largest = max(checkpoint.tokenizer.get_vocab().values(), default=0)
    if largest >= vocab_size:
        raise CheckpointError(
            f"{source}: the tokenizer has token id {largest}, the model only {vocab_size} tokens; "
            "they do not belong together"
        )
    for name in ("sink_id", "filename_id", "mask_id", "infill_id", "eoi_id", "begin_id"):
        token_id = getattr(capabilities, name)
        if token_id is None and name != "sink_id":
            continue
        if not (type(token_id) is int and 0 <= token_id < vocab_size):
            raise CheckpointError(
                f"{source}: {name} {token_id} is not the id of one of the model's {vocab_size} tokens"
            )
    if capabilities.fim is not None:
        marker_ids(format_named(capabilities.fim), checkpoint.tokenizer)
    if type(capabilities.adapted) is not bool or not _is_sound(capabilities.window, "int"):
        raise CheckpointError(f"{source}: what it says of its capabilities cannot be; get a fresh copy of it")
    if capabilities.window < SMALLEST_WINDOW:
        raise CheckpointError(f"{source}: a window of {capabilities.window} rows is too small; use another model")


def _check_values(config: ModelConfig, tensor_count: int, source: str) -> None:
    scaling = config.rope_scaling
    for record in (config, scaling):
        for field in fields(record) if record else ():
            value = getattr(record, field.name)
            if not _is_sound(value, str(field.type)):
                raise CheckpointError(
                    f"{source}: {field.name} is {value!r:.60}, which cannot be; get a fresh copy of it"
                )
    if config.context_length < SMALLEST_WINDOW:
        raise CheckpointError(f"{source}: a context of {config.context_length} rows is too small; use another model")
    if config.rope_base <= 1:
        raise CheckpointError(
            f"{source}: rope_base is {config.rope_base!r}, which is not above 1; get a fresh copy of it"
        )
    if scaling and scaling.kind not in ("linear", "llama3", "yarn"):
        raise CheckpointError(f"{source}: rope scaling {scaling.kind!r} is not supported")
    if scaling and not (scaling.low_freq_factor < scaling.high_freq_factor and scaling.beta_slow < scaling.beta_fast):
        raise CheckpointError(f"{source}: the bounds of its rope scaling are not in order; get a fresh copy of it")
    if config.layers > tensor_count:  # before names are made for a number of layers that no file holds
        raise CheckpointError(f"{source}: {config.layers} layers, but only {tensor_count} tensors; get a complete copy")


def _is_sound(value: object, hint: str) -> bool:
    """Whether a value read from a file is one of a field of this type: numbers are positive and finite."""
    if hint == "bool":
        return type(value) is bool
    if hint == "int":
        return type(value) is int and 0 < value <= _LARGEST_INT
    if hint.startswith("float"):
        is_none = value is None and hint.endswith("None")
        return is_none or (type(value) in (int, float) and 0 < value <= _LARGEST_FLOAT)  # type: ignore[operator]
    return True
