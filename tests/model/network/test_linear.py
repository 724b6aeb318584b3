"""Linear layers: close to float64, and no row knows its neighbours."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from model.network import linear
from model.network.linear import (
    Int8Kernel,
    Precision,
    best_precision,
    cache_dtype,
    has_7_bits,
    int8_kernel,
    make_linear,
    quantise_rows,
    quantise_rows_to_7_bits,
    quantise_weight,
)
from tests.memory import needs_proc, resident_mb

# Shapes of SmolLM2's layers, and ones that fit no vector width.
SHAPES = [(576, 960), (1536, 576), (100, 37), (4, 1), (33, 70)]  # inputs, outputs
NEIGHBOURS = [1, 2, 3, 7, 15, 16, 17, 31, 32, 48, 64]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def error_bound(rows: Tensor, weight: Tensor, precision: Precision) -> Tensor:
    """How far a result may be from float64's, [R, O], from the types alone.

    A product rounded to u in either factor is off by at most 2u |x||w|; a sum of
    I float32 terms by I * 2**-24 of their absolute sum. bfloat16 rounds to
    u = 2**-8, the result once more. In int8 a level is off by half a step:
    s/2 for every |w| and t/2 for every |x|, and both together.
    """
    rows, weight = rows.double(), weight.double()
    magnitude = rows.abs() @ weight.abs().T
    summation = 2 * rows.shape[1] * 2.0**-24 * magnitude
    if precision is Precision.FLOAT32:
        return summation + 1e-30
    if precision is Precision.BFLOAT16:
        return 3.1 * 2.0**-8 * magnitude + summation + 1e-30
    steps = 127 if has_7_bits(precision) else 255
    step = (rows.amax(1) - rows.amin(1)).add(1e-8)[:, None] / steps  # of each row; see quantise_rows for 1e-8
    weight_step = weight.abs().amax(1) / 127  # of each output
    half = step / 2 * weight.abs().sum(1) + weight_step / 2 * (rows.abs().sum(1, keepdim=True))
    both = rows.shape[1] * step / 2 * weight_step / 2
    # Minimum and levels are summed apart, so rounding is relative to the larger of them.
    offset = rows.abs().amax(1, keepdim=True) * weight.abs().sum(1) * 2.0**-21
    return 1.001 * (half + both) + summation + offset + 1e-30


def check_close(rows: Tensor, weight: Tensor, bias: Tensor | None, precision: Precision) -> None:
    result = make_linear(weight, bias, precision)(rows)
    assert result.dtype == torch.float32
    assert result.shape == (rows.shape[0], weight.shape[0])
    expected = rows.double() @ weight.double().T
    bound = error_bound(rows, weight, precision)
    if bias is not None:
        expected = expected + bias.double()
        bound = bound + bias.double().abs() * 2.0**-8 + expected.abs() * 2.0**-8 * (precision is Precision.BFLOAT16)
    excess = (result.double() - expected).abs() - bound
    assert excess.max() <= 0, f"off by {excess.max():.2e} more than the bound"


SEVEN_BITS = ["fbgemm", "onednn"]
"""The kernels for 7 bits: machines with VNNI have them too, and never choose them."""


@pytest.fixture(params=["native", *SEVEN_BITS, "fallback"])
def build(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test on this build's kernels, on those for 7 bits, then as if it had none."""
    name = str(request.param)
    if name == "fallback":
        monkeypatch.setattr(linear, "_packs", lambda dtype: False)
        monkeypatch.setattr(linear, "_has", lambda namespace, name: False)
    if name in SEVEN_BITS and int8_kernel() is Int8Kernel.PLAIN:
        pytest.skip("this build or CPU has no kernels for int8")
    if name != "native":
        kernel = Int8Kernel.PLAIN if name == "fallback" else Int8Kernel[name.upper()]
        monkeypatch.setattr(linear, "int8_kernel", lambda: kernel)
    return name


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize(("inputs", "outputs"), SHAPES)
@pytest.mark.parametrize("with_bias", [False, True])
def test_close_to_float64(build: str, precision: Precision, inputs: int, outputs: int, with_bias: bool) -> None:
    weight = random(outputs, inputs, seed=1) * 0.05
    bias = random(outputs, seed=2) if with_bias else None
    for count in (1, 16, 65):
        check_close(random(count, inputs, seed=count), weight, bias, precision)


@pytest.mark.parametrize("precision", Precision)
def test_close_to_float64_on_awkward_rows(build: str, precision: Precision) -> None:
    rows = random(9, 576)
    rows[0] = 0
    rows[1] = 3.25  # a constant row has no range
    rows[2] *= 1e-5
    rows[3] *= 1e-12  # narrower than the quantiser resolves: off by less than 1e-8 an input
    rows[4] *= 1e12
    rows[5] += 1000  # all on one side of zero
    rows[6, 100] = 1e6  # an outlier takes the whole range
    rows[7] = -rows[7].abs()
    check_close(rows, random(96, 576, seed=1) * 0.05, None, precision)


@pytest.mark.parametrize("precision", Precision)
def test_weights_at_the_edges(build: str, precision: Precision) -> None:
    weight = random(6, 64)
    weight[0] = 0
    weight[1] = 1e-30
    weight[2, 5] = 1e4
    check_close(random(4, 64, seed=1), weight, None, precision)


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize(("inputs", "outputs"), SHAPES)
def test_a_row_does_not_depend_on_its_neighbours(build: str, precision: Precision, inputs: int, outputs: int) -> None:
    """Exactly in int8; elsewhere the order of a sum may differ: a few roundings of float32 inside.

    bfloat16 rounds the sum last, so it may fall to the next bfloat16, 2**-7 of the value.
    """
    product = make_linear(random(outputs, inputs, seed=1) * 0.05, None, precision)
    row = random(1, inputs, seed=2)
    alone = product(row)
    tolerance = {Precision.INT8: 0.0, Precision.FLOAT32: 1e-6, Precision.BFLOAT16: 2.0**-7}[precision]
    for count in NEIGHBOURS:
        for place in {0, count // 2, count}:
            beside = random(count + 1, inputs, seed=3)
            beside[::2] *= 1e5  # per-tensor quantisation would erase the row
            beside[place] = row
            result = product(beside)[place]
            assert (result - alone[0]).abs().max() <= tolerance * alone.abs().max()


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("bad", [float("inf"), float("-inf"), float("nan"), 3e38])
def test_a_row_that_is_not_finite_spoils_no_other(build: str, precision: Precision, bad: float) -> None:
    product = make_linear(random(96, 576, seed=1), None, precision)
    rows = random(5, 576)
    expected = product(rows)
    spoiled = rows.clone()
    spoiled[2, 17] = bad
    result = product(spoiled)
    others = [0, 1, 3, 4]
    torch.testing.assert_close(result[others], expected[others])
    if abs(bad) == float("inf"):
        assert not result[2].isfinite().any()


def test_int8_sums_of_extreme_levels_are_exact(build: str) -> None:
    """Two products of 255 * 127 exceed 16 bits: kernels without VNNI saturate here, and get levels of 7 bits."""
    inputs = 1536
    for sign in (1, -1):
        weight = torch.full((32, inputs), float(sign))
        rows = torch.full((3, inputs), 255.0)
        rows[:, 0] = 0  # the row spans 0 to 255, so its numbers are the lowest level and the highest
        rows[1, 1::2] = 0
        result = make_linear(weight, None, Precision.INT8)(rows)
        # Scales of 1/127 and 127 levels make 1 again up to rounding, while saturation would be off by half.
        torch.testing.assert_close(result, rows @ weight.T, rtol=1e-6, atol=0)


def test_fallback_agrees_with_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those for 7 bits agree with each other to the bit, whichever a build of PyTorch has."""
    weight, rows = random(960, 576, seed=1), random(33, 576)
    found = {}
    for kernel in Int8Kernel:
        monkeypatch.setattr(linear, "int8_kernel", lambda kernel=kernel: kernel)
        if kernel is not Int8Kernel.VNNI or int8_kernel() is Int8Kernel.VNNI:
            found[kernel] = make_linear(weight, None, Precision.INT8)(rows)
    assert torch.equal(found[Int8Kernel.FBGEMM], found[Int8Kernel.ONEDNN])
    native = found.get(Int8Kernel.VNNI, found[Int8Kernel.PLAIN])
    torch.testing.assert_close(found[Int8Kernel.PLAIN], native, rtol=1e-5, atol=1e-4)
    assert (found[Int8Kernel.FBGEMM] - native).abs().mean() < 0.02 * native.abs().mean()


def test_quantised_rows_spell_the_rows() -> None:
    rows = random(20, 576) * torch.logspace(-3, 3, 20)[:, None]
    for quantised in (quantise_rows(rows), linear._quantise_rows_plainly(rows)):
        spelled = quantised.minimum + quantised.scale * quantised.levels
        span = rows.amax(1, keepdim=True) - rows.amin(1, keepdim=True)
        assert ((spelled - rows).abs() <= span / 255 * 0.501).all()


def test_rows_of_7_bits_are_rounded_once() -> None:
    """None is off by more than half a step."""
    rows = random(20, 576) * torch.logspace(-3, 3, 20)[:, None]
    quantised = quantise_rows_to_7_bits(rows)
    levels = quantised.levels.round()
    assert levels.amin() == 0
    assert levels.amax() == 127
    spelled = quantised.minimum + quantised.scale * levels
    span = rows.amax(1, keepdim=True) - rows.amin(1, keepdim=True)
    assert ((spelled - rows).abs() <= span / 127 * 0.501).all()


def test_quantised_rows_of_any_layout() -> None:
    rows = random(8, 1200)
    for view in (rows[:, :576], rows[::2, 600:1176], rows.T[:576]):
        fast, plain = quantise_rows(view), linear._quantise_rows_plainly(view)
        assert (fast.levels.int() - plain.levels.int()).abs().max() <= 1  # ties of the last bit
        torch.testing.assert_close(fast.scale, plain.scale)
        torch.testing.assert_close(fast.minimum, plain.minimum)


def test_weight_levels_are_symmetric() -> None:
    levels, scale = quantise_weight(torch.tensor([[-2.0, 1.0], [0.0, 0.0], [0.5, 0.25]]))
    assert levels.tolist() == [[-127, 64], [0, 0], [127, 64]]
    torch.testing.assert_close(scale[[0, 2]], torch.tensor([2 / 127, 0.5 / 127]))


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ({"avx512_vnni": True, "avx512_bf16": True}, Precision.INT8),
        ({"avx_vnni": True}, Precision.INT8),
        ({"avx512_f": True, "avx512_bf16": True}, Precision.BFLOAT16),
        ({"bf16": True, "neon": True}, Precision.BFLOAT16),
        ({"avx2": True}, Precision.INT8),
        ({"sse4_1": True}, Precision.FLOAT32),
        ({}, Precision.FLOAT32),
    ],
)
def test_best_precision_follows_the_cpu(
    monkeypatch: pytest.MonkeyPatch, features: dict[str, bool], expected: Precision
) -> None:
    monkeypatch.setattr(linear, "_cpu_features", lambda: features)
    monkeypatch.setattr(linear, "_packs", lambda dtype: True)
    monkeypatch.setattr(linear, "_has", lambda namespace, name: True)
    int8_kernel.cache_clear()
    try:
        precision, reason = best_precision()
    finally:
        int8_kernel.cache_clear()
    assert precision is expected
    assert reason


def test_best_precision_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for native, expected in ((True, Precision.BFLOAT16), (False, Precision.FLOAT32)):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, native=native: native)
        assert best_precision("cuda")[0] is expected
    assert best_precision("mps")[0] is Precision.FLOAT32


def test_the_cache_is_small_where_that_is_fast(build: str) -> None:
    emulated = has_7_bits(Precision.INT8)
    assert cache_dtype(Precision.INT8) is (torch.float32 if emulated else torch.bfloat16)
    assert cache_dtype(Precision.FLOAT32) is torch.float32


@needs_proc
@pytest.mark.parametrize("precision", Precision)
def test_any_number_of_rows_is_computed_by_few_kernels(precision: Precision) -> None:
    """oneDNN keeps a kernel for every number of rows: a worker grew by hundreds of megabytes while its user typed."""
    layer = make_linear(random(576, 96), None, precision)
    rows = random(400, 96)
    layer(rows)
    before_mb = resident_mb()
    for count in range(1, 401):
        assert layer(rows[:count]).shape == (count, 576)
    assert resident_mb() - before_mb < 40


@pytest.mark.parametrize("precision", Precision)
def test_filling_up_changes_no_row(precision: Precision) -> None:
    layer = make_linear(random(96, 64), None, precision)
    rows = random(80, 64)
    whole = layer(rows)
    for count in (17, 33, 65, 79):
        assert torch.equal(layer(rows[:count]), layer(torch.cat([rows[:count], rows.new_zeros(1, 64)]))[:count])
        torch.testing.assert_close(layer(rows[:count]), whole[:count], rtol=1e-2, atol=1e-2)


def test_few_numbers_of_rows_are_computed() -> None:
    counts = [linear._filled_count(count) for count in range(1, 513)]
    assert counts[:20] == [*range(1, 17), 18, 18, 20, 20]
    assert all(count <= filled < 1.125 * count for count, filled in enumerate(counts, 1))
    assert len(set(counts)) == 56
