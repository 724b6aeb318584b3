"""The decoder network: Llama, Qwen2, Qwen3, Granite and Starcoder2 kinds under set-causal attention.

One forward takes any rows, clean or mask: each carries a token id, a position
id and what it may see. It writes their keys and values into the slots given and
returns logits for the rows that ask. Who may see whom is the caller's business:
this module knows no stacks, gaps or orders.

Dimensions: R rows of this forward, N slots visible to them, T width, H heads,
K key/value heads, G = H / K, D head_dim, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from model.checkpoint.record import Checkpoint
from model.errors import Cancelled
from model.network.attention import additive_mask, attend, padded_slots
from model.network.kv_cache import KVCache, LayerViews
from model.network.linear import Linear, Precision, cache_dtype, has_7_bits, make_linear
from model.network.rope import RotaryEmbedding, rotate
from model.network.smoothing import smoothed
from model.network.threads import ThreadChoice

Rotation = tuple[Tensor, Tensor]  # cos and sin of the rows' angles


@dataclass(frozen=True)
class Rows:
    """Rows to feed. They are written to slots [slot, slot + R) and see some of the slots [see_begin, see_end).

    `visible` [R, see_end - see_begin] bool says which of these each row sees,
    itself included; None stands for plain causal order: all earlier slots.
    """

    token_ids: Tensor  # [R] int64
    position_ids: Tensor  # [R] int64
    slot: int
    see_begin: int
    see_end: int
    visible: Tensor | None = None


def rows_at(
    slot: int, see_begin: int, token_ids: Sequence[int], position_ids: Sequence[int], visible: Tensor | None = None
) -> Rows:
    """Return rows for slots from `slot` on that see no slot behind `visible`, or behind themselves if that is None."""
    see_end = slot + len(token_ids) if visible is None else see_begin + visible.shape[1]
    return Rows(torch.tensor(token_ids), torch.tensor(position_ids), slot, see_begin, see_end, visible)


class Decoder:
    """A decoder with its weights in one precision."""

    def __init__(self, checkpoint: Checkpoint, precision: Precision) -> None:
        config = self.config = checkpoint.config
        self.precision = precision
        if has_7_bits(precision) and checkpoint.smoothing:  # rows of 8 bits gain nothing by it
            checkpoint = smoothed(checkpoint, checkpoint.smoothing)
        # Only where the number of threads was found to change no bit: float32 attention between exact sums.
        self._threads = ThreadChoice() if has_7_bits(precision) else None
        # Rows are float32 throughout: element-wise calls on a few of them cost no more than in bfloat16.
        self.cache_dtype = cache_dtype(precision)
        self.rope = RotaryEmbedding(config)
        # Granite's factors are multiplied into the weights: a forward knows nothing of them.
        embedding = checkpoint.float_tensor("embed_tokens.weight") * config.embedding_scale
        self.embedding = embedding.to(self.cache_dtype)  # [V, T]
        self.layers = [_Layer(checkpoint, index, precision) for index in range(config.layers)]
        self.final_norm = _norm(checkpoint, "norm")
        head = "embed_tokens.weight" if checkpoint.config.tied_head else "lm_head.weight"
        self.head = _linear(checkpoint, [head], [], precision, config.logits_scale)
        self._interrupted: Callable[[], bool] = lambda: False

    def new_cache(self, right_slots: int, left_slots: int) -> KVCache:
        """Return an empty cache of this network's shape and precision."""
        return KVCache(self.config, self.cache_dtype, right_slots, left_slots)

    @contextmanager
    def interruptible(self, interrupted: Callable[[], bool]) -> Iterator[None]:
        """Have forwards within look before each layer whether to end there, by Cancelled.

        What such a one has written is beyond what the cache counts, as are all rows until they are pushed. For decodes:
        rows of text that was encoded in vain would have been of use to whoever asks next.
        """
        before, self._interrupted = self._interrupted, interrupted
        try:
            yield
        finally:
            self._interrupted = before

    def forward(self, rows: Rows, cache: KVCache, logits_at: list[int] | None = None) -> Tensor | None:
        """Feed `rows`, write their keys and values, and return logits [len(logits_at), V] float32.

        With `logits_at` None the head is not run and None is returned. Raises Cancelled within `interruptible`.
        """
        if self._threads is None:
            return self._forward(rows, cache, logits_at)
        with self._threads.for_rows(rows.token_ids.shape[0]):
            return self._forward(rows, cache, logits_at)

    @torch.inference_mode()
    def _forward(self, rows: Rows, cache: KVCache, logits_at: list[int] | None) -> Tensor | None:
        count = rows.token_ids.shape[0]
        end = rows.slot + count
        assert rows.see_begin <= rows.slot
        assert end <= rows.see_end <= cache.slots
        cache.position_ids[rows.slot : end] = rows.position_ids
        rotation = self.rope.cos_sin(rows.position_ids)
        span = padded_slots(rows.see_end - rows.see_begin)
        mask = additive_mask(_visible(rows), self.config.heads_per_kv_head, span, self.cache_dtype)
        hidden = F.embedding(rows.token_ids, self.embedding).float()  # [R, T]
        for layer, views in zip(self.layers, cache.views(rows.slot, count, rows.see_begin, span), strict=True):
            if self._interrupted():
                raise Cancelled("the request was withdrawn in the middle of a forward")
            layer.forward(hidden, rotation, mask, views)
        if logits_at is None:
            return None
        if logits_at != list(range(count)):
            hidden = hidden[logits_at]
        return self.head(self.final_norm(hidden))


class _Layer:
    def __init__(self, checkpoint: Checkpoint, index: int, precision: Precision) -> None:
        self.config = config = checkpoint.config
        name = f"layers.{index}."

        def linear(*parts: str, bias: bool, scale: float = 1.0) -> Linear:
            weights = [f"{name}{part}.weight" for part in parts]
            biases = [f"{name}{part}.bias" for part in parts] if bias else []
            return _linear(checkpoint, weights, biases, precision, scale)

        self.attention_norm = _norm(checkpoint, name + "input_layernorm")
        self.ffn_norm = _norm(checkpoint, name + "post_attention_layernorm")
        self.qkv = linear("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", bias=config.qkv_bias)
        self.output = linear("self_attn.o_proj", bias=config.output_bias, scale=config.residual_scale)
        gate = ["mlp.gate_proj"] if config.gated_ffn else []
        self.gate_up = linear(*gate, "mlp.up_proj", bias=config.ffn_bias)
        self.down = linear("mlp.down_proj", bias=config.ffn_bias, scale=config.residual_scale)
        self.query_norm = _norm(checkpoint, name + "self_attn.q_norm") if config.qk_norm else None
        self.key_norm = _norm(checkpoint, name + "self_attn.k_norm") if config.qk_norm else None
        self._score_scale = config.attention_scale or config.head_dim**-0.5

    def forward(self, hidden: Tensor, rotation: Rotation, mask: Tensor, views: LayerViews) -> None:
        """Make of `hidden` [R, T] what this layer makes of it, in place."""
        hidden += self.output(self._attend(self.qkv(self.attention_norm(hidden)), rotation, mask, views))
        widened = self.gate_up(self.ffn_norm(hidden))
        if self.config.gated_ffn:
            gate, up = widened.chunk(2, -1)
            hidden += self.down(F.silu(gate).mul_(up))
        else:
            hidden += self.down(F.gelu(widened, approximate="tanh"))

    def _attend(self, qkv: Tensor, rotation: Rotation, mask: Tensor, views: LayerViews) -> Tensor:
        config, count, dtype = self.config, qkv.shape[0], views.keys.dtype
        heads, kv_heads, dim = config.heads, config.kv_heads, config.head_dim
        by_head = qkv.view(count, heads + 2 * kv_heads, dim).transpose(0, 1)
        query_key, value = by_head.split((heads + kv_heads, kv_heads))
        if self.query_norm is not None and self.key_norm is not None:
            query_key = torch.cat((self.query_norm(query_key[:heads]), self.key_norm(query_key[heads:])))
        query_key = query_key.to(dtype)  # rounded as stored, so that a row and its shifted copy are alike
        query, key = rotate(query_key, *rotation).split((heads, kv_heads))  # float32
        if views.unrotated_keys is not None:
            views.unrotated_keys.copy_(query_key[heads:])
        views.keys.copy_(key)
        views.values.copy_(value)
        # Query heads that share a key head become further rows of it: [K, G * R, D].
        query = query.to(dtype).reshape(kv_heads, -1, dim)
        attended = attend(query, views.seen_keys, views.seen_values, mask, self._score_scale)
        return attended.reshape(heads, count, dim).transpose(0, 1).reshape(count, heads * dim)


class _RMSNorm:
    """x / sqrt(mean(x**2) + eps) * weight over the last dimension, in half the time of F.rms_norm's many steps.

    With n features, sqrt(mean(x**2) + eps) = hypot(|x|, sqrt(n * eps)) / sqrt(n).
    """

    def __init__(self, weight: Tensor, eps: float) -> None:
        features = weight.shape[0]
        self._weight = weight * math.sqrt(features)
        self._floor = torch.tensor(math.sqrt(features * eps))

    def __call__(self, x: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(x, 2, -1, keepdim=True)
        return (x / torch.hypot(length, self._floor)).mul_(self._weight)


class _LayerNorm:
    """(x - mean(x)) / sqrt(var(x) + eps) * weight + bias over the last dimension."""

    def __init__(self, weight: Tensor, bias: Tensor, eps: float) -> None:
        self._weight, self._bias, self._eps = weight, bias, eps

    def __call__(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self._weight.shape, self._weight, self._bias, self._eps)


def _norm(checkpoint: Checkpoint, name: str) -> _RMSNorm | _LayerNorm:
    weight, config = checkpoint.float_tensor(f"{name}.weight"), checkpoint.config
    if config.layer_norm:
        return _LayerNorm(weight, checkpoint.float_tensor(f"{name}.bias"), config.norm_eps)
    return _RMSNorm(weight, config.norm_eps)


def _visible(rows: Rows) -> Tensor:
    """Return which of the slots from `see_begin` to `see_end` each of `rows` sees: [R, S] bool."""
    if rows.visible is not None:
        return rows.visible
    first = rows.slot - rows.see_begin
    last = torch.arange(first, first + rows.token_ids.shape[0])
    return torch.arange(rows.see_end - rows.see_begin) <= last[:, None]


def _linear(
    checkpoint: Checkpoint, weights: list[str], biases: list[str], precision: Precision, scale: float = 1.0
) -> Linear:
    """Return the linear layer of all `weights` beside each other, its outputs multiplied by `scale`."""
    weight = torch.cat([checkpoint.float_tensor(name) for name in weights])
    bias = torch.cat([checkpoint.float_tensor(name) for name in biases]) if biases else None
    if scale != 1:
        weight, bias = weight * scale, None if bias is None else bias * scale
    return make_linear(weight, bias, precision)
