"""Several editors on one model worker: how soon each is answered, whether all are served alike, and how much in all.

    python -m benchmarks.editors [--editors 1,4,16] [--seconds S] [--model NAME|PATH] [--json]

Each editor has a connection of its own to one shared worker and types into a file of the standard library, with the
key gaps of `setfill bench replay`. It asks for the rest of the line where the next key takes 200 ms or more, and
withdraws the request with that key. All are served alike if the worst and the best share of answers in time are near
each other. `evicted` counts how often a file's rows had to make room for another's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.gaps import RealGap, real_gaps
from model import store
from model.api.client import WorkerClient, WorkerOptions
from model.api.edits import applied
from model.api.types import Edit, Gap, InfillRequest, Limits
from setfill.replay.measures import percentiles
from setfill.replay.script import Pace

LIMITS = Limits(max_tokens=64, max_lines=1, max_ms=3000)
FILE = "f"


@dataclass
class Typist:
    """One editor. `ms` are the milliseconds of answers that came before the next key."""

    client: WorkerClient
    gap: RealGap
    pace: Pace
    asked: int = 0
    ms: list[float] = field(default_factory=list)

    async def open(self) -> None:
        """Have the worker read the file."""
        self._text, self._at, self._version = self.gap.text, self.gap.gap.start, 1
        await self.client.start()
        self.client.open(FILE, self.gap.path, lambda: self._text, self._version)
        await self._ask()

    async def type(self, until_s: float) -> None:
        """Type the line that stood there again and again, until that time of the monotonic clock."""
        key = 0
        while time.monotonic() < until_s:
            char = (self.gap.missing + "\n")[key % (len(self.gap.missing) + 1)]
            edit = Edit(self._at, self._at, char)
            self._text, self._at, self._version = applied(self._text, edit), self._at + 1, self._version + 1
            self.client.edit(FILE, [edit], self._version)
            gap_s = self.pace.gap_ms(key, 0, goes_elsewhere=False) / 1000
            due, key = time.monotonic() + gap_s, key + 1
            if gap_s >= self.pace.ask_after_ms / 1000:
                await self._ask_until(due)
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _ask_until(self, due: float) -> None:
        self.asked += 1
        began = time.monotonic()
        try:
            async with asyncio.timeout(due - began):
                await self._ask()
        except TimeoutError:
            return
        self.ms.append((time.monotonic() - began) * 1000)

    async def _ask(self) -> None:
        here = Gap(self._at, self._at)
        await self.client.infill(InfillRequest(FILE, self._version, (here,), limits=LIMITS))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.editors", description=__doc__)
    parser.add_argument("--editors", default="1,4,16", help="how many at once (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=20.0, help="of typing, for each number (default: %(default)s)")
    parser.add_argument("--model", default=store.DEFAULT_MODEL, help="a model's name or path (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    columns = (("editors", 8), ("asked", 7), ("in time", 9), ("worst", 7), ("best", 7), ("p50 ms", 8), ("p95 ms", 8))
    if not options.json:
        print("".join(f"{name:>{width}}" for name, width in (*columns, ("a second", 10), ("CPU", 7), ("evicted", 9))))
    found = []
    for count in options.editors.split(","):
        each = asyncio.run(measure(options.model, int(count), options.seconds))
        found.append(each)
        if not options.json:
            print(row(each), flush=True)
    if options.json:
        print(json.dumps(found, indent=1))
    return 0


def row(each: dict[str, Any]) -> str:
    """Return what is printed of one number of editors."""
    shares = "".join(f"{100 * each[name]:{width}.0f} %" for name, width in (("in_time", 7), ("worst", 5), ("best", 5)))
    times = "".join(f"{each['ms'][name] or 0:8.0f}" for name in ("p50", "p95"))
    counts = f"{each['a_second']:10.2f}{each['cpu_share']:7.2f}{each['evictions']:9}"
    return f"{each['editors']:8}{each['asked']:7}{shares}{times}{counts}"


async def measure(model: str, editors: int, seconds: float) -> dict[str, Any]:
    """Return what so many editors got of one worker of their own."""
    with tempfile.TemporaryDirectory(prefix="setfill-") as folder:  # a short path, as those of sockets have to be
        os.environ["XDG_RUNTIME_DIR"] = folder
        worker = WorkerOptions(model=str(store.find(model)), shared=True, linger_s=1.0)
        typists = [
            Typist(WorkerClient(worker), gap, Pace(seed=number)) for number, gap in enumerate(real_gaps(editors))
        ]
        try:
            for each in typists:
                print(f"{editors} editors: reading {each.gap.path} ...", file=sys.stderr, end="\r")
                await each.open()
            before = await typists[0].client.stats()
            began = time.monotonic()
            await asyncio.gather(*(each.type(began + seconds) for each in typists))
            took = time.monotonic() - began
            after = await typists[0].client.stats()
        finally:
            await asyncio.gather(*(each.client.stop() for each in typists))
    ms = [one for each in typists for one in each.ms]
    shares = [len(each.ms) / each.asked for each in typists if each.asked]
    asked = sum(each.asked for each in typists)
    return {
        "editors": editors,
        "asked": asked,
        "in_time": len(ms) / asked if asked else 0.0,
        "worst": min(shares, default=0.0),
        "best": max(shares, default=0.0),
        "ms": percentiles(ms),
        "a_second": round(len(ms) / took, 2),
        "evictions": int(after["evictions"]) - int(before["evictions"]),
        "cpu_share": round((int(after["cpu_ms"]) - int(before["cpu_ms"])) / 1000 / took, 2),
    }


if __name__ == "__main__":
    sys.exit(main())
