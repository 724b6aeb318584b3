"""Setfill beside llama.cpp on the same requests, cores and weights: how soon suggestions come, by kind of edit.

    python -m benchmarks.peer TRACE [--first N] [--minutes M] [--pieces P] [--model NAME|PATH] [--json]

Of llama.cpp's quantisations the fastest here is chosen first. Then pieces of the recording are replayed in turn,
Setfill first; llama.cpp follows it, so that both are asked the same, at the same times (`setfill bench replay
--follow`). Setfill shows whatever the model says (`confidenceFloor` 0), as its peer does. Needs
`pip install -e ".[peer]"`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.llama import Peer, convert
from model import store
from model.evaluation.edit_trace import read_trace, replayed
from setfill.replay.measures import ratios
from setfill.replay.pages import ratio_table
from setfill.replay.player import Asked
from setfill.replay.reports import machine, read_report

QUANTISATIONS = ("Q4_0", "Q4_1", "Q5_0", "Q8_0")
REPEATS = 5
TYPED, TOKENS = "if ", 16  # of each repeat: what is typed, and how much follows
EDITS_APART = 1500  # between the beginnings of pieces


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peer", description=__doc__)
    parser.add_argument("trace", metavar="TRACE", type=Path, help="a .json or .json.gz file of editing-traces")
    parser.add_argument("--first", type=int, default=13000, help="begin after so many edits (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=1.0, help="of each piece (default: %(default)s)")
    parser.add_argument("--pieces", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--settle", type=float, default=5.0, help="seconds before the first key (default: %(default)s)")
    parser.add_argument("--model", default=store.DEFAULT_MODEL, help="a model's name or path (default: %(default)s)")
    parser.add_argument(
        "--gguf", type=Path, action="append", help="converted before, by benchmarks.llama; several times"
    )
    parser.add_argument("--out", type=Path, help="keep the reports in this folder")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        out = options.out or Path(scratch)
        out.mkdir(exist_ok=True)
        files = options.gguf or [converted(options.model, each, Path(scratch)) for each in QUANTISATIONS]
        gguf = fastest(files, options.model, options.trace, options.first)
        reports: list[tuple[Path, Path]] = []
        for piece in range(options.pieces):
            ours, theirs = (out / f"{name}-{piece}.json" for name in ("setfill", "llama"))
            first = ["--first", str(options.first + EDITS_APART * piece), "--minutes", str(options.minutes)]
            shared = [str(options.trace), *first, "--settle", str(options.settle)]
            note(play([*shared, "--model", options.model, "--settings", '{"confidenceFloor": 0}', "--out", str(ours)]))
            server = f"{sys.executable} -m benchmarks.llama serve {gguf} --model {options.model}"
            note(play([*shared, "--server", server, "--follow", str(ours), "--out", str(theirs)]))
            reports.append((ours, theirs))
        # What a piece ended with in one replay only is left out of both.
        pairs = [list(zip(*(read_report(path).asked for path in each), strict=False)) for each in reports]
        asked: list[tuple[Asked, Asked]] = [pair for piece in pairs for pair in piece]
    found = ratios([ours for ours, _ in asked], [theirs for _, theirs in asked])
    if options.json:
        print(json.dumps({"machine": machine(), "quantisation": gguf.stem, "by_kind": found}, indent=1))
    else:
        print(ratio_table(found, ("setfill", f"llama.cpp ({gguf.stem})")))
    return 0


def play(arguments: list[str]) -> str:
    """Replay in a process of its own; return what it tells."""
    command = [sys.executable, "-m", "setfill", "bench", "replay", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def converted(model: str, quantisation: str, folder: Path) -> Path:
    """Write a model's GGUF file; return its path."""
    gguf = folder / f"{quantisation}.gguf"
    convert(model, gguf, quantisation)
    return gguf


def fastest(files: Sequence[Path], model: str, trace: Path, first: int) -> Path:
    """Return the file with which llama.cpp continues a line fastest behind a few keys."""
    recorded = read_trace(trace)
    text, at = replayed(recorded.text, recorded.patches[:first]), recorded.patches[first][0]
    found: dict[Path, float] = {}
    for gguf in files:
        found[gguf] = asyncio.run(_milliseconds(Peer(gguf, model, threads=2), text, at))
        note(f"llama.cpp, {gguf.stem}: {found[gguf]:.0f} ms for {TOKENS} tokens behind {TYPED!r}")
    return min(found, key=lambda gguf: found[gguf])


async def _milliseconds(peer: Peer, text: str, at: int) -> float:
    await peer.complete(text, at)  # the prefix is encoded
    took = []
    for _ in range(REPEATS):
        text, at = text[:at] + TYPED + text[at:], at + len(TYPED)
        started = time.monotonic()
        await peer.complete(text, at, TOKENS, stop=())
        took.append((time.monotonic() - started) * 1000)
    return min(took)


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
