"""The slow, obvious way: every row of a sequence at once, visibility as one full matrix, no cache.

Written without the network, cache, window or rotary code of the package, so
that a mistake there cannot hide here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from model.checkpoint.record import Checkpoint


@dataclass
class RowList:
    """Rows with a token id, a position id and the indices of the rows each sees."""

    token_ids: list[int] = field(default_factory=list)
    position_ids: list[int] = field(default_factory=list)
    sees: list[list[int]] = field(default_factory=list)

    def add(self, token_id: int, position_id: int, sees: list[int]) -> int:
        """Add a row that sees itself and the rows `sees`; return its index."""
        index = len(self.token_ids)
        self.token_ids.append(token_id)
        self.position_ids.append(position_id)
        self.sees.append([*sees, index])
        return index

    def add_chain(self, token_ids: list[int], first_position_id: int, sees: list[int]) -> list[int]:
        """Add rows that see `sees` and the rows of the chain before them; return their indices."""
        chain: list[int] = []
        for token_id in token_ids:
            chain.append(self.add(token_id, first_position_id + len(chain), sees + chain))
        return chain


def dense_logits(checkpoint: Checkpoint, rows: RowList) -> Tensor:
    """Return the logits [R, V] of all rows in float64, one dense attention per layer and head."""
    config = checkpoint.config
    tensors = {name: checkpoint.float_tensor(name).double() for name in checkpoint.tensors if ".scale" not in name}
    count = len(rows.token_ids)
    visible = torch.zeros(count, count, dtype=torch.bool)
    for row, seen in enumerate(rows.sees):
        visible[row, seen] = True
    hidden = tensors["embed_tokens.weight"][rows.token_ids]
    for index in range(config.layers):
        layer = f"layers.{index}."

        def linear(name: str, x: Tensor, layer: str = layer) -> Tensor:
            y = x @ tensors[f"{layer}{name}.weight"].T
            return y + tensors[f"{layer}{name}.bias"] if f"{layer}{name}.bias" in tensors else y

        normed = _rms_norm(hidden, tensors[layer + "input_layernorm.weight"], config.norm_eps)
        heads = []
        for head in range(config.heads):
            kv_head = head // (config.heads // config.kv_heads)
            query = _head(linear("self_attn.q_proj", normed), head, config.head_dim)
            key = _head(linear("self_attn.k_proj", normed), kv_head, config.head_dim)
            value = _head(linear("self_attn.v_proj", normed), kv_head, config.head_dim)
            if config.qk_norm:
                query = _rms_norm(query, tensors[layer + "self_attn.q_norm.weight"], config.norm_eps)
                key = _rms_norm(key, tensors[layer + "self_attn.k_norm.weight"], config.norm_eps)
            query = _rotate(query, rows.position_ids, config.rope_base)
            key = _rotate(key, rows.position_ids, config.rope_base)
            scores = (query @ key.T / math.sqrt(config.head_dim)).masked_fill(~visible, -torch.inf)
            heads.append(scores.softmax(-1) @ value)
        hidden = hidden + linear("self_attn.o_proj", torch.cat(heads, -1))
        normed = _rms_norm(hidden, tensors[layer + "post_attention_layernorm.weight"], config.norm_eps)
        gate, up = linear("mlp.gate_proj", normed), linear("mlp.up_proj", normed)
        hidden = hidden + linear("mlp.down_proj", torch.nn.functional.silu(gate) * up)
    hidden = _rms_norm(hidden, tensors["norm.weight"], config.norm_eps)
    return hidden @ tensors["embed_tokens.weight" if config.tied_head else "lm_head.weight"].T


def _head(x: Tensor, head: int, dim: int) -> Tensor:
    return x[:, head * dim : (head + 1) * dim]


def _rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return x / (x.pow(2).mean(-1, keepdim=True) + eps).sqrt() * weight


def _rotate(x: Tensor, position_ids: list[int], base: float) -> Tensor:
    """Turn pair (i, i + D/2) of row r as a complex number by position_ids[r] * base ** (-2i / D)."""
    half = x.shape[1] // 2
    pairs = torch.complex(x[:, :half], x[:, half:])
    frequencies = base ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = torch.tensor(position_ids, dtype=torch.float64)[:, None] * frequencies
    turned = pairs * torch.polar(torch.ones_like(angles), angles)
    return torch.cat((turned.real, turned.imag), -1)
