"""The decoder network: Llama, Qwen2 and Qwen3 kinds under set-causal attention.

One forward takes any rows, clean or mask: each carries a token id, a position
id and what it may see. It writes their keys and values into the slots given and
returns logits for the rows that ask. Who may see whom is the caller's business:
this module knows no stacks, gaps or orders.

Dimensions: R rows of this forward, N slots visible to them, T width, H heads,
K key/value heads, G = H / K, D head_dim, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from model.checkpoint import Checkpoint
from model.config import ModelConfig
from model.kv_cache import KVCache
from model.linear import Linear, Precision, make_linear
from model.rope import RotaryEmbedding, rotate


@dataclass(frozen=True)
class Rows:
    """Rows to feed. They are written to slots [slot, slot + R) and see slots [see_begin, slot + R).

    `visible` [R, slot + R - see_begin] bool says which of these slots each row
    sees, itself included; None stands for plain causal order: all earlier slots.
    """

    token_ids: Tensor  # [R] int64
    position_ids: Tensor  # [R] int64
    slot: int
    see_begin: int
    see_end: int
    visible: Tensor | None = None


class Decoder:
    """A decoder with its weights in one precision."""

    def __init__(self, checkpoint: Checkpoint, precision: Precision) -> None:
        config = self.config = checkpoint.config
        self.precision = precision
        self.compute_dtype = torch.bfloat16 if precision is Precision.BFLOAT16 else torch.float32
        self.rope = RotaryEmbedding(config)
        self.embedding = checkpoint.float_tensor("embed_tokens.weight").to(self.compute_dtype)  # [V, T]
        self.layers = [_Layer(checkpoint, index, precision, self.compute_dtype) for index in range(config.layers)]
        self.final_norm = checkpoint.float_tensor("norm.weight").to(self.compute_dtype)
        head = "embed_tokens.weight" if config.tied_head else "lm_head.weight"
        self.head = _linear(checkpoint, [head], [], precision)

    def new_cache(self, right_slots: int, left_slots: int) -> KVCache:
        """Return an empty cache of this network's shape and precision."""
        return KVCache(self.config, self.cache_dtype, right_slots, left_slots)

    @property
    def cache_dtype(self) -> torch.dtype:
        return self.compute_dtype

    @torch.inference_mode()
    def forward(self, rows: Rows, cache: KVCache, logits_at: list[int] | None = None) -> Tensor | None:
        """Feed `rows`, write their keys and values, and return logits [len(logits_at), V] float32.

        With `logits_at` None the head is not run and None is returned.
        """
        count = rows.token_ids.shape[0]
        end = rows.slot + count
        assert rows.see_begin <= rows.slot and end <= rows.see_end <= cache.slots
        cache.position_ids[rows.slot : end] = rows.position_ids
        cos, sin = self.rope.cos_sin(rows.position_ids)
        groups = self.config.heads_per_kv_head
        mask = _attention_mask(rows, groups, self.compute_dtype)
        hidden = F.embedding(rows.token_ids, self.embedding)  # [R, T]
        for index, layer in enumerate(self.layers):
            hidden = layer.forward(hidden, cos, sin, mask, rows, cache, index)
        if logits_at is None:
            return None
        if logits_at != list(range(count)):
            hidden = hidden[logits_at]
        hidden = F.rms_norm(hidden, (self.config.width,), self.final_norm, self.config.norm_eps)
        return self.head(hidden).float()


class _Layer:
    def __init__(self, checkpoint: Checkpoint, index: int, precision: Precision, dtype: torch.dtype) -> None:
        self.config = config = checkpoint.config
        name = f"layers.{index}."

        def norm(suffix: str) -> Tensor:
            return checkpoint.float_tensor(name + suffix).to(dtype)

        def linear(*parts: str, bias: bool) -> Linear:
            weights = [f"{name}{part}.weight" for part in parts]
            return _linear(checkpoint, weights, [f"{name}{part}.bias" for part in parts] if bias else [], precision)

        self.attention_norm, self.ffn_norm = norm("input_layernorm.weight"), norm("post_attention_layernorm.weight")
        self.qkv = linear("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", bias=config.qkv_bias)
        self.output = linear("self_attn.o_proj", bias=config.output_bias)
        self.gate_up = linear("mlp.gate_proj", "mlp.up_proj", bias=config.ffn_bias)
        self.down = linear("mlp.down_proj", bias=config.ffn_bias)
        self.query_norm = norm("self_attn.q_norm.weight") if config.qk_norm else None
        self.key_norm = norm("self_attn.k_norm.weight") if config.qk_norm else None

    def forward(
        self, hidden: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None, rows: Rows, cache: KVCache, index: int
    ) -> Tensor:
        """One layer over `hidden` [R, T]."""
        config = self.config
        normed = F.rms_norm(hidden, (config.width,), self.attention_norm, config.norm_eps)
        hidden = hidden + self.output(self._attend(self.qkv(normed), cos, sin, mask, rows, cache, index))
        normed = F.rms_norm(hidden, (config.width,), self.ffn_norm, config.norm_eps)
        gate, up = self.gate_up(normed).chunk(2, -1)
        return hidden + self.down(F.silu(gate) * up)

    def _attend(
        self, qkv: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None, rows: Rows, cache: KVCache, index: int
    ) -> Tensor:
        config, count = self.config, qkv.shape[0]
        heads, kv_heads, dim = config.heads, config.kv_heads, config.head_dim
        query, key, value = qkv.view(count, heads + 2 * kv_heads, dim).transpose(0, 1).split((heads, kv_heads, kv_heads))
        if self.query_norm is not None and self.key_norm is not None:
            query = F.rms_norm(query, (dim,), self.query_norm, config.norm_eps)
            key = F.rms_norm(key, (dim,), self.key_norm, config.norm_eps)
        key = key.to(cache.dtype)  # rounded as stored, so that a row and its shifted copy are alike
        slots = slice(rows.slot, rows.slot + count)
        if slots.start < cache.left_begin:
            cache.unrotated_keys[index, :, slots] = key
        cache.keys[index, :, slots] = rotate(key.float(), cos, sin)
        cache.values[index, :, slots] = value
        # Query heads that share a key head become further rows of it: [K, G * R, D].
        query = rotate(query.float(), cos, sin).to(cache.dtype).reshape(1, kv_heads, -1, dim)
        seen = slice(rows.see_begin, rows.see_end)
        attended = F.scaled_dot_product_attention(
            query, cache.keys[None, index, :, seen], cache.values[None, index, :, seen], attn_mask=mask
        )
        return attended.view(heads, count, dim).transpose(0, 1).reshape(count, heads * dim).to(qkv.dtype)


def _attention_mask(rows: Rows, groups: int, dtype: torch.dtype) -> Tensor | None:
    """Return the additive mask [G * R, N] of `rows`, or None if they see everything."""
    visible = rows.visible
    if visible is None:
        count, span = rows.token_ids.shape[0], rows.see_end - rows.see_begin
        if count == 1 and rows.see_end == rows.slot + 1:
            return None
        slots = torch.arange(span)
        visible = slots <= torch.arange(rows.slot - rows.see_begin, rows.slot - rows.see_begin + count)[:, None]
    mask = torch.zeros(visible.shape, dtype=dtype).masked_fill_(~visible, float("-inf"))
    return mask.repeat(groups, 1)


def _linear(checkpoint: Checkpoint, weights: list[str], biases: list[str], precision: Precision) -> Linear:
    weight = torch.cat([checkpoint.float_tensor(name) for name in weights])
    bias = torch.cat([checkpoint.float_tensor(name) for name in biases]) if biases else None
    return make_linear(weight, bias, precision)
