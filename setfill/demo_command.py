"""`setfill demo`: take pieces out of real source files and let the model put them back.

The files are of the standard library, so they are on every machine. A piece is
found by its text; where another version of Python words it otherwise, it is
left out.
"""

from __future__ import annotations

import argparse
import asyncio
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from model.api.client import WorkerClient
from model.api.policy import best_policy
from model.api.types import Gap, Infill, InfillRequest, Limits, ModelDescription
from setfill.arguments import Parser, add_color, add_model
from setfill.display import console, notes, show_infill
from setfill.fill_command import cost, infill_with_progress
from setfill.running import child_worker, model_path
from setfill.text_files import SourceFile, replaced

# File, then for each gap what stands somewhere before it and the text that is taken out.
_PIECES: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("calendar.py", (("def isleap(year):", "year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)"),)),
    ("imaplib.py", (("def login(self", "user, password"),)),
    ("textwrap.py", (("def fill(text", "w.fill(text)"),)),
    ("colorsys.py", (("def rgb_to_hls(", "min(r, g, b)"), ("def rgb_to_hsv(", "min(r, g, b)"))),
    ("statistics.py", (("def median_low(data):", "sorted(data)"), ("def median_low(data):", "len(data)"))),
    ("posixpath.py", (("def basename(p):", "i = p.rfind(sep) + 1\n    return p[i:]"),)),
)
_SUFFIX_TELLS = "imaplib.py"  # nothing before the gap says what belongs there: filled once more without what is behind


@dataclass(frozen=True)
class Piece:
    """A source file and the gaps to fill in it; the text now in the gaps is not shown to the model."""

    source: SourceFile
    gaps: tuple[Gap, ...]

    @property
    def max_lines(self) -> int:
        return max(self.source.text.count("\n", gap.start, gap.end) + 1 for gap in self.gaps)

    def without_suffix(self) -> Piece:
        """Return the piece with nothing behind its first gap."""
        start = self.gaps[0].start
        return Piece(replace(self.source, text=self.source.text[:start]), (Gap(start, start),))


def add_parser(commands: Any) -> None:
    parser: Parser = commands.add_parser(
        "demo",
        help="see infills in real files",
        description="Take pieces out of files of Python's standard library and let the model put them back. "
        "No file is changed.",
    )
    add_model(parser)
    add_color(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Fill and show one piece after the other; return the exit status."""
    began = time.monotonic()
    out = console(options.color)
    asyncio.run(_fill_all(model_path(options.model), out, notes(options.color)))
    out.print(f"all of it in {time.monotonic() - began:.1f} s, loading the model included", style="dim")
    return 0


def pieces() -> Iterator[Piece]:
    """Yield the pieces that are there in this Python's standard library."""
    library = Path(sysconfig.get_path("stdlib"))
    for name, cuts in _PIECES:
        if not (library / name).is_file():
            continue
        source = SourceFile.read(library / name)
        gaps = [gap for anchor, cut in cuts if (gap := _find(source.text, anchor, cut))]
        if gaps:
            yield Piece(source, tuple(sorted(gaps, key=lambda gap: gap.start)))


def _find(text: str, anchor: str, cut: str) -> Gap | None:
    start = text.find(anchor)
    start = text.find(cut, start) if start >= 0 else start
    return Gap(start, start + len(cut.rstrip("\n"))) if start >= 0 else None


async def _fill_all(model: Path, out: Console, progress: Console) -> None:
    async with child_worker(model, progress) as (client, description):
        for piece in pieces():
            policy = best_policy(len(piece.gaps), infill=description.infill)
            infill = await _fill(client, piece, progress, policy)
            _show(out, piece, infill, description)
            if description.infill and piece.source.path.name == _SUFFIX_TELLS:
                (blind,) = (await _fill(client, piece.without_suffix(), progress, policy)).gaps
                out.print(f"      without the text behind the gap: {blind.text.strip()}", style="dim", markup=False)
            out.print()


async def _fill(client: WorkerClient, piece: Piece, progress: Console, policy: str) -> Infill:
    name = piece.source.path.name
    client.open(name, name, piece.source.text, version=1)
    request = InfillRequest(name, 1, piece.gaps, policy, limits=Limits(max_tokens=24, max_lines=piece.max_lines))
    infill = await infill_with_progress(client, request, progress)
    client.close(name)
    return infill


def _show(out: Console, piece: Piece, infill: Infill, description: ModelDescription) -> None:
    source = piece.source
    text, places = replaced(source.text, piece.gaps, [gap.text for gap in infill.gaps])
    for gap, place, filled in zip(piece.gaps, places, infill.gaps, strict=True):
        out.print(f"{source.path.name}:{source.show(gap)}", style="bold", markup=False)
        show_infill(out, text, place)
        original = source.text[gap.start : gap.end]
        if filled.text.strip() == original.strip():
            out.print("      as in the file itself", style="green")
        else:
            out.print(f"      the file itself has: {' '.join(original.split())}", style="yellow", markup=False)
    together = ""
    if len(infill.gaps) > 1:
        together = "filled jointly, " if description.infill else "filled one after the other (not an adapted model), "
    out.print(f"      {together}{cost(infill, description)}", style="dim", markup=False)
