"""Linear layers in three precisions, as fast as PyTorch runs them without a compiler.

Each takes float32 rows and returns float32 rows: at the few rows of an infill the
element-wise work between products is mostly the cost of calling it, and float32
is the type it is cheapest in. Knows weights and rows, no network.

A row's result does not depend on the rows beside it. In int8 that is exact:
rows are quantised one by one, products are summed in integers, and what follows
is element-wise. In float32 and bfloat16 the order of a sum may depend on the
number of rows, so results agree to rounding.

Dimensions: R rows, I inputs, O outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from model.errors import InputError

Linear = Callable[[Tensor], Tensor]  # [R, I] float32 -> [R, O] float32


class Precision(StrEnum):
    """The type of weights and products. Attention and element-wise work are not its business."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    INT8 = "int8"  # weights per output, activations per row


def make_linear(weight: Tensor, bias: Tensor | None, precision: Precision) -> Linear:
    """Return x -> x @ weight.T + bias for a float `weight` [O, I], which is packed and not kept.

    Runs on the weight's device. Off the CPU nothing is packed, and int8 is slow.
    """
    if precision is Precision.INT8:
        quantised = _Int8Linear(*quantise_weight(weight), bias)
        return _of_few_sizes(quantised) if quantised.is_packed else quantised
    dtype = torch.bfloat16 if precision is Precision.BFLOAT16 else torch.float32
    if weight.device.type == "cpu" and _packs(dtype):
        return _of_few_sizes(_PackedLinear(weight, bias, dtype))
    return _PlainLinear(weight, bias, dtype)


def choose_precision(name: str | None) -> tuple[Precision, str]:
    """Return the precision called `name`, or the best one here, and why. Raises InputError for an unknown name."""
    if name is None:
        return best_precision()
    if name not in tuple(Precision):
        raise InputError(f"unknown precision {name!r}: choose one of {', '.join(Precision)}")
    return Precision(name), "asked for"


def best_precision(device: str = "cpu") -> tuple[Precision, str]:
    """Return the precision for this machine, and why: int8 where it is native, else bfloat16, else float32.

    int8 products are sums of integers, so a row comes out the same whatever
    rows are beside it, and logits are float32. bfloat16 loses less of the model
    (nothing that can be measured, against 0.03 nats), but rounds logits to
    steps of an eighth: ties, which verified decoding may break another way.
    """
    if torch.device(device).type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        if native:
            return Precision.BFLOAT16, "the GPU multiplies bfloat16"
        return Precision.FLOAT32, "the GPU does not multiply bfloat16"
    if torch.device(device).type == "cpu":
        if _sums_int8_exactly():
            return Precision.INT8, "the CPU multiplies int8 (VNNI)"
        if any(_cpu_features().get(name) for name in ("avx512_bf16", "amx_bf16", "bf16")) and _packs(torch.bfloat16):
            return Precision.BFLOAT16, "the CPU multiplies bfloat16 but not int8"
    return Precision.FLOAT32, f"no int8 or bfloat16 instructions are known of this {torch.device(device).type.upper()}"


# -- quantisation -----------------------------------------------------------------------------


@dataclass(frozen=True)
class QuantisedRows:
    """Rows x = minimum + scale * levels, each with its own minimum and scale."""

    levels: Tensor  # [R, I] uint8
    scale: Tensor  # [R, 1] float32
    minimum: Tensor  # [R, 1] float32


def quantise_rows(rows: Tensor) -> QuantisedRows:
    """Quantise `rows` [R, I] float32 to 255 steps between each row's minimum and maximum.

    Rows narrower than 1e-8 come out near their minimum; a row with an infinity
    comes out as NaN and spoils no other. NaN itself is not looked for.
    """
    if rows.device.type != "cpu" or not _has("quantized", "embedding_bag_byte_prepack"):
        return _quantise_rows_plainly(rows)
    # Meant for embedding tables and the only single call that quantises by row. It
    # appends scale and minimum to each row as two float32, so inputs must align with them.
    inputs = rows.shape[1]
    if inputs % 4:
        return _quantise_rows_plainly(rows)
    packed = torch.ops.quantized.embedding_bag_byte_prepack(rows)  # [R, I + 8] uint8
    levels, scale, minimum = packed.view(torch.float32).split_with_sizes((inputs // 4, 1, 1), 1)
    return QuantisedRows(levels.view(torch.uint8), scale, minimum)


def _quantise_rows_plainly(rows: Tensor) -> QuantisedRows:
    minimum, maximum = rows.aminmax(dim=1, keepdim=True)
    span = maximum - minimum
    levels = ((rows - minimum) * (255 / (span + 1e-8))).round().nan_to_num(0).clamp(0, 255)
    return QuantisedRows(levels.to(torch.uint8), span / 255, minimum)


def quantise_weight(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return (levels [O, I] int8 in [-127, 127], scale [O] float32), weight = scale * levels, symmetric per output."""
    weight = weight.float()
    scale = weight.abs().amax(1).clamp_min(torch.finfo(torch.float32).tiny) / 127
    return (weight / scale[:, None]).round().clamp_(-127, 127).to(torch.int8), scale


# -- layers -----------------------------------------------------------------------------------


def _of_few_sizes(linear: Linear) -> Linear:
    """Return `linear`, called with few different numbers of rows: what is missing is filled up with zeros.

    oneDNN compiles a kernel for every number of rows it meets and keeps a thousand of them. Typing meets them all:
    the kernels of four layers' shapes took 860 MB.
    """

    def filled(rows: Tensor) -> Tensor:
        count = rows.shape[0]
        more = _filled_count(count) - count
        return linear(F.pad(rows, (0, 0, 0, more)))[:count] if more else linear(rows)

    return filled


def _filled_count(count: int) -> int:
    """Return the next number of rows that is computed: any up to 16, then eight in each doubling."""
    step = 1 << max(0, (count - 1).bit_length() - 4)
    return -(-count // step) * step


class _Int8Linear:
    """x @ W.T with x = m + s * q by row and W = t * w by output: s * t * (q @ w.T) + m * (sum of W over inputs)."""

    def __init__(self, levels: Tensor, scale: Tensor, bias: Tensor | None) -> None:
        self._scale, self._bias = scale, None if bias is None else bias.float()
        self._input_sums = (levels.sum(1, dtype=torch.int64).double() * scale.double()).float()  # [O]
        self.is_packed = levels.device.type == "cpu" and _sums_int8_exactly()
        if self.is_packed:
            self._zero_points = torch.zeros(levels.shape[0], dtype=torch.int64)
            self._product = torch.ops.onednn.qlinear_pointwise.default
            levels = torch.ops.onednn.qlinear_prepack(levels, None)
        self._levels = levels

    def __call__(self, rows: Tensor) -> Tensor:
        quantised = quantise_rows(rows)
        if self.is_packed:
            # Activations: scale 1, zero point 0. Output: float32, no post-operation.
            sums = self._product(
                quantised.levels, 1.0, 0, self._levels, self._scale, self._zero_points, None,
                1.0, 0, torch.float32, "none", [], "",
            )  # fmt: skip
        else:
            sums = _exact_product(quantised.levels, self._levels).mul_(self._scale)
        sums.mul_(quantised.scale).addcmul_(quantised.minimum, self._input_sums)
        return sums if self._bias is None else sums.add_(self._bias)


def _exact_product(levels: Tensor, weight_levels: Tensor) -> Tensor:
    """Return levels [R, I] uint8 @ weight_levels [O, I] int8 transposed, [R, O] float32.

    512 products of 255 * 127 stay below 2**24, so each partial sum is an exact
    float32 in whatever order it is added up.
    """
    parts = zip(levels.split(512, 1), weight_levels.split(512, 1), strict=True)
    return torch.stack([row.float() @ weight.float().T for row, weight in parts]).sum(0)


class _PackedLinear:
    """oneDNN on a weight laid out once for its kernels, twice as fast as F.linear at a few rows."""

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> None:
        self._dtype, self._bias = dtype, None if bias is None else bias.to(dtype)
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.to(dtype))
        self._product = torch.ops.mkldnn._linear_pointwise.default

    def __call__(self, rows: Tensor) -> Tensor:
        return self._product(rows.to(self._dtype), self._weight, self._bias, "none", [], "").float()


class _PlainLinear:
    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> None:
        self._weight, self._bias = weight.to(dtype), None if bias is None else bias.to(dtype)

    def __call__(self, rows: Tensor) -> Tensor:
        return F.linear(rows.to(self._weight.dtype), self._weight, self._bias).float()


# -- what this build and machine offer ---------------------------------------------------------


def _has(namespace: str, name: str) -> bool:
    return hasattr(getattr(torch.ops, namespace), name)


@cache
def _cpu_features() -> dict[str, bool]:
    return dict(torch.cpu.get_capabilities())


@cache
def _packs(dtype: torch.dtype) -> bool:
    """Whether oneDNN's packed products are there for `dtype`."""
    if not (torch.backends.mkldnn.is_available() and _has("mkldnn", "_linear_pointwise")):
        return False
    return dtype is torch.float32 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


@cache
def _sums_int8_exactly() -> bool:
    """Whether oneDNN's int8 product is there and sums in 32 bits.

    Without VNNI it would add pairs of products in 16 bits, and saturate.
    """
    if not (_has("onednn", "qlinear_pointwise") and _has("quantized", "embedding_bag_byte_prepack")):
        return False
    return any(_cpu_features().get(name) for name in ("avx512_vnni", "avx_vnni", "amx_int8"))
