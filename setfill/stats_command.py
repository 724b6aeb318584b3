"""`setfill stats`: what the language servers on this machine have counted."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from typing import Any

from lint.formats.phrases import count
from model.api.visible_text import visible
from setfill.arguments import Parser, add_color
from setfill.display import console


def add_parser(commands: Any) -> None:
    parser: Parser = commands.add_parser(
        "stats",
        help="show how suggestions fared",
        description="Show how many suggestions were shown and accepted, and how fast they were. "
        "The counts are kept on this machine and sent nowhere.",
    )
    parser.add_argument("--json", action="store_true", help="print the counts of each day as JSON")
    add_color(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from lsp_server.statistics import COUNTERS, saved_counts, statistics_file

    days = saved_counts()
    if options.json:
        print(json.dumps(days))
        return 0
    out = console(options.color)
    if not days:
        out.print(f"nothing has been counted yet in {visible(str(statistics_file()))}", markup=False)
        return 0
    total: Counter[str] = sum(days.values(), Counter())
    out.print(f"{count(len(days), 'day')}, {next(iter(days))} to {list(days)[-1]}", style="bold")
    for name, meaning in COUNTERS.items():
        out.print(f"{total[name]:>12,}  {meaning}", markup=False)
    for share, meaning, name, of in (
        (100.0, "% of the suggestions shown were accepted", "accepted", "shown"),
        (1.0, "ms from request to answer, on average", "decode_ms", "decodes"),
    ):
        if total[of]:
            out.print(f"{share * total[name] / total[of]:>12.1f}  {meaning}", markup=False)
    return 0
