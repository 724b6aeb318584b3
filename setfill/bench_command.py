"""`setfill bench`: recorded editing sessions played against a language server, with what a user feels measured."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from model.api.visible_text import visible
from model.errors import InputError
from setfill.arguments import RECORDING, Parser, add_model, fraction, non_negative, output_file, positive, seed
from setfill.display import notes

SCHEDULE = """\
The schedule: gaps between keys are log-normal, median --key-ms, a deviation of 0.5 in the logarithm; 8 % of the keys,
and all behind which the typist goes elsewhere, are followed by a pause instead, 400 ms at least and --pause-ms in the
mean. A suggestion is asked for at once after a key behind which --ask-after-ms or more pass, and after --ask-every
keys without one. Of the suggestions that are what came next in the recording, --accept-share are accepted, 300 ms
after they came; the others are typed through. A newer key withdraws the request before it."""


def add_parser(commands: Any) -> None:
    parser: Parser = commands.add_parser(
        "bench",
        help="measure a language server under recorded editing",
        description="Measure how soon suggestions come while a recorded session is typed.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True, parser_class=Parser)

    playing = actions.add_parser(
        "replay",
        help="type a recorded session, and measure what comes of it",
        description="Play TRACE against `setfill serve`, or another language server with inline completion, in real "
        "time; print latencies by kind of edit, and write REPORT with plots (.svg) beside it. No text is kept.",
        epilog=SCHEDULE,
    )
    playing.add_argument("trace", metavar="TRACE", type=Path, help=RECORDING)
    playing.add_argument("--first", metavar="N", type=positive, default=0, help="begin after N edits (default: 0)")
    playing.add_argument("--edits", metavar="N", type=positive, help="how many edits (default: all)")
    playing.add_argument("--minutes", metavar="M", type=non_negative, help="end after M minutes")
    playing.add_argument("--seed", metavar="S", type=seed, default=0, help="of gaps and draws (default: 0)")
    for option, metavar, kind, default, meaning in (
        ("--key-ms", "MS", non_negative, 140.0, "median time between keys"),
        ("--pause-ms", "MS", non_negative, 1500.0, "mean length of pauses"),
        ("--ask-after-ms", "MS", non_negative, 200.0, "ask at once after a key behind which this much time passes"),
        ("--ask-every", "N", positive, 5, "ask after N keys at the latest"),
        ("--accept-share", "P", fraction, 0.7, "how many of the right suggestions are accepted"),
    ):
        playing.add_argument(
            option, metavar=metavar, type=kind, default=default, help=f"{meaning} (default: %(default)s)"
        )
    playing.add_argument(
        "--settle", metavar="S", type=non_negative, default=5.0, help="seconds before the first key (default: 5)"
    )
    playing.add_argument(
        "--file-name", metavar="NAME", default="recording.rs", help="what the file is called (default: %(default)s)"
    )
    playing.add_argument(
        "--follow",
        metavar="REPORT",
        type=Path,
        help="accept what was accepted in that replay, so that two servers are asked the same",
    )
    playing.add_argument(
        "--server", metavar="COMMAND", help="a language server on its standard streams, in place of `setfill serve`"
    )
    playing.add_argument(
        "--settings", metavar="JSON", type=settings, default={}, help="of the server (docs/settings.md)"
    )
    playing.add_argument(
        "--out", metavar="REPORT", type=output_file, default=Path("replay.json"), help="default: %(default)s"
    )
    playing.add_argument("--json", action="store_true", help="print JSON")
    add_model(playing)
    playing.set_defaults(run=run_replay)

    comparing = actions.add_parser(
        "compare",
        help="compare two replays of one recording",
        description="Print how many times as long B took as A, by kind of edit. B was played with --follow A.json.",
    )
    comparing.add_argument("first", metavar="A.json", type=Path, help="a report of setfill bench replay")
    comparing.add_argument("second", metavar="B.json", type=Path, help="another one, of the same recording")
    comparing.add_argument("--json", action="store_true", help="print JSON")
    comparing.set_defaults(run=run_compare)


def settings(text: str) -> dict[str, Any]:
    """Read settings, for argparse."""
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise argparse.ArgumentTypeError('expected settings in JSON, as in {"debounceMs": 0}')
    return values


def run_replay(options: argparse.Namespace) -> int:
    from model.evaluation.edit_trace import read_trace
    from setfill.replay.measures import summary
    from setfill.replay.pages import plots, table
    from setfill.replay.reports import machine, read_report
    from setfill.replay.run import Server, replay
    from setfill.replay.script import Pace, Script
    from setfill.running import model_path

    pace = Pace(
        options.seed,
        options.key_ms,
        pause_ms=options.pause_ms,
        ask_after_ms=options.ask_after_ms,
        ask_every_keys=options.ask_every,
        accept_share=options.accept_share,
    )
    script = Script(read_trace(options.trace), options.first, options.edits)
    follow = read_report(options.follow).accepted if options.follow else None
    command = tuple(shlex.split(options.server)) if options.server else (sys.executable, "-m", "setfill", "serve")
    if not command:
        raise InputError("--server names no command")
    model = {} if options.server else {"model": str(model_path(options.model)), "sharedWorker": False}
    server = Server(command, {**model, **options.settings}, options.file_name)
    until_s = None if options.minutes is None else 60 * options.minutes
    played, told = replay(server, script, pace, follow, settle_s=options.settle, until_s=until_s)
    found = summary(played)
    report = {
        "kind": "replay",
        "trace": {"name": options.trace.name, "first": options.first},
        "server": "setfill serve" if not options.server else options.server,
        "model": told.get("model"),
        "precision": told.get("precision"),
        "machine": machine(),
        "pace": asdict(pace),
        "summary": found,
        "played": played.to_json(),
    }
    options.out.write_text(json.dumps(report), encoding="utf-8")
    picture = options.out.with_suffix(".svg")
    picture.write_text(plots(played), encoding="utf-8")
    print(json.dumps(found, indent=1) if options.json else table(found))
    notes("never").print(f"wrote {visible(str(options.out))} and {visible(str(picture))}", markup=False)
    return 0 if played.text_as_recorded and played.texts_equal is not False else 1


def run_compare(options: argparse.Namespace) -> int:
    from setfill.replay.measures import ratios
    from setfill.replay.pages import ratio_table
    from setfill.replay.reports import read_report

    first, second = read_report(options.first), read_report(options.second)
    found = ratios(first.asked, second.asked)
    print(json.dumps(found, indent=1) if options.json else ratio_table(found, (first.name, second.name)))
    return 0
