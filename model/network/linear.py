"""Linear layers in three precisions, as fast as PyTorch runs them without a compiler.

Each takes float32 rows and returns float32 rows: at the few rows of an infill the
element-wise work between products is mostly the cost of calling it, and float32
is the type it is cheapest in. Knows weights and rows, no network.

A row's result does not depend on the rows beside it. In int8 that is exact:
rows are quantised one by one, products are summed in integers, and what follows
is element-wise. In float32 and bfloat16 the order of a sum may depend on the
number of rows, so results agree to rounding.

A row is quantised to as many bits as this CPU sums exactly: 8 with VNNI, which
adds products up in 32 bits; 7 without, where pairs of products are added in 16
bits first: 2 * 127 * 127 fits, 2 * 255 * 127 would saturate.

Dimensions: R rows, I inputs, O outputs.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from enum import Enum, StrEnum, auto
from functools import cache
from typing import NamedTuple

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
        return _int8_linear(*quantise_weight(weight), bias)
    dtype = torch.bfloat16 if precision is Precision.BFLOAT16 else torch.float32
    if weight.device.type == "cpu" and _packs(dtype):
        return _of_few_sizes(_PackedLinear(weight, bias, dtype))
    return _PlainLinear(weight, bias, dtype)


def has_7_bits(precision: Precision) -> bool:
    """Whether linears of `precision` quantise rows to 7 bits here, not 8."""
    return precision is Precision.INT8 and int8_kernel() in (Int8Kernel.FBGEMM, Int8Kernel.ONEDNN)


def cache_dtype(precision: Precision) -> torch.dtype:
    """Return the type of keys and values beside linears of `precision`: the smaller one, unless the CPU emulates it."""
    return torch.float32 if precision is Precision.FLOAT32 or has_7_bits(precision) else torch.bfloat16


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
        if (kernel := int8_kernel()) is Int8Kernel.VNNI:
            return Precision.INT8, "the CPU multiplies int8 (VNNI)"
        if multiplies_bfloat16():
            return Precision.BFLOAT16, "the CPU multiplies bfloat16 but not int8"
        if kernel is not Int8Kernel.PLAIN:
            return Precision.INT8, "the CPU multiplies int8 in pairs (AVX2, no VNNI), of rows in 7 bits"
    return Precision.FLOAT32, f"no int8 or bfloat16 instructions are known of this {torch.device(device).type.upper()}"


def multiplies_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 itself. Others emulate it, several times as slowly as float32."""
    native = any(_cpu_features().get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return native and _packs(torch.bfloat16)


# -- quantisation -----------------------------------------------------------------------------


class QuantisedRows(NamedTuple):
    """Rows x = minimum + scale * levels, each with its own minimum and scale."""

    levels: Tensor  # [R, I] uint8; those of 7 bits float32, which the kernels round
    scale: Tensor  # [R, 1] float32
    minimum: Tensor  # [R, 1] float32


def quantise_rows_to_7_bits(rows: Tensor) -> QuantisedRows:
    """Scale `rows` [R, I] float32 to the 127 steps between its minimum and its maximum. The product rounds the levels.

    A row with an infinity comes out as NaN and spoils no other.
    """
    minimum = rows.amin(-1, keepdim=True)  # faster than aminmax
    scale = (rows.amax(-1, keepdim=True) - minimum).div_(127).clamp_min_(torch.finfo(torch.float32).tiny)
    return QuantisedRows((rows - minimum).div_(scale), scale, minimum)


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


Product = Callable[
    [Tensor], Tensor
]  # levels [R, I] as in QuantisedRows -> (levels @ weight levels) * weight scale, [R, O] float32


class _Int8Linear:
    """x @ W.T with x = m + s * q by row and W = t * w by output: s * t * (q @ w.T) + m * (sum of W over inputs)."""

    def __init__(
        self,
        product: Product,
        quantise: Callable[[Tensor], QuantisedRows],
        input_sums: Tensor,
        bias: Tensor | None,
    ) -> None:
        self._product, self._quantise = product, quantise
        self._input_sums, self._bias = input_sums, None if bias is None else bias.float()

    def __call__(self, rows: Tensor) -> Tensor:
        quantised = self._quantise(rows)
        sums = self._product(quantised.levels)
        sums.mul_(quantised.scale).addcmul_(quantised.minimum, self._input_sums)
        return sums if self._bias is None else sums.add_(self._bias)


def _int8_linear(levels: Tensor, scale: Tensor, bias: Tensor | None) -> Linear:
    input_sums = (levels.sum(1, dtype=torch.int64).double() * scale.double()).float()  # [O]
    kernel = int8_kernel() if levels.device.type == "cpu" else Int8Kernel.PLAIN
    if kernel is Int8Kernel.PLAIN:
        return _Int8Linear(lambda rows: _exact_product(rows, levels).mul_(scale), quantise_rows, input_sums, bias)
    if kernel is Int8Kernel.FBGEMM:
        return _Int8Linear(_fbgemm_product(levels, scale), quantise_rows_to_7_bits, input_sums, bias)
    quantise = quantise_rows if kernel is Int8Kernel.VNNI else quantise_rows_to_7_bits
    return _of_few_sizes(_Int8Linear(_onednn_product(levels, scale), quantise, input_sums, bias))


def _onednn_product(levels: Tensor, scale: Tensor) -> Product:
    packed = torch.ops.onednn.qlinear_prepack(levels, None)
    zero_points, call = torch.zeros(levels.shape[0], dtype=torch.int64), torch.ops.onednn.qlinear_pointwise.default

    def product(levels: Tensor) -> Tensor:
        if levels.dtype is not torch.uint8:
            levels = levels.round().to(torch.uint8)
        # Activations: scale 1, zero point 0. Output: float32, no post-operation.
        sums: Tensor = call(
            levels, 1.0, 0, packed, scale, zero_points, None, 1.0, 0, torch.float32, "none", [], ""
        )  # fmt: skip
        return sums

    return product


def _fbgemm_product(levels: Tensor, scale: Tensor) -> Product:
    """Return FBGEMM's product, up to twice as fast as oneDNN's where there is no VNNI.

    It takes the levels as float32 and rounds them itself, to the nearest even one as `round` does.
    """
    engine = torch.backends.quantized.engine
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # tensors of quantised types are to go some day: see int8_kernel
        try:
            torch.backends.quantized.engine = "fbgemm"
            weight = torch._make_per_channel_quantized_tensor(
                levels, scale.double(), torch.zeros(levels.shape[0], dtype=torch.int64), 0
            )
            packed = torch.ops.quantized.linear_prepack(weight, None)
        finally:
            torch.backends.quantized.engine = engine
    call = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32.default

    def product(levels: Tensor) -> Tensor:
        sums: Tensor = call(levels, 1.0, 0, packed)
        return sums

    return product


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


class Int8Kernel(Enum):
    """Whose int8 product is used on the CPU. All are exact."""

    VNNI = auto()  # oneDNN, rows in 8 bits
    FBGEMM = auto()  # rows in 7 bits
    ONEDNN = auto()  # rows in 7 bits, for a build of PyTorch that has no FBGEMM
    PLAIN = auto()  # by float32 products, and slow


@cache
def int8_kernel() -> Int8Kernel:
    """Return whose int8 product this build and CPU are fast with."""
    onednn = _has("onednn", "qlinear_pointwise") and _has("quantized", "embedding_bag_byte_prepack")
    if onednn and any(_cpu_features().get(name) for name in ("avx512_vnni", "avx_vnni", "amx_int8")):
        return Int8Kernel.VNNI
    if not _cpu_features().get("avx2"):
        return Int8Kernel.PLAIN
    if _has("quantized", "linear_with_input_q_dq_qweight_dq_output_fp32") and _has_fbgemm():
        return Int8Kernel.FBGEMM
    return Int8Kernel.ONEDNN if onednn else Int8Kernel.PLAIN


def _has_fbgemm() -> bool:
    return "fbgemm" in torch.backends.quantized.supported_engines
