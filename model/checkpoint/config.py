"""What a checkpoint says of itself: the network's shape and what the model can do.

Knows no tensors and imports no torch.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

ARCHITECTURES = ("llama", "qwen2", "qwen3", "granite", "starcoder2")


@dataclass(frozen=True)
class RopeScaling:
    """How the rotary frequencies are changed for long contexts.

    `kind` is `linear`, `llama3` or `yarn`; the other fields have the names and
    meanings of Hugging Face's `rope_scaling` entry.
    """

    kind: str
    factor: float = 1.0
    original_context: int = 8192
    low_freq_factor: float = 1.0  # llama3
    high_freq_factor: float = 4.0  # llama3
    beta_fast: float = 32.0  # yarn
    beta_slow: float = 1.0  # yarn
    attention_factor: float | None = None  # yarn; None: 0.1 ln(factor) + 1


@dataclass(frozen=True)
class ModelConfig:
    """The shape of a decoder of one of `ARCHITECTURES`. Lengths are in rows or features."""

    architecture: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn_width: int
    vocab_size: int
    context_length: int = 8192
    rope_base: float = 10000.0
    rope_scaling: RopeScaling | None = None
    norm_eps: float = 1e-5
    tied_head: bool = True
    qkv_bias: bool = False  # Qwen2
    output_bias: bool = False  # attention output projection
    ffn_bias: bool = False
    qk_norm: bool = False  # Qwen3: RMSNorm over head_dim before RoPE
    layer_norm: bool = False  # Starcoder2: LayerNorm with a bias, not RMSNorm
    gated_ffn: bool = True  # Starcoder2 has none: down(gelu(up(x))), not down(silu(gate(x)) * up(x))
    embedding_scale: float = 1.0  # Granite, as are the next three: what embeddings are multiplied by
    attention_scale: float | None = None  # products of queries and keys; None: head_dim ** -0.5
    residual_scale: float = 1.0  # what a layer's two halves add to its rows
    logits_scale: float = 1.0

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise ValueError(f"unsupported architecture {self.architecture!r}: expected one of {ARCHITECTURES}")
        if self.heads % self.kv_heads:
            raise ValueError(f"{self.heads} heads do not divide into {self.kv_heads} key/value heads")
        if self.head_dim % 2:
            raise ValueError(f"head_dim {self.head_dim} is odd: rotary embeddings need pairs")

    @property
    def heads_per_kv_head(self) -> int:
        return self.heads // self.kv_heads

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ModelConfig:
        scaling = data.get("rope_scaling")
        return cls(**{**data, "rope_scaling": RopeScaling(**scaling) if scaling else None})


@dataclass(frozen=True)
class Capabilities:
    """What the checkpoint was trained for, and the token ids it uses for it.

    Where it was not `adapted` and knows no `fim`, only `sink_id` is needed: such
    a model fills left to right from the prefix alone. Ids a model lacks are None.
    """

    adapted: bool = False  # to set-causal infilling: knows mask rows, sees the suffix, stops by itself
    sink_id: int = 0  # <|endoftext|>, the first row of every island
    filename_id: int | None = None  # <filename>, opens the header that names the file
    mask_id: int | None = None
    infill_id: int | None = None
    eoi_id: int | None = None
    window: int = 8192  # rows the model was adapted to, islands and gap included
    fim: str | None = None  # how it was trained to fill in the middle, by name in `fim_formats`; not if adapted
    begin_id: int | None = None  # what its tokenizer puts before every text, where that is something

    def __post_init__(self) -> None:
        if self.adapted and None in (self.mask_id, self.infill_id, self.eoi_id):
            raise ValueError("an adapted model needs mask_id, infill_id and eoi_id")
        if self.adapted and self.fim:
            raise ValueError("a model is adapted or fills in the middle by markers, not both")

    @property
    def sees_suffix(self) -> bool:
        """Whether the model knows what stands behind a gap, and ends an infill by itself."""
        return self.adapted or self.fim is not None

    def to_dict(self) -> dict[str, Any]:
        """Return what setfill.json says; `adapted` is called `infill` there, as in the first weights that shipped."""
        return {"infill" if name == "adapted" else name: value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Capabilities:
        return cls(**{"adapted" if name == "infill" else name: value for name, value in data.items()})
