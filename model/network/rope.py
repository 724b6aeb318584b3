"""Rotary position embedding (RoPE, arXiv 2104.09864), in the rotate-half layout of Hugging Face.

Angles are computed in float64 from integer position ids, negative ones
included, so that a key rotated from its un-rotated form is the same whatever
positions it stood at before.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from model.checkpoint.config import ModelConfig, RopeScaling


class RotaryEmbedding:
    """Cosines and sines for any position id of one model."""

    def __init__(self, config: ModelConfig, device: torch.device | str = "cpu") -> None:
        self._frequencies = _frequencies(config).to(device)  # [D/2] float64, radians per position
        self._magnitude = _magnitude(config.rope_scaling)

    def cos_sin(self, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return cos and sin for `position_ids` [R] int64, each [R, D] float32."""
        angles = position_ids.to(torch.float64)[:, None] * self._frequencies  # [R, D/2]
        cos = angles.cos().mul_(self._magnitude).to(torch.float32)
        sin = angles.sin().mul_(self._magnitude).to(torch.float32)
        return torch.cat((cos, cos), -1), torch.cat((-sin, sin), -1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate `x` [..., R, D] by the angles of `RotaryEmbedding.cos_sin`; result float32.

    `sin` carries the sign of rotate-half, so that swapping the halves is enough.
    """
    half = x.shape[-1] // 2
    return torch.addcmul(x * cos, x.roll(half, -1), sin)


def _frequencies(config: ModelConfig) -> Tensor:
    exponents = torch.arange(0, config.head_dim, 2, dtype=torch.float64) / config.head_dim
    plain = config.rope_base**-exponents
    scaling = config.rope_scaling
    if scaling is None:
        return plain
    match scaling.kind:
        case "linear":
            return plain / scaling.factor
        case "llama3":
            return _llama3_frequencies(plain, scaling)
        case "yarn":
            return _yarn_frequencies(plain, config, scaling)
        case kind:
            raise ValueError(f"unsupported rope scaling {kind!r}: expected linear, llama3 or yarn")


def _llama3_frequencies(plain: Tensor, scaling: RopeScaling) -> Tensor:
    """Llama 3.1: long waves are slowed by `factor`, short ones kept, those between blended."""
    waves_in_context = scaling.original_context * plain / (2 * math.pi)
    blend = (waves_in_context - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor)
    blend = blend.clamp(0, 1)
    return plain * blend + plain / scaling.factor * (1 - blend)


def _yarn_frequencies(plain: Tensor, config: ModelConfig, scaling: RopeScaling) -> Tensor:
    """YaRN (arXiv 2309.00071), section 3.2: interpolate the pairs that turn less than `beta_slow` times."""

    def pair_of(turns: float) -> float:
        base = math.log(config.rope_base)
        return config.head_dim * math.log(scaling.original_context / (turns * 2 * math.pi)) / (2 * base)

    pairs = plain.shape[0]
    low = max(math.floor(pair_of(scaling.beta_fast)), 0)
    high = min(math.ceil(pair_of(scaling.beta_slow)), config.head_dim - 1)
    ramp = ((torch.arange(pairs, dtype=torch.float64) - low) / max(high - low, 1e-3)).clamp(0, 1)
    return plain * (1 - ramp) + plain / scaling.factor * ramp


def _magnitude(scaling: RopeScaling | None) -> float:
    if scaling is None or scaling.kind != "yarn":
        return 1.0
    if scaling.attention_factor is not None:
        return scaling.attention_factor
    return 0.1 * math.log(scaling.factor) + 1.0 if scaling.factor > 1 else 1.0
