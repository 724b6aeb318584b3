"""The decoder of `model.network.decoder` once more, for training: all rows at once, differentiable, without a cache.

Parameters carry the names of a checkpoint's tensors, so weights go over without
translation. Master weights are float32; the matrices are cast to the compute
dtype where they are used, norms, rotary angles and the loss stay in float32.

Dimensions: B units, R rows of each, T width, H heads, K key/value heads,
D head_dim, N target rows, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.checkpoint.config import ModelConfig
from model.errors import InputError
from model.network.rope import RotaryEmbedding, rotate
from model.training.visibility import MaskedRows

# A dense bool mask [B, R, R], for each unit its `MaskedRows`, or a FlexAttention BlockMask.
AttentionMask = Any


class TrainerNetwork(nn.Module):
    """Llama, Qwen2 or Qwen3 under any visibility."""

    def __init__(self, config: ModelConfig, tensors: Mapping[str, Tensor], compute_dtype: torch.dtype) -> None:
        """Take copies of `tensors`, named as in a checkpoint, as float32 parameters.

        Raises InputError for an architecture that is run but not trained.
        """
        super().__init__()
        if config.architecture in ("granite", "starcoder2"):
            raise InputError(
                f"{config.architecture} models cannot be trained: start from a Llama, Qwen2 or Qwen3 model"
            )
        self.config, self.compute_dtype = config, compute_dtype
        self.embed_tokens = nn.Embedding(config.vocab_size, config.width)
        self.layers = nn.ModuleList(TrainerLayer(config) for _ in range(config.layers))
        self.norm = nn.RMSNorm(config.width, config.norm_eps)
        if not config.tied_head:
            self.lm_head = nn.Linear(config.width, config.vocab_size, bias=False)
        self.load_state_dict({name: tensors[name].float() for name in self.state_dict()})
        self.rope: RotaryEmbedding | None = None

    @property
    def head_weight(self) -> Tensor:  # [V, T]
        return self.embed_tokens.weight if self.config.tied_head else self.lm_head.weight

    def forward(self, token_ids: Tensor, position_ids: Tensor, mask: AttentionMask) -> Tensor:
        """Return the normed hidden states [B, R, T] of the rows, in the compute dtype; the head is the loss's.

        `token_ids` and `position_ids` are [B, R] int64.
        """
        units, rows = token_ids.shape
        if self.rope is None:  # made late, on the device the weights were moved to
            self.rope = RotaryEmbedding(self.config, token_ids.device)
        cos, sin = self.rope.cos_sin(position_ids.flatten())
        cos, sin = (angles.view(units, 1, rows, -1) for angles in (cos, sin))
        hidden = self.embed_tokens(token_ids).to(self.compute_dtype)
        for layer in self.layers:
            hidden = layer(hidden, cos, sin, mask)
        return _rms_norm(hidden, self.norm)

    def compile_layers(self) -> None:
        """Compile each layer by itself: all have one shape, so this compiles once, and quickly."""
        for layer in self.layers:
            layer.compile(dynamic=False)


class TrainerLayer(nn.Module):
    """One decoder layer."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.self_attn = TrainerAttention(config)
        self.mlp = TrainerFeedForward(config)
        self.input_layernorm = nn.RMSNorm(config.width, config.norm_eps)
        self.post_attention_layernorm = nn.RMSNorm(config.width, config.norm_eps)

    def forward(self, hidden: Tensor, cos: Tensor, sin: Tensor, mask: AttentionMask) -> Tensor:
        """One layer over `hidden` [B, R, T]; cos and sin [B, 1, R, D]."""
        hidden = hidden + self.self_attn(_rms_norm(hidden, self.input_layernorm), cos, sin, mask)
        return hidden + self.mlp(_rms_norm(hidden, self.post_attention_layernorm))


class TrainerAttention(nn.Module):
    """Attention with rotary positions and shared key heads."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim
        self.q_proj = nn.Linear(config.width, queries, bias=config.qkv_bias)
        self.k_proj = nn.Linear(config.width, keys, bias=config.qkv_bias)
        self.v_proj = nn.Linear(config.width, keys, bias=config.qkv_bias)
        self.o_proj = nn.Linear(queries, config.width, bias=config.output_bias)
        if config.qk_norm:
            self.q_norm = nn.RMSNorm(config.head_dim, config.norm_eps)
            self.k_norm = nn.RMSNorm(config.head_dim, config.norm_eps)

    def forward(self, normed: Tensor, cos: Tensor, sin: Tensor, mask: AttentionMask) -> Tensor:
        config, (units, rows, _) = self.config, normed.shape
        qkv = _linear(normed, self.q_proj, self.k_proj, self.v_proj)
        heads = qkv.view(units, rows, -1, config.head_dim).transpose(1, 2)
        query, key, value = heads.split((config.heads, config.kv_heads, config.kv_heads), 1)
        if config.qk_norm:
            query, key = _rms_norm(query, self.q_norm), _rms_norm(key, self.k_norm)
        query = rotate(query.float(), cos, sin).to(value.dtype)
        key = rotate(key.float(), cos, sin).to(value.dtype)
        attended = attend(query, key, value, mask)
        return _linear(attended.transpose(1, 2).reshape(units, rows, -1), self.o_proj)


class TrainerFeedForward(nn.Module):
    """The gated feed-forward part (SwiGLU)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.width, config.ffn_width, bias=config.ffn_bias)
        self.up_proj = nn.Linear(config.width, config.ffn_width, bias=config.ffn_bias)
        self.down_proj = nn.Linear(config.ffn_width, config.width, bias=config.ffn_bias)

    def forward(self, normed: Tensor) -> Tensor:
        gate, up = _linear(normed, self.gate_proj, self.up_proj).chunk(2, -1)
        return _linear(F.silu(gate) * up, self.down_proj)


def attend(query: Tensor, key: Tensor, value: Tensor, mask: AttentionMask) -> Tensor:
    """Return the attended values [B, H, R, D] for query [B, H, R, D], key and value [B, K, R, D]."""
    if isinstance(mask, list):
        return torch.stack([_attend_in_parts(*heads) for heads in zip(query, key, value, mask, strict=True)])
    if not isinstance(mask, Tensor):
        from torch.nn.attention.flex_attention import flex_attention

        attended = flex_attention(query, key, value.contiguous(), block_mask=mask, enable_gqa=True)
        assert isinstance(attended, Tensor)
        return attended
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None])


def _attend_in_parts(query: Tensor, key: Tensor, value: Tensor, parts: list[MaskedRows]) -> Tensor:
    """Return the attended values [H, R, D] of one unit, some rows at a time, each against the keys they see.

    On a CPU three times as fast, forward and backward, as SDPA with a dense mask.
    """
    kv_heads, head_dim = key.shape[0], key.shape[2]
    attended = []
    for part in parts:
        keys, values = key[:, part.keys], value[:, part.keys]
        # The heads that share a key head stand one below the other: [K, H / K * rows, D].
        rows = query[:, part.rows].reshape(kv_heads, -1, head_dim)
        bias = part.bias.repeat(rows.shape[1] // len(part.bias), 1).expand(kv_heads, -1, -1)
        scores = torch.baddbmm(bias, rows, keys.transpose(1, 2), alpha=head_dim**-0.5)
        attended.append((scores.softmax(-1) @ values).view(query.shape[0], -1, head_dim))
    return torch.cat(attended, 1)


def _linear(x: Tensor, *parts: nn.Linear) -> Tensor:
    """Apply `parts` side by side as one matrix, in the dtype of `x`."""
    weight = torch.cat([part.weight for part in parts]) if len(parts) > 1 else parts[0].weight
    bias = None
    if parts[0].bias is not None:
        bias = torch.cat([part.bias for part in parts]).to(x.dtype)
    return F.linear(x, weight.to(x.dtype), bias)


def _rms_norm(x: Tensor, norm: nn.RMSNorm) -> Tensor:
    return F.rms_norm(x, norm.normalized_shape, norm.weight.to(x.dtype), norm.eps)
