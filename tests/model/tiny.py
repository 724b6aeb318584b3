"""A tiny real model for tests: random weights, and a small BPE trained on text of this repository.

Not a mock: it goes through the same loader, network and cache as a real one.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from model.checkpoint.config import Capabilities, ModelConfig
from model.checkpoint.record import Checkpoint

SPECIAL_TOKENS = ["<|endoftext|>", "<mask>", "<infill>", "<eoi>", "<filename>"]
SINK, MASK, INFILL, EOI, FILENAME = range(5)


@lru_cache
def tiny_tokenizer(vocab_size: int = 512) -> Tokenizer:
    """Return a byte-level BPE of the SmolLM2 kind, trained on source files of this folder as they once were."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    # A frozen text: with one that grows, every test that draws with a seed would draw anew at every edit of a test.
    tokenizer.train([str(Path(__file__).parents[1] / "data" / "tiny_tokenizer.txt")], trainer)
    tokenizer.encode_special_tokens = True
    return tokenizer


def tiny_checkpoint(seed: int = 0, adapted: bool = True, scale: float = 0.3, **changes: object) -> Checkpoint:
    """Return a random two-layer Llama. `changes` replace fields of its ModelConfig."""
    tokenizer = tiny_tokenizer()
    fields: dict[str, object] = {
        "architecture": "llama",
        "layers": 2,
        "width": 48,
        "heads": 4,
        "kv_heads": 2,
        "head_dim": 16,
        "ffn_width": 64,
        "vocab_size": tokenizer.get_vocab_size(),
    }
    config = ModelConfig(**{**fields, **changes})  # type: ignore[arg-type]
    ids = {"mask_id": MASK, "infill_id": INFILL, "eoi_id": EOI} if adapted else {}
    capabilities = Capabilities(adapted=adapted, sink_id=SINK, filename_id=FILENAME, **ids)
    return Checkpoint("tiny", config, capabilities, tokenizer, random_tensors(config, seed, scale))


def random_tensors(config: ModelConfig, seed: int, scale: float) -> dict[str, torch.Tensor]:
    """Return random weights, large enough that every row and every visible slot matters to the logits."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator) * scale

    def norm(width: int) -> torch.Tensor:
        return 1 + 0.1 * torch.randn(width, generator=generator)

    queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim
    tensors = {"embed_tokens.weight": random(config.vocab_size, config.width) * 3, "norm.weight": norm(config.width)}
    if not config.tied_head:
        tensors["lm_head.weight"] = random(config.vocab_size, config.width)
    for index in range(config.layers):
        layer = f"layers.{index}."
        for name, rows, columns in (
            ("self_attn.q_proj", queries, config.width),
            ("self_attn.k_proj", keys, config.width),
            ("self_attn.v_proj", keys, config.width),
            ("self_attn.o_proj", config.width, queries),
            ("mlp.gate_proj", config.ffn_width, config.width),
            ("mlp.up_proj", config.ffn_width, config.width),
            ("mlp.down_proj", config.width, config.ffn_width),
        ):
            tensors[f"{layer}{name}.weight"] = random(rows, columns)
            attention_input = name in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
            if (
                (attention_input and config.qkv_bias)
                or (name == "self_attn.o_proj" and config.output_bias)
                or (name.startswith("mlp") and config.ffn_bias)
            ):
                tensors[f"{layer}{name}.bias"] = random(rows)
        tensors[f"{layer}input_layernorm.weight"] = norm(config.width)
        tensors[f"{layer}post_attention_layernorm.weight"] = norm(config.width)
        if config.qk_norm:
            tensors[f"{layer}self_attn.q_norm.weight"] = norm(config.head_dim)
            tensors[f"{layer}self_attn.k_norm.weight"] = norm(config.head_dim)
    return tensors
