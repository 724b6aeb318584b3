"""Scaling channels so that rows lose less when they are quantised (SmoothQuant, Xiao et al., arXiv 2211.10438).

A few channels of a network's rows are far larger than the others. A row is quantised between its least and its
greatest number, so these channels take most of the steps. Dividing a channel of the rows by a factor, and multiplying
the weights that read it by the same, changes no product, and brings the channels nearer to each other. The division
costs nothing: whatever made the rows takes it on:

    what reads                  takes the factors of its inputs from
    q_proj, k_proj, v_proj      the norm before it
    o_proj                      the value rows, one factor for the heads that share them
    gate_proj, up_proj          the norm before it
    down_proj                   the up rows
    the head                    the last norm

Knows weights and the network's shape; knows no quantiser and no text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from model.checkpoint.config import ModelConfig
from model.checkpoint.record import Checkpoint

STRENGTH = 0.5  # 0 leaves the rows as they are, 1 makes all channels alike and leaves the range to the weights

# What reads the rows that are called LAYER.NAME; the head reads those called HEAD.
_READERS = {
    "attention": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "output": ("self_attn.o_proj",),
    "ffn": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}
HEAD = "head"


def smoothing_factors(checkpoint: Checkpoint, greatest: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the factors for rows whose numbers were at most `greatest` in each channel, [inputs] float32 by name.

    They are s = greatest ** STRENGTH / |W| ** (1 - STRENGTH) (equation 4 of the paper), |W| the greatest weight that
    reads the channel, and divided by their own geometric mean.
    """
    factors = {}
    for name, maxima in greatest.items():
        weights = torch.stack([checkpoint.float_tensor(each).abs().amax(0) for each in _weights(checkpoint, name)])
        rows, columns = _by_value_row(checkpoint.config, name, maxima), weights.amax(0)
        columns = _by_value_row(checkpoint.config, name, columns)
        exact = rows.clamp_min(1e-5) ** STRENGTH / columns.clamp_min(1e-5) ** (1 - STRENGTH)
        factors[name] = exact / exact.log().mean().exp()
    return factors


def smoothed(checkpoint: Checkpoint, factors: Mapping[str, Tensor]) -> Checkpoint:
    """Return a checkpoint that computes the same as `checkpoint`, its channels scaled by `factors`."""
    config = replace(checkpoint.config, tied_head=False)  # the embedding is read as it is, the head's columns scaled
    return replace(checkpoint, config=config, tensors=_Smoothed(checkpoint, factors), smoothing=None)


class _Smoothed(Mapping[str, Tensor]):
    """The tensors of a checkpoint in float32, scaled as they are read."""

    def __init__(self, checkpoint: Checkpoint, factors: Mapping[str, Tensor]) -> None:
        self._checkpoint, self._factors = checkpoint, factors
        self._names = [*checkpoint.tensors]
        if checkpoint.config.tied_head:
            self._names.append("lm_head.weight")

    def __getitem__(self, name: str) -> Tensor:
        if name == "lm_head.weight":
            source = "embed_tokens.weight" if self._checkpoint.config.tied_head else name
            return self._checkpoint.float_tensor(source) * self._factors[HEAD]
        tensor = self._checkpoint.float_tensor(name)
        if name == "norm.weight":
            return tensor / self._factors[HEAD]
        return self._in_layer(name, tensor)

    def _in_layer(self, name: str, tensor: Tensor) -> Tensor:
        parts = name.split(".")
        if parts[0] != "layers":
            return tensor
        layer, part, kind = ".".join(parts[:2]), ".".join(parts[2:-1]), parts[-1]

        def factors(of: str) -> Tensor:
            return self._factors[f"{layer}.{of}"]

        if part in ("input_layernorm", "post_attention_layernorm"):
            return tensor / factors("attention" if part == "input_layernorm" else "ffn")
        if kind == "weight":
            for of, readers in _READERS.items():
                if part in readers:
                    tensor = tensor * _by_input(self._checkpoint.config, of, factors(of))
        made = {"self_attn.v_proj": "output", "mlp.up_proj": "down"}.get(part)
        if made:
            tensor = tensor / (factors(made)[:, None] if kind == "weight" else factors(made))
        return tensor

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _weights(checkpoint: Checkpoint, name: str) -> list[str]:
    if name == HEAD:
        return ["embed_tokens.weight" if checkpoint.config.tied_head else "lm_head.weight"]
    layer, _, of = name.rpartition(".")
    return [f"{layer}.{reader}.weight" for reader in _READERS[of]]


def _by_value_row(config: ModelConfig, name: str, numbers: Tensor) -> Tensor:
    """Return the greatest of `numbers` [inputs] for the channels that one factor scales."""
    if not name.endswith(".output"):
        return numbers
    return numbers.view(config.kv_heads, -1, config.head_dim).amax(1).flatten()


def _by_input(config: ModelConfig, name: str, factors: Tensor) -> Tensor:
    """Return the factor of each input [inputs] of what reads the rows called `name`."""
    if name != "output":
        return factors
    return factors.view(config.kv_heads, 1, -1).expand(-1, config.heads_per_kv_head, -1).flatten()
