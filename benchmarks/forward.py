"""The network's forward beside transformers' on the same weights, and where its time goes.

    python -m benchmarks.forward [--model NAME|PATH] [--threads N] [--repeats N] [--json]

A few rows over 1,024 cached rows, with logits for each, are what one step of an
infill computes; the encoding of 1,024 tokens, without logits, is a file's first.
Our runs and the peer's alternate, so that a busy machine slows both alike. What this CPU would emulate is left out,
and no kind of forward is run for much longer than `SECONDS_OF_A_KIND`, so that all ends within minutes. Threads spin
as long as a worker's.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from benchmarks.environment import run_as_worker
from model import store
from model.checkpoint.loading import load_checkpoint
from model.checkpoint.record import Checkpoint, expected_shapes
from model.network.decoder import Decoder, Rows
from model.network.linear import Int8Kernel, Precision, best_precision, int8_kernel, multiplies_bfloat16

CACHED_ROWS = 1024
ROW_COUNTS = (1, 4, 8, 16, 32)
SLICE_ROWS = 128  # an encoding goes in slices, whose rows stay in the processor's cache
PROFILED_ROWS = 16
SECONDS_OF_A_KIND = 10
LEAST_REPEATS = 3

# Operators by what they are for; whatever is not named here is element-wise.
LINEAR_OPERATORS = (
    "onednn::qlinear",
    "quantized::linear",
    "mkldnn::_linear",
    "aten::linear",
    "aten::addmm",
    "aten::mm",
)
ATTENTION_OPERATORS = ("aten::bmm", "aten::baddbmm", "aten::softmax", "aten::_softmax", "aten::_scaled_dot_product")


@dataclass(frozen=True)
class Measured:
    """One kind of forward in one precision. The peer of int8 runs in bfloat16, or float32 where that is emulated."""

    precision: str
    rows: str
    min_ms: float
    median_ms: float
    peer_min_ms: float | None
    ratio: float | None  # the peer's minimum over ours


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forward", description=__doc__)
    parser.add_argument("--model", default=store.DEFAULT_MODEL, help="a model's name or path (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--repeats", type=int, default=20, help="runs of each forward (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    if (status := run_as_worker("benchmarks.forward", arguments)) is not None:
        return status
    torch.set_num_threads(options.threads)
    checkpoint = load_checkpoint(store.find(options.model))
    ids = torch.randint(
        checkpoint.config.vocab_size, (CACHED_ROWS + max(ROW_COUNTS),), generator=torch.Generator().manual_seed(0)
    )
    measured: list[Measured] = []
    shares: dict[str, dict[str, float]] = {}
    emulated = emulated_precisions()
    for precision in Precision:
        if precision in emulated:
            continue
        print(f"{precision} ...", file=sys.stderr, end="\r")
        ours = our_forwards(checkpoint, precision, ids)
        dtype = torch.float32 if precision is Precision.FLOAT32 or not multiplies_bfloat16() else torch.bfloat16
        peers = peer_forwards(checkpoint, dtype, ids)
        for rows, forward in ours.items():
            repeats = max(3, options.repeats // 5) if rows.startswith("encode") else options.repeats
            times, peer_times = alternate(forward, peers.get(rows), repeats)
            peer_ms = min(peer_times) if peer_times else None
            ratio = peer_ms / min(times) if peer_ms else None
            measured.append(Measured(precision, rows, min(times), statistics.median(times), peer_ms, ratio))
        shares[precision] = where_time_goes(ours[str(PROFILED_ROWS)])
    chosen, reason = best_precision()
    if options.json:
        result = {"threads": options.threads, "chosen": chosen, "emulated": emulated}
        result["forwards"] = [asdict(one) for one in measured]
        print(json.dumps(result | {"ms_by_kind": shares}, indent=1))
        return 0
    print(f"{options.model}, {options.threads} threads, {CACHED_ROWS} cached rows; here {chosen} is chosen: {reason}\n")
    for precision in emulated:
        print(f"{precision} is left out: this CPU would emulate it")
    print(f"{'':10}{'rows':>12}{'min ms':>9}{'median':>9}{'transformers':>14}{'ratio':>8}")
    for one in measured:
        peer = f"{one.peer_min_ms:14.1f}{one.ratio:7.1f}x" if one.peer_min_ms and one.ratio else f"{'not run':>14}"
        print(f"{one.precision:10}{one.rows:>12}{one.min_ms:9.1f}{one.median_ms:9.1f}{peer}")
    print(f"\nwhere the milliseconds of {PROFILED_ROWS} rows go, under the profiler, which adds to each call\n")
    for name, parts in shares.items():
        print(f"{name:10}" + "".join(f"{kind:>16} {ms:5.1f}" for kind, ms in parts.items()))
    return 0


def emulated_precisions() -> list[Precision]:
    """Return the precisions that this CPU has no instructions for: they take so long that nobody runs them."""
    emulated = [] if multiplies_bfloat16() else [Precision.BFLOAT16]
    return emulated if int8_kernel() is not Int8Kernel.PLAIN else [*emulated, Precision.INT8]


def our_forwards(checkpoint: Checkpoint, precision: Precision, ids: Tensor) -> dict[str, Callable[[], object]]:
    """Return forwards by their number of rows; the encoding comes first and fills the cache."""
    network = Decoder(checkpoint, precision)
    cache = network.new_cache(right_slots=0, left_slots=len(ids))

    def feed(begin: int, end: int, logits: bool) -> None:
        rows = Rows(ids[begin:end], torch.arange(begin, end), slot=begin, see_begin=0, see_end=end)
        network.forward(rows, cache, list(range(end - begin)) if logits else None)

    def encode() -> None:
        for begin in range(0, CACHED_ROWS, SLICE_ROWS):
            feed(begin, begin + SLICE_ROWS, logits=False)

    forwards: dict[str, Callable[[], object]] = {f"encode {CACHED_ROWS}": encode}
    for count in ROW_COUNTS:
        forwards[str(count)] = lambda count=count: feed(CACHED_ROWS, CACHED_ROWS + count, logits=True)  # type: ignore[misc]
    return forwards


def peer_forwards(checkpoint: Checkpoint, dtype: torch.dtype, ids: Tensor) -> dict[str, Callable[[], object]]:
    """Return the same forwards by transformers, or none if it is not installed or the model is not a Llama."""
    if importlib.util.find_spec("transformers") is None or checkpoint.config.architecture != "llama":
        return {}
    from transformers import DynamicCache

    network = peer_network(checkpoint, dtype)
    cache = DynamicCache()

    @torch.inference_mode()
    def feed(begin: int, end: int) -> None:
        network(input_ids=ids[None, begin:end], past_key_values=cache, use_cache=True)
        cache.crop(begin - end)  # negative: so many rows are dropped again

    @torch.inference_mode()
    def encode() -> None:
        nonlocal cache
        cache = DynamicCache()
        network.model(input_ids=ids[None, :CACHED_ROWS], past_key_values=cache, use_cache=True)

    forwards: dict[str, Callable[[], object]] = {f"encode {CACHED_ROWS}": encode}
    for count in ROW_COUNTS:
        forwards[str(count)] = lambda count=count: feed(CACHED_ROWS, CACHED_ROWS + count)  # type: ignore[misc]
    return forwards


def peer_network(checkpoint: Checkpoint, dtype: torch.dtype) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = checkpoint.config
    network = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=config.vocab_size, hidden_size=config.width, intermediate_size=config.ffn_width,
            num_hidden_layers=config.layers, num_attention_heads=config.heads, num_key_value_heads=config.kv_heads,
            head_dim=config.head_dim, max_position_embeddings=config.context_length, rms_norm_eps=config.norm_eps,
            rope_parameters={"rope_type": "default", "rope_theta": config.rope_base},
            tie_word_embeddings=config.tied_head, attention_bias=config.qkv_bias, mlp_bias=config.ffn_bias,
        )
    )  # fmt: skip
    weights = {
        name if name.startswith("lm_head.") else f"model.{name}": checkpoint.float_tensor(name)
        for name in expected_shapes(config)
    }
    missing, unexpected = network.load_state_dict(weights, strict=False)
    assert set(missing) <= {"lm_head.weight"}, missing
    assert not unexpected, unexpected
    network.tie_weights()
    torch.nn.Module.to(network, dtype)
    return network.eval()


def alternate(
    ours: Callable[[], object], peers: Callable[[], object] | None, repeats: int
) -> tuple[list[float], list[float]]:
    """Return the milliseconds of `repeats` runs of each, in turn, after one run unmeasured.

    They are fewer, but `LEAST_REPEATS`, where they take longer than `SECONDS_OF_A_KIND`.
    """
    times: tuple[list[float], list[float]] = ([], [])
    started = time.perf_counter()
    for run in range(repeats + 1):
        if run > LEAST_REPEATS and time.perf_counter() - started > SECONDS_OF_A_KIND:
            break
        for forward, found in zip((ours, peers), times, strict=True):
            if forward is not None:
                begin = time.perf_counter()
                forward()
                found.append((time.perf_counter() - begin) * 1000)
    return times[0][1:], times[1][1:]


def where_time_goes(forward: Callable[[], object], runs: int = 10) -> dict[str, float]:
    """Return milliseconds of one forward by kind of work; "between calls" is Python and dispatch."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        begin = time.perf_counter()
        for _ in range(runs):
            forward()
        total = (time.perf_counter() - begin) * 1000
    parts = {"linears": 0.0, "attention": 0.0, "element-wise": 0.0}
    for event in profile.key_averages():
        kind = "element-wise"
        if event.key.startswith(LINEAR_OPERATORS):
            kind = "linears"
        elif event.key.startswith(ATTENTION_OPERATORS):
            kind = "attention"
        parts[kind] += event.self_cpu_time_total / 1000
    parts["between calls"] = max(total - sum(parts.values()), 0.0)
    return {kind: ms / runs for kind, ms in parts.items()}


if __name__ == "__main__":
    sys.exit(main())
