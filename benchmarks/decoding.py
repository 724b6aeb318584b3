"""Decoding: tokens per forward and milliseconds per token, against one row per forward of the same engine.

    python -m benchmarks.decoding [--gaps N] [--minutes M] [--model NAME|PATH] [--json]

Every way of decoding fills the same gaps in files of the standard library,
after the file was encoded: what is measured is decoding, not reading. Threads
spin as long as a worker's.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

from benchmarks.environment import run_as_worker
from benchmarks.gaps import RealGap, real_gaps
from model import store
from model.api.types import Infill, InfillRequest, Limits
from model.worker.engine import Engine

MAX_TOKENS = 24
PLAIN = "left_to_right, one row a forward"

Way = Callable[..., InfillRequest]  # of a request, the gap it is for, and what the plain way made of it


@dataclass(frozen=True)
class Measured:
    """One way of decoding over all gaps."""

    name: str
    tokens: int
    forwards: int
    ms: float
    ms_per_gap: float  # the median
    speedup: float | None  # milliseconds per token of one-row decoding, over this one's
    same_text: float  # part of the gaps that got the text of one-row decoding
    as_was: float  # part of the gaps that got the text that had stood there


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decoding", description=__doc__)
    parser.add_argument("--gaps", type=int, default=40, help="how many gaps to fill (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=2.5, help="begin no gap after that (default: %(default)s)")
    parser.add_argument("--model", default=store.DEFAULT_MODEL, help="a model's name or path (default: %(default)s)")
    parser.add_argument("--precision", help="float32, bfloat16 or int8 (default: chosen for this machine)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    if (status := run_as_worker("benchmarks.decoding", arguments)) is not None:
        return status
    engine = Engine.load(store.find(options.model), precision=options.precision)
    described = engine.describe()
    gaps = real_gaps(options.gaps)
    limits = Limits(max_tokens=MAX_TOKENS, max_lines=1)

    for gap in gaps[:1]:
        fill_all(engine, gap, limits, {"warming up": lambda request, *_: request})
    ways = {PLAIN: lambda request, *_: replace(request, policy="left_to_right")} | _ways(described.adapted)
    filled: dict[str, list[Infill]] = {name: [] for name in ways}
    until = time.monotonic() + 60 * options.minutes
    for done, gap in enumerate(gaps):
        if done and time.monotonic() > until:
            print(
                f"the last {len(gaps) - done} of {len(gaps)} gaps are left out: {options.minutes:g} minutes are over",
                file=sys.stderr,
            )
            gaps = gaps[:done]
            break
        print(f"{done} of {len(gaps)} gaps ...", file=sys.stderr, end="\r")
        for name, infill in fill_all(engine, gap, limits, ways).items():
            filled[name].append(infill)
    measured = summarise(filled, gaps)
    if options.json:
        print(json.dumps({"model": described.name, "precision": described.precision, "gaps": len(gaps),
                          "ways": [asdict(way) for way in measured]}, indent=1))  # fmt: skip
        return 0
    print(
        f"{described.name} in {described.precision}, {len(gaps)} gaps, at most {MAX_TOKENS} tokens or one line each\n"
    )
    print(f"{'':42}{'tokens/forward':>15}{'ms/token':>10}{'ms/gap':>8}{'speed-up':>10}{'same text':>11}{'as was':>8}")
    for way in measured:
        print(
            f"{way.name:42}{way.tokens / way.forwards:15.2f}{way.ms / way.tokens:10.1f}{way.ms_per_gap:8.0f}"
            f"{way.speedup or 1:9.2f}x{way.same_text:10.1%}{way.as_was:8.1%}"
        )
    if not described.adapted:
        print(
            "\nThis model is not adapted to infilling: it has no mask rows, so block, window and uniform are left out."
        )
    return 0


def _ways(adapted: bool) -> dict[str, Way]:
    """Return the ways of decoding that are compared with the plain one, by name."""
    drafts = "drafts from the file" + (" and mask rows" if adapted else "")
    ways: dict[str, Way] = {
        f"verified: {drafts}": lambda request, *_: request,
        "verified: typing through the answer": lambda request, gap, plain: replace(
            request, drafts=(plain.gaps[0].text,)
        ),
        "verified: typing through the true text": lambda request, gap, plain: replace(request, drafts=(gap.missing,)),
        "verified, 3 candidates": lambda request, *_: replace(request, candidates=3),
    }
    policies = ("beam:4", "block:4", "block:8", "window:4", "window:8", "window:16", "uniform") if adapted else ()
    return ways | {policy: lambda request, *_, policy=policy: replace(request, policy=policy) for policy in policies}


def fill_all(engine: Engine, gap: RealGap, limits: Limits, ways: dict[str, Way]) -> dict[str, Infill]:
    """Fill `gap` in every way, the first of which is the plain one, with the file encoded beforehand."""
    engine.open(gap.path, gap.path, gap.text, 1)
    engine.prepare(gap.path, gap.gap.start)
    while engine.idle_slice():
        pass
    found: dict[str, Infill] = {}
    for name, way in ways.items():
        request = InfillRequest(gap.path, 1, (gap.gap,), limits=limits)
        found[name] = engine.infill(way(request, gap, found.get(PLAIN)))
    engine.close(gap.path)
    return found


def summarise(ways: dict[str, list[Infill]], gaps: Sequence[RealGap]) -> list[Measured]:
    plain = next(iter(ways.values()))
    plain_rate = sum(infill.ms for infill in plain) / tokens_of(plain)
    return [
        Measured(
            name,
            tokens_of(infills),
            sum(infill.forwards for infill in infills),
            sum(infill.ms for infill in infills),
            statistics.median(infill.ms for infill in infills),
            plain_rate * tokens_of(infills) / sum(infill.ms for infill in infills),
            statistics.mean(a.gaps[0].text == b.gaps[0].text for a, b in zip(infills, plain, strict=True)),
            statistics.mean(a.gaps[0].text == gap.missing for a, gap in zip(infills, gaps, strict=True)),
        )
        for name, infills in ways.items()
    ]


def tokens_of(infills: Sequence[Infill]) -> int:
    """Tokens answered, those of alternatives not counted: they are what their forwards cost extra."""
    return sum(gap.tokens for infill in infills for gap in infill.gaps)


if __name__ == "__main__":
    sys.exit(main())
