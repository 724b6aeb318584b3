"""`setfill fill`: infill places of one file, through the same worker and client as an editor."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from grammars import Span, detect_language, fitted_infill, fitted_infills, snapshot_of, without_loose_end
from lint.formats.phrases import count
from model.api import trace_page
from model.api.client import WorkerClient
from model.api.policy import DEFAULT_BEAMS, VERIFIED, best_policy, parse_policy
from model.api.types import Gap, Infill, InfillRequest, Limits, ModelDescription, PartialInfill, Sampling
from model.api.visible_text import visible
from model.errors import InputError
from setfill.arguments import Parser, add_color, add_model, fraction, non_negative, output_file, positive, seed
from setfill.display import console, notes, show_infill
from setfill.running import asked_worker
from setfill.team import add_team, may_leave
from setfill.text_files import Position, SourceFile, replaced

JSON_HELP = """\
with --json, one object is printed:
  {"model": NAME, "gaps": [GAP, ...]}        gaps in the order of the file; each GAP has
    "range"      {"start": {"line", "column"}, "end": {"line", "column"}}, what the text replaces
    "text"       the infill, without what stands behind it anyway and without an end that is cut off in the middle;
                 empty when there is nothing to suggest
    "logprobs"   natural logarithms, one for each token
    "tokens"     how many tokens were generated
    "forwards"   how often the network ran for the whole request: gaps may share forwards
    "ms"         milliseconds of the whole request, loading the model not included
    "alternatives"  with --candidates: further infills, the likeliest first, with "text", "logprobs" and "tokens\""""

EXAMPLES = """\
examples:
  setfill fill app.py --at 12:5
  setfill fill app.py --at 12:5 --policy beam:4
  setfill fill app.py --at 3:1 --range 12:5-14:1 --max-lines 4 --write
  git show HEAD:app.py | setfill fill - --stdin-filename app.py --at 12:5"""


def add_parser(commands: Any) -> None:
    parser: Parser = commands.add_parser(
        "fill",
        help="infill places of a file",
        description="Infill places of FILE: an empty one given by --at, or one whose text is replaced, given by "
        "--range. Lines and columns count from 1, columns in characters.",
        epilog=f"{JSON_HELP}\n\n{EXAMPLES}",
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="a UTF-8 text file; - is standard input")
    parser.add_argument(
        "--stdin-filename",
        metavar="NAME",
        type=Path,
        help="with - as FILE: what the text would be called, by which its language is known",
    )
    parser.add_argument(
        "--at", metavar="LINE:COL", dest="places", action="append", type=place_at, help="fill here; may be repeated"
    )
    parser.add_argument(
        "--range",
        metavar="L:C-L:C",
        dest="places",
        action="append",
        type=place_range,
        help="replace this text; may be repeated",
    )
    parser.add_argument(
        "--policy",
        metavar="P",
        type=policy,
        help="order in which tokens become known: left_to_right, verified (the same, with drafts that save forwards), "
        "beam:B (left to right, B beginnings at once: slower, and goes better with the text behind), block:B, window:S "
        f"or uniform (default: beam:{DEFAULT_BEAMS} for one place and an adapted model, without --reveal and "
        "--temperature; else verified)",
    )
    parser.add_argument(
        "--reveal",
        metavar="R",
        help="how many become known at a time: first_hitting, threshold:P or verified "
        "(when left out, as the policy has it)",
    )
    parser.add_argument(
        "--candidates",
        metavar="N",
        type=positive,
        default=1,
        help="how many different infills to look for, at one place (default: %(default)s)",
    )
    parser.add_argument(
        "--max-lines", metavar="N", type=positive, help="end each infill after N lines (default: no limit)"
    )
    parser.add_argument(
        "--max-tokens",
        metavar="N",
        type=positive,
        default=Limits().max_tokens,
        help="end each infill after N tokens (default: %(default)s)",
    )
    parser.add_argument(
        "--temperature",
        metavar="T",
        type=non_negative,
        default=Sampling().temperature,
        help="0 takes the likeliest token, higher values draw more freely (default: %(default)s)",
    )
    parser.add_argument(
        "--top-p",
        metavar="P",
        type=fraction,
        default=Sampling().top_p,
        help="draw from the likeliest tokens that hold this much probability (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", metavar="S", type=seed, default=Sampling().seed, help="makes a draw repeatable (default: %(default)s)"
    )
    add_model(parser)
    parser.add_argument(
        "--own-worker",
        action="store_true",
        help="load the model for this run even where the model process of open editors could answer, which is the same",
    )
    add_team(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, see below")
    parser.add_argument(
        "--trace", metavar="HTML", type=output_file, help="write a page that replays the decode, forward by forward"
    )
    parser.add_argument("--write", action="store_true", help="write the infills into FILE")
    add_color(parser)
    parser.set_defaults(run=run)


def add_policies(parser: argparse.ArgumentParser) -> None:
    """Add --policy, of which a measurement takes several."""
    parser.add_argument(
        "--policy",
        metavar="P",
        dest="policies",
        action="append",
        type=policy,
        help="order in which tokens become known, as in setfill fill; may be repeated (default: verified)",
    )


def add_copying(parser: argparse.ArgumentParser) -> None:
    """Add --without-copying, for measurements of what copying does."""
    parser.add_argument(
        "--without-copying",
        action="store_true",
        help="take tokens as the model alone expects them, without what the file says elsewhere",
    )


def policy(text: str) -> str:
    """Read the name of an order policy, for argparse; what a model can do of it the engine says."""
    try:
        parse_policy(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def place_at(text: str) -> tuple[Position, Position]:
    """Read LINE:COL, for argparse."""
    if not (match := re.fullmatch(r"([0-9]{1,9}):([0-9]{1,9})", text)):
        raise argparse.ArgumentTypeError(f"expected LINE:COL, as in 12:5, not {text!r}")
    position = Position(int(match[1]), int(match[2]))
    return position, position


def place_range(text: str) -> tuple[Position, Position]:
    """Read L:C-L:C, for argparse."""
    if not (match := re.fullmatch(r"([0-9]{1,9}):([0-9]{1,9})-([0-9]{1,9}):([0-9]{1,9})", text)):
        raise argparse.ArgumentTypeError(f"expected L:C-L:C, as in 12:5-14:1, not {text!r}")
    line, column, end_line, end_column = map(int, match.groups())
    return Position(line, column), Position(end_line, end_column)


def run(options: argparse.Namespace) -> int:
    """Fill, print, and write if asked; return the exit status."""
    if not options.places:
        raise argparse.ArgumentTypeError("say what to fill: --at LINE:COL or --range L:C-L:C")
    source = _source(options)
    gaps = source.gaps(options.places)
    progress = notes(options.color)
    description, infill = asyncio.run(_fill(options, source, gaps, progress))
    said, infill = infill, fitted(source, infill)
    fillings = [gap.text for gap in infill.gaps]
    text, places = replaced(source.text, gaps, fillings)
    try:
        if options.write and text != source.text:
            source.write(text)  # first: that nobody reads what is printed is no reason to leave it
    finally:
        if options.json:
            print(json.dumps(_as_json(source, description, infill)))
        else:
            _show(console(options.color), source, description, infill, text, places)
    if options.write:
        told = "wrote" if text != source.text else "nothing to change in"
        progress.print(f"{told} {visible(str(source.path))}", markup=False)
    if options.trace:
        trace_page.write(options.trace, trace_page.render(str(source.path), source.text, said, description.name))
        progress.print(f"wrote {visible(str(options.trace))}", markup=False)
    return 0


def _source(options: argparse.Namespace) -> SourceFile:
    """Read what is to be filled, unless it may not go where it would."""
    is_stdin = str(options.file) == "-"
    if not is_stdin and options.stdin_filename:
        raise argparse.ArgumentTypeError("--stdin-filename goes with - as FILE: a file has its name")
    if is_stdin and options.write:
        raise argparse.ArgumentTypeError("--write goes with a file: what is filled in standard input is printed")
    if is_stdin and options.team and not options.stdin_filename:
        raise argparse.ArgumentTypeError("--team wants --stdin-filename with -: some files never go to a service")
    name = (options.stdin_filename or Path("stdin")) if is_stdin else options.file
    if options.team and not may_leave(name):
        raise InputError(f"{name} is excluded by default: its text never goes to a team's service")
    return SourceFile.read_standard_input(name) if is_stdin else SourceFile.read(name)


async def _fill(
    options: argparse.Namespace, source: SourceFile, gaps: list[Gap], progress: Console
) -> tuple[ModelDescription, Infill]:
    async with asked_worker(options, progress, joins=not options.own_worker) as (client, description):
        client.open("file", source.path.name, source.text, version=1)
        request = InfillRequest(
            "file",
            version=1,
            gaps=tuple(gaps),
            policy=options.policy or _policy(options, gaps, description),
            reveal=options.reveal,
            candidates=options.candidates,
            limits=Limits(max_tokens=options.max_tokens, max_lines=options.max_lines),
            sampling=Sampling(options.temperature, options.top_p, options.seed),
            trace=options.trace is not None,
        )
        return description, await infill_with_progress(client, request, progress)


def _policy(options: argparse.Namespace, gaps: list[Gap], description: ModelDescription) -> str:
    """Return the policy for who names none: the one that fills best of those that can do all that is asked."""
    beams_can = not (options.reveal or options.temperature)
    return best_policy(len(gaps), adapted=description.adapted) if beams_can else VERIFIED


async def infill_with_progress(client: WorkerClient, request: InfillRequest, progress: Console) -> Infill:
    """Infill; on a terminal, show how much text there is so far."""
    if not progress.is_terminal:
        return await client.infill(request)
    lengths = [0] * len(request.gaps)
    with progress.status("filling") as line:

        def on_partial(partial: PartialInfill) -> None:
            lengths[partial.gap_index] = len(partial.text)
            line.update(f"filling: {sum(lengths)} characters")

        return await client.infill(request, on_partial)


def fitted(source: SourceFile, infill: Infill) -> Infill:
    """Return the infill with its texts as they fit the file: what an editor would show of them."""
    snapshot = snapshot_of(source.text, detect_language(source.path.name, text=source.text))
    spans = [Span(filled.gap.start, filled.gap.end) for filled in infill.gaps]
    texts = fitted_infills(snapshot, spans, [without_loose_end(filled.text, filled.stop) for filled in infill.gaps])
    gaps = []
    for filled, span, text in zip(infill.gaps, spans, texts, strict=True):
        shown, others = {text}, []
        for other in filled.alternatives:
            other_text = fitted_infill(snapshot, *span, without_loose_end(other.text, other.stop))
            if other_text.strip() and other_text not in shown:
                shown.add(other_text)
                others.append(replace(other, text=other_text))
        gaps.append(replace(filled, text=text, alternatives=tuple(others)))
    return replace(infill, gaps=tuple(gaps))


def _as_json(source: SourceFile, description: ModelDescription, infill: Infill) -> dict[str, Any]:
    def place(index: int) -> dict[str, int]:
        position = source.position(index)
        return {"line": position.line, "column": position.column}

    return {
        "model": description.name,
        "gaps": [
            {
                "range": {"start": place(filled.gap.start), "end": place(filled.gap.end)},
                "text": filled.text,
                "logprobs": filled.logprobs,
                "forwards": infill.forwards,
                "tokens": filled.tokens,
                "ms": round(infill.ms, 1),
                "alternatives": [
                    {
                        "text": other.text,
                        "logprobs": other.logprobs,
                        "tokens": other.tokens,
                    }
                    for other in filled.alternatives
                ],
            }
            for filled in infill.gaps
        ],
    }


def _show(
    out: Console, source: SourceFile, description: ModelDescription, infill: Infill, text: str, places: list[Gap]
) -> None:
    for filled, place in zip(infill.gaps, places, strict=True):
        out.print(f"{visible(str(source.path))}:{source.show(filled.gap)}", style="bold", markup=False)
        if place.start == place.end:
            out.print("      no suggestion here", style="yellow")
        else:
            show_infill(out, text, place)
        for other in filled.alternatives:
            out.print(f"      or: {visible(other.text)}", style="cyan", markup=False)
    out.print(cost(infill, description), style="dim", markup=False)


def cost(infill: Infill, description: ModelDescription) -> str:
    """Return one line that says what an infill took."""
    tokens = sum(gap.tokens for gap in infill.gaps)
    stops = ", ".join(gap.stop for gap in infill.gaps)
    took = f"{count(tokens, 'token')}, {count(infill.forwards, 'forward')}, {infill.ms:.0f} ms (ended by {stops})"
    return f"{took} · {description.name}, {description.precision}"
