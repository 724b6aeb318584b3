"""The language server under a real editing session: stalls of its event loop, latency, memory.

    python -m benchmarks.server [--patches N] [--skip N] [--model NAME|PATH] [--json]

Replays a piece of a recorded session (Rust, in VS Code; see tests/data) against the whole server in a process
of its own, with a worker of its own. After each patch, as an editor does, inline completion is asked for where the
patch ended. The recording's time stamps are too coarse for gaps between keys: those are drawn from an exponential
distribution, and one patch in eight is followed by a pause to read.

A stall is one callback on the event loop that runs long, by the clock on the wall. On a busy machine that counts what
other processes took as well, so the processor's time is told beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model import store
from tests.lsp_server.client import Client, start

ROOT = Path(__file__).resolve().parents[1]
SESSION = ROOT / "tests" / "data" / "rustcode-5000.json.gz"
URI = "file:///workspace/skiplist.rs"
LONGEST_STALL_MS = 50


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server", description=__doc__)
    parser.add_argument("--patches", type=int, default=400, help="how many patches to replay (default: %(default)s)")
    parser.add_argument("--skip", type=int, default=2600, help="begin behind so many (default: %(default)s)")
    parser.add_argument("--gap-ms", type=float, default=60.0, help="mean time between patches (default: %(default)s)")
    parser.add_argument("--pause-ms", type=float, default=1500.0, help="a pause to read (default: %(default)s)")
    parser.add_argument("--model", default=store.DEFAULT_MODEL, help="a model's name or path (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--serve", metavar="REPORT", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve:
        return serve(options.serve)
    found = asyncio.run(replay(options))
    print(json.dumps(found) if options.json else told(found))
    return 0


def serve(report: Path) -> int:
    """Be the server, with every callback of its event loop timed."""
    from lsp_server.run import run_on_standard_streams, set_up_logging

    slow: list[tuple[float, float, float]] = []
    begun = time.perf_counter()
    callbacks = 0
    run = asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        nonlocal callbacks
        wall, processor = time.perf_counter(), time.thread_time()
        run(handle)
        ms = (time.perf_counter() - wall) * 1000
        callbacks += 1
        if ms > LONGEST_STALL_MS / 10:
            slow.append((ms, (time.thread_time() - processor) * 1000, wall - begun))

    asyncio.Handle._run = timed  # type: ignore[method-assign]
    set_up_logging("warning")
    status = run_on_standard_streams()
    report.write_text(json.dumps({"callbacks": callbacks, "slow": sorted(slow, reverse=True)[:50]}))
    return status


async def replay(options: argparse.Namespace) -> dict[str, Any]:
    """Return what was measured."""
    patches = json.loads(gzip.decompress(SESSION.read_bytes()))["patches"]
    text = ""
    for char, deleted, inserted in patches[: options.skip]:
        text = text[:char] + inserted + text[char + deleted :]
    patches = patches[options.skip : options.skip + options.patches]
    draw = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "stalls.json")
        command = (sys.executable, "-m", "benchmarks.server", "--serve", str(report))
        client = await start(command, XDG_STATE_HOME=folder)
        await client.initialize(model=options.model)
        client.open(URI, text, "rust")
        await asyncio.sleep(10)  # the file is read
        answers: list[tuple[str, float]] = []
        asking: set[asyncio.Task[None]] = set()
        started = time.monotonic()
        for char, deleted, inserted in patches:
            edit(client, char, deleted, inserted)
            asking.add(asyncio.create_task(ask(client, char + len(inserted), answers)))
            pause_ms = options.pause_ms if draw.random() < 1 / 8 else draw.expovariate(1 / options.gap_ms)
            await asyncio.sleep(pause_ms / 1000)
        await asyncio.wait(asking)
        seconds = time.monotonic() - started
        status = await client.request("setfill/status", {"worker": True})
        memory = {"server": memory_mb(client.process.pid), "worker": memory_mb(status["workerPid"])}
        await client.stop()
        stalls = json.loads(report.read_text())
    return summary(answers, stalls, status, memory, seconds)


def edit(client: Client, char: int, deleted: int, inserted: str) -> None:
    text = client.texts[URI].text
    span = {"start": place(text, char), "end": place(text, char + deleted)}
    client.versions[URI] += 1
    client.texts[URI].text = text[:char] + inserted + text[char + deleted :]
    identity = {"uri": URI, "version": client.versions[URI]}
    change = {"textDocument": identity, "contentChanges": [{"range": span, "text": inserted}]}
    client.notify("textDocument/didChange", change)


def place(text: str, char: int) -> dict[str, int]:
    """A position in a text that has but line feeds and no wide characters."""
    return {"line": text.count("\n", 0, char), "character": char - text.rfind("\n", 0, char) - 1}


async def ask(client: Client, char: int, answers: list[tuple[str, float]]) -> None:
    params = {
        "textDocument": {"uri": URI},
        "position": place(client.texts[URI].text, char),
        "context": {"triggerKind": 2},
    }
    started = time.monotonic()
    answer = await client.request("textDocument/inlineCompletion", params)
    kind = "overtaken" if answer is None else "shown" if answer else "silent"
    answers.append((kind, (time.monotonic() - started) * 1000))


def summary(
    answers: list[tuple[str, float]],
    stalls: dict[str, Any],
    status: dict[str, Any],
    memory: dict[str, float],
    seconds: float,
) -> dict[str, Any]:
    of = {kind: sorted(ms for each, ms in answers if each == kind) for kind in ("shown", "silent", "overtaken")}
    worker = status["worker"]
    rows = worker["rows_computed"] + worker["rows_reused"]
    return {
        "seconds": round(seconds, 1),
        "requests": len(answers),
        **{kind: len(found) for kind, found in of.items()},
        "shown_ms": percentiles(of["shown"]),
        "overtaken_ms": percentiles(of["overtaken"]),
        "callbacks": stalls["callbacks"],
        "stalls_over_50_ms": sum(ms > LONGEST_STALL_MS for ms, _, _ in stalls["slow"]),
        "longest": [[round(number, 1) for number in each] for each in stalls["slow"][:5]],
        "rows_reused": round(worker["rows_reused"] / rows, 3) if rows else None,
        "memory_mb": memory,
    }


def percentiles(ms: list[float]) -> dict[str, float] | None:
    """Return some percentiles of ascending numbers."""
    return {f"p{part}": round(ms[min(len(ms) - 1, len(ms) * part // 100)], 1) for part in (50, 90, 99)} if ms else None


def memory_mb(pid: int) -> float:
    """Return a process's share of memory in megabytes: pages that others use too are counted in part."""
    found = next(line for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() if line.startswith("Pss:"))
    return round(int(found.split()[1]) / 1000, 1)


def told(found: dict[str, Any]) -> str:
    lines = [
        f"{found['requests']} requests in {found['seconds']} s: {found['shown']} shown, {found['silent']} answered "
        f"with nothing, {found['overtaken']} overtaken by the next key",
        f"from request to suggestion, ms:  {found['shown_ms']}",
        f"until an overtaken one is let go, ms:  {found['overtaken_ms']}",
        f"stalls of the event loop over {LONGEST_STALL_MS} ms: {found['stalls_over_50_ms']} in "
        f"{found['callbacks']:,} callbacks; the longest:",
        *(
            f"  {ms:8} ms, {processor_ms:6} ms of them on the processor, {seconds:6} s after the start"
            for ms, processor_ms, seconds in found["longest"]
        ),
        f"rows reused: {found['rows_reused']}",
        f"memory, MB: {found['memory_mb']}",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
