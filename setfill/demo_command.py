"""`setfill demo`: take ends of lines out of real source files and let the model put them back.

The files are of the standard library, so they are on every machine. Which lines, a seed draws.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from model.api.client import WorkerClient
from model.api.policy import best_policy
from model.api.types import Infill, InfillRequest, Limits, ModelDescription
from setfill.arguments import Parser, add_color, add_model, seed
from setfill.demo_gaps import Piece, drawn_pieces
from setfill.display import console, notes, show_infill
from setfill.fill_command import cost, fitted, infill_with_progress
from setfill.running import child_worker, model_path
from setfill.text_files import replaced

_SINGLES, _PAIRS = 6, 1
_MAX_TOKENS = 24


def add_parser(commands: Any) -> None:
    parser: Parser = commands.add_parser(
        "demo",
        help="see infills in real files",
        description="Take ends of lines out of files of Python's standard library, drawn at random, and let the model "
        "put them back. No file is changed.",
    )
    parser.add_argument(
        "--seed", metavar="S", type=seed, default=0, help="what the draw begins with (default: %(default)s)"
    )
    add_model(parser)
    add_color(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Fill and show one piece after the other, and how many were as in the file; return the exit status."""
    began = time.monotonic()
    out = console(options.color)
    model = model_path(options.model)
    pieces = drawn_pieces(options.seed, _SINGLES, _PAIRS)
    right = asyncio.run(_fill_all(model, pieces, out, notes(options.color)))
    gaps = sum(len(piece.gaps) for piece in pieces)
    out.print(f"{right} of {gaps} as in the file", style="bold")
    out.print(
        f"The gaps were drawn with the seed {options.seed}, and none was left out; --seed S draws others. They are"
    )
    out.print("ends of lines whose words stand elsewhere in the file too.")
    out.print("Such files may have been in the data that the base of the model was trained on.")
    out.print(f"all of it in {time.monotonic() - began:.1f} s, loading the model included", style="dim")
    return 0


async def _fill_all(model: Path, pieces: list[Piece], out: Console, progress: Console) -> int:
    """Return how many gaps were filled as in the file."""
    right = 0
    async with child_worker(model, progress) as (client, description):
        for piece in pieces:
            infill = fitted(piece.source, await _fill(client, piece, progress, description))
            right += _show(out, piece, infill, description)
            out.print()
    return right


async def _fill(client: WorkerClient, piece: Piece, progress: Console, description: ModelDescription) -> Infill:
    name = piece.source.path.name
    client.open(name, name, piece.source.text, version=1)
    policy = best_policy(len(piece.gaps), adapted=description.adapted)
    request = InfillRequest(name, 1, piece.gaps, policy, limits=Limits(max_tokens=_MAX_TOKENS, max_lines=1))
    infill = await infill_with_progress(client, request, progress)
    client.close(name)
    return infill


def _show(out: Console, piece: Piece, infill: Infill, description: ModelDescription) -> int:
    """Show an infill beside what the file has; return in how many gaps they are the same."""
    source, right = piece.source, 0
    text, places = replaced(source.text, piece.gaps, [gap.text for gap in infill.gaps])
    for gap, place, filled in zip(piece.gaps, places, infill.gaps, strict=True):
        out.print(f"{source.path.name}:{source.show(gap)}", style="bold", markup=False)
        show_infill(out, text, place)
        original = source.text[gap.start : gap.end]
        if filled.text.strip() == original.strip():
            right += 1
            out.print("      as in the file itself", style="green")
        else:
            out.print(f"      the file itself has: {original.strip()}", style="yellow", markup=False)
    together = ""
    if len(infill.gaps) > 1:
        together = "filled jointly, " if description.adapted else "filled one after the other (not an adapted model), "
    out.print(f"      {together}{cost(infill, description)}", style="dim", markup=False)
    return right
