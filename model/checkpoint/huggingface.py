"""Checkpoints in a Hugging Face directory: config.json, tokenizer.json, *.safetensors.

Understands the configuration both as transformers 5 writes it (`rope_parameters`)
and as it was before (`rope_theta`, `rope_scaling`). Sources: transformers'
configuration_{llama,qwen2,qwen3,granite,starcoder2}.py and modeling_rope_utils.py.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from model.checkpoint.byte_level import first_special_token, tokenizer_from_json, unadapted_capabilities
from model.checkpoint.config import ARCHITECTURES, ModelConfig, RopeScaling
from model.checkpoint.description import read_json, read_text
from model.checkpoint.record import Checkpoint, checked_tensors
from model.checkpoint.weight_files import stored_tensors
from model.errors import CheckpointError

PICKLE_PATTERNS = ("*.bin", "*.pt", "*.pth", "*.ckpt")
MISSING_DEFAULTS: dict[str, dict[str, Any]] = {  # what a config.json of this architecture means when it says nothing
    "llama": {"max_position_embeddings": 2048},
    "qwen2": {"max_position_embeddings": 32768},
    "qwen3": {"max_position_embeddings": 32768, "head_dim": 128},
    "granite": {"max_position_embeddings": 2048},
    "starcoder2": {
        "max_position_embeddings": 4096,
        "hidden_act": "gelu_pytorch_tanh",
        "norm_epsilon": 1e-5,
        "use_bias": True,
        "tie_word_embeddings": True,
    },
}
ACTIVATIONS = {"starcoder2": ("gelu_pytorch_tanh",)}  # of the others, silu
TENSOR_NAMES = {"starcoder2": {"mlp.c_fc": "mlp.up_proj", "mlp.c_proj": "mlp.down_proj"}}


def load_huggingface(directory: Path) -> Checkpoint:
    """Return the checkpoint in a Hugging Face directory. Raises CheckpointError for what it cannot be."""
    config_path = directory / "config.json"
    data = read_json(config_path)
    config = config_from_huggingface(data, str(config_path))
    stored = {}
    for path in _weight_files(directory):
        for name, tensor in stored_tensors(path).items():
            if not _is_ignored(name, config):
                stored[_own_name(name, config.architecture)] = tensor
    tensors = checked_tensors(stored, config, str(directory))

    tokenizer_path = directory / "tokenizer.json"
    tokenizer_json = read_text(tokenizer_path)
    tokenizer = tokenizer_from_json(tokenizer_json, str(tokenizer_path))
    candidates = [_first_id(data.get(key)) for key in ("bos_token_id", "eos_token_id")]
    begin_id = _begin_id(directory, tokenizer, tokenizer_json)
    capabilities = unadapted_capabilities(tokenizer, config, candidates, str(config_path), begin_id)
    return Checkpoint(directory.resolve().name, config, capabilities, tokenizer, tensors)


def _begin_id(directory: Path, tokenizer: Tokenizer, tokenizer_json: str) -> int | None:
    """Return the id of what transformers puts before a text: as `add_bos_token` says, else as the tokenizer does."""
    path = directory / "tokenizer_config.json"
    settings = read_json(path) if path.exists() else {}
    token, adds = settings.get("bos_token"), settings.get("add_bos_token")
    if isinstance(token, dict):
        token = token.get("content")
    if not isinstance(adds, bool) or (adds and not isinstance(token, str)):
        token, adds = first_special_token(tokenizer_json), True
    return tokenizer.token_to_id(token) if adds and token is not None else None


def config_from_huggingface(data: dict[str, Any], source: str) -> ModelConfig:
    """Return the shape that a config.json describes. Raises CheckpointError for what we cannot run."""
    architecture = data.get("model_type")
    if architecture not in ARCHITECTURES:
        raise CheckpointError(
            f"{source}: model_type {architecture!r} is not supported; use a {', '.join(ARCHITECTURES)} model"
        )
    if data.get("quantization_config"):
        raise CheckpointError(f"{source}: quantised weights are not supported; use an unquantised copy, or a GGUF file")
    data = MISSING_DEFAULTS[architecture] | data
    activations = ACTIVATIONS.get(architecture, ("silu", "swish"))
    if data.get("hidden_act", activations[0]) not in activations:
        raise CheckpointError(
            f"{source}: hidden_act {data['hidden_act']!r} is not supported; only {activations[0]} is in such a model"
        )
    try:
        heads = data["num_attention_heads"]
        is_starcoder, is_granite = architecture == "starcoder2", architecture == "granite"
        biased = architecture != "qwen2" and bool(data["use_bias"] if is_starcoder else data.get("attention_bias"))
        scales = _granite_scales(data) if is_granite else {}
        return ModelConfig(
            architecture=architecture,
            layers=data["num_hidden_layers"],
            width=data["hidden_size"],
            heads=heads,
            kv_heads=_given(data, "num_key_value_heads", heads),
            head_dim=data["hidden_size"] // (heads or 1) if data.get("head_dim") is None else data["head_dim"],
            ffn_width=data["intermediate_size"],
            vocab_size=data["vocab_size"],
            context_length=_context_length(data),
            rope_base=float(_given(_rope_entry(data), "rope_theta", _given(data, "rope_theta", 10000.0))),
            rope_scaling=_rope_scaling(data, source),
            norm_eps=data["norm_epsilon"] if is_starcoder else data.get("rms_norm_eps", 1e-6),
            tied_head=bool(data.get("tie_word_embeddings", False)),
            qkv_bias=architecture == "qwen2" or biased,
            output_bias=biased,
            ffn_bias=biased if is_starcoder else architecture in ("llama", "granite") and bool(data.get("mlp_bias")),
            qk_norm=architecture == "qwen3",
            layer_norm=is_starcoder,
            gated_ffn=not is_starcoder,
            **scales,
        )
    except KeyError as error:
        raise CheckpointError(f"{source} lacks {error}; get a fresh copy of it") from error
    except (ValueError, TypeError, ArithmeticError) as error:
        raise CheckpointError(f"{source}: {error}; get a fresh copy of it") from error


def _given(data: dict[str, Any], key: str, default: Any) -> Any:
    """Return an entry, `default` where it is missing or null. Zero is no way to say that."""
    return default if data.get(key) is None else data[key]


def _granite_scales(data: dict[str, Any]) -> dict[str, float]:
    """Return what Granite multiplies by. Where a configuration says nothing of one, transformers takes 1."""
    return {
        "embedding_scale": float(data.get("embedding_multiplier", 1.0)),
        "attention_scale": float(data.get("attention_multiplier", 1.0)),
        "residual_scale": float(data.get("residual_multiplier", 1.0)),
        "logits_scale": 1 / float(data.get("logits_scaling", 1.0)),
    }


def _context_length(data: dict[str, Any]) -> int:
    """Return the rows the model takes; no more than a sliding window, inside which it is ordinary attention."""
    length = data["max_position_embeddings"]
    slides = "sliding_attention" in (data.get("layer_types") or []) or data["model_type"] == "starcoder2"
    if not data.get("layer_types") and data.get("use_sliding_window"):
        slides = data.get("max_window_layers", 28) < data["num_hidden_layers"]
    return min(length, data["sliding_window"]) if slides and data.get("sliding_window") else length


def _rope_entry(data: dict[str, Any]) -> dict[str, Any]:
    entry = data.get("rope_parameters") or data.get("rope_scaling") or {}
    if not isinstance(entry, dict):
        raise ValueError(f"rope_scaling is {entry!r:.60}, not an object")
    return entry


def _rope_scaling(data: dict[str, Any], source: str) -> RopeScaling | None:
    entry = _rope_entry(data)
    if any(isinstance(value, dict) for value in entry.values()):
        raise CheckpointError(f"{source}: layers with rotary embeddings of their own are not supported")
    if entry.get("partial_rotary_factor", data.get("partial_rotary_factor")) not in (None, 1, 1.0):
        raise CheckpointError(f"{source}: partial rotary embeddings are not supported")
    kind = entry.get("rope_type") or entry.get("type") or "default"
    original = data.get("original_max_position_embeddings") or entry.get("original_max_position_embeddings")
    original = original or data["max_position_embeddings"]
    if kind == "default":
        return None
    if kind == "linear":
        return RopeScaling("linear", float(entry["factor"]))
    if kind == "llama3":
        return RopeScaling(
            "llama3",
            float(entry["factor"]),
            original_context=original,
            low_freq_factor=float(entry["low_freq_factor"]),
            high_freq_factor=float(entry["high_freq_factor"]),
        )
    if kind == "yarn" and entry.get("truncate", True):
        factor = float(entry.get("factor") or data["max_position_embeddings"] / original)
        return RopeScaling(
            "yarn",
            factor,
            original_context=original,
            beta_fast=float(entry.get("beta_fast") or 32.0),
            beta_slow=float(entry.get("beta_slow") or 1.0),
            attention_factor=_yarn_attention_factor(entry, factor),
        )
    raise CheckpointError(
        f"{source}: rope scaling {kind!r} is not supported (linear, llama3 and yarn with truncated bounds are); "
        "use the model's variant without it"
    )


def _yarn_attention_factor(entry: dict[str, Any], factor: float) -> float | None:
    if entry.get("attention_factor") is not None:
        return float(entry["attention_factor"])
    mscale, mscale_all_dim = entry.get("mscale"), entry.get("mscale_all_dim")
    if not (mscale and mscale_all_dim) or factor <= 1:
        return None
    return (0.1 * mscale * math.log(factor) + 1.0) / (0.1 * mscale_all_dim * math.log(factor) + 1.0)


def _weight_files(directory: Path) -> list[Path]:
    index_path = directory / "model.safetensors.index.json"
    if index_path.exists():
        weight_map = read_json(index_path).get("weight_map")
        if not isinstance(weight_map, dict) or any(Path(str(name)).name != name for name in weight_map.values()):
            raise CheckpointError(f"{index_path} does not name files beside it; get a fresh copy of it")
        return [directory / name for name in sorted(set(weight_map.values()))]
    if (directory / "model.safetensors").exists():
        return [directory / "model.safetensors"]
    found = sorted(directory.glob("*.safetensors"))
    if len(found) == 1:
        return found
    if found:
        raise CheckpointError(f"{directory} has several weight files but no {index_path.name}; get the complete model")
    refuse_pickles(directory)
    raise CheckpointError(f"{directory} has no *.safetensors files; get a complete copy of the model")


def refuse_pickles(directory: Path) -> None:
    """Raise CheckpointError if the weights are pickles."""
    for pattern in PICKLE_PATTERNS:
        for path in directory.glob(pattern):
            raise pickle_error(path)


def pickle_error(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path} is a pickle, which can run any code when it is opened, so it is not loaded; "
        "use a safetensors copy of the model (in transformers: model.save_pretrained(folder))"
    )


def _is_ignored(name: str, config: ModelConfig) -> bool:
    # Old checkpoints store the rotary frequencies, which follow from the configuration; some store the
    # tied head beside the embedding that it is.
    return name.endswith("rotary_emb.inv_freq") or (config.tied_head and name == "lm_head.weight")


def _own_name(name: str, architecture: str) -> str:
    """Return the name that a tensor has in `Checkpoint.tensors`."""
    name = name.removeprefix("model.")
    for theirs, ours in TENSOR_NAMES.get(architecture, {}).items():
        name = name.replace(f".{theirs}.", f".{ours}.")
    return name


def _first_id(value: Any) -> Any:
    """Return a token id that may be given as a number, a list of them, or not at all."""
    return (value[0] if value else None) if isinstance(value, list) else value
