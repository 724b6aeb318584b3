"""`setfill eval`: infilling benchmarks, cut gaps, losses on held-out packages, sessions after edits, comparisons."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from model.api.visible_text import visible
from model.errors import InputError
from setfill import eval_lines_command
from setfill.arguments import RECORDING, Parser, add_model, positive, seed
from setfill.display import console, notes
from setfill.eval_progress import kept_beside, progress_of
from setfill.fill_command import add_copying, add_policies
from setfill.running import checkpoint_of

_LENGTHS = {"self": ("self",), "gold": ("gold",), "both": ("self", "gold")}


def add_parser(commands: Any) -> None:
    parser: Parser = commands.add_parser(
        "eval",
        help="measure how good a model is",
        description="Measure a model: docs/evaluation.md says how, and what the numbers mean.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True, parser_class=Parser)

    infilling = actions.add_parser(
        "infilling",
        help="fill the gaps of a benchmark and run its tests",
        description="Fill the gaps of DATA, run the tests of each in a sandbox, and write REPORT with a page (.md) and "
        "a plot (.svg) beside it.",
    )
    infilling.add_argument(
        "data",
        metavar="DATA",
        type=Path,
        help="JSON lines of human-eval-infilling, or of MBPP; may be compressed (.gz)",
    )
    add_policies(infilling)
    add_copying(infilling)
    infilling.add_argument(
        "--length",
        choices=list(_LENGTHS),
        default="both",
        help="who says how long an infill is: the model itself, or the text that stood there (default: %(default)s)",
    )
    infilling.add_argument(
        "--limit", metavar="N", type=positive, help="only N gaps, drawn with the seed (default: all)"
    )
    infilling.add_argument(
        "--max-tokens", metavar="N", type=positive, default=256, help="end an infill here (default: %(default)s)"
    )
    infilling.add_argument("--seed", metavar="S", type=seed, default=0, help="of draws and intervals (default: 0)")
    infilling.add_argument("--precision", metavar="P", help="float32, bfloat16 or int8 (default: this machine's)")
    infilling.add_argument("--out", metavar="REPORT", type=Path, default=Path("eval.json"), help="default: %(default)s")
    infilling.add_argument(
        "--without-isolation",
        action="store_true",
        help="run the generated programs even where they cannot be kept from network and files: "
        "only in a machine that you can lose",
    )
    infilling.set_defaults(run=run_infilling)

    eval_lines_command.add_parser(actions)

    comparing = actions.add_parser(
        "compare",
        help="compare two runs gap by gap",
        description="Print the differences B - A of two reports on the same data, with paired intervals. Without B, "
        "those of A's other policies from its first.",
    )
    report = "a report of setfill eval infilling or lines"
    comparing.add_argument("first", metavar="A.json", type=Path, help=report)
    comparing.add_argument("second", metavar="B.json", type=Path, nargs="?", help=report)
    comparing.add_argument("--json", action="store_true", help="print JSON")
    comparing.set_defaults(run=run_compare)

    losing = actions.add_parser(
        "loss",
        help="losses on held-out packages, by kind of row",
        description="Print the losses on the packages that CORPUS holds out, by kind of row and draft distance.",
    )
    losing.add_argument("corpus", metavar="CORPUS", type=Path, help="what setfill train corpus wrote")
    losing.add_argument("--units", metavar="N", type=positive, default=16, help="units of rows (default: %(default)s)")
    losing.add_argument("--config", metavar="TOML", type=Path, help="settings of a training run, for its examples")
    losing.add_argument("--json", action="store_true", help="print JSON")
    losing.set_defaults(run=run_loss)

    drifting = actions.add_parser(
        "session",
        help="how far a session is from a fresh window after edits",
        description="Replay a recorded editing session, and compare the model's logits with those of a fresh window.",
    )
    drifting.add_argument("trace", metavar="TRACE", type=Path, help=RECORDING)
    drifting.add_argument("--first", metavar="N", type=positive, default=0, help="begin after N edits (default: 0)")
    drifting.add_argument("--edits", metavar="N", type=positive, default=500, help="how many (default: %(default)s)")
    drifting.add_argument("--samples", metavar="N", type=positive, default=50, help="places (default: %(default)s)")
    drifting.add_argument("--json", action="store_true", help="print JSON")
    drifting.set_defaults(run=run_session)

    for each in (losing, drifting):
        each.add_argument(
            "--out", metavar="REPORT", type=Path, help="write the report here too; an interrupted run then goes on"
        )
    for each in (infilling, losing, drifting):
        add_model(each)


def run_infilling(options: argparse.Namespace) -> int:
    from model.evaluation.infilling import Settings, evaluate
    from model.evaluation.report import summary_table, write_report
    from model.evaluation.sandbox import Sandbox
    from model.evaluation.tasks import file_hash, read_tasks

    tasks = read_tasks(options.data, options.limit, options.seed)
    sandbox = Sandbox(isolated=not options.without_isolation)
    policies = tuple(dict.fromkeys(options.policies or ["verified"]))
    settings = Settings(
        policies,
        _LENGTHS[options.length],
        options.precision,
        options.max_tokens,
        options.seed,
        not options.without_copying,
    )
    with kept_beside(options.out) as log:
        with progress_of("gaps") as progress:
            report = evaluate(checkpoint_of(options.model), tasks, sandbox, settings, progress, log)
        report["data"] = {"name": options.data.name, "sha256": file_hash(options.data)}
        write_report(options.out, report)
    out = console("never")
    for note in report["notes"]:
        out.print(note, markup=False)
    out.print(summary_table(report["summary"]), markup=False)
    notes("never").print(f"wrote {visible(str(options.out))}", markup=False)
    return 0


def run_compare(options: argparse.Namespace) -> int:
    from model.evaluation.comparison import compare
    from model.evaluation.report import comparison_table, read_report

    pairs = compare(read_report(options.first), read_report(options.second) if options.second else None)
    print(json.dumps(pairs, indent=1) if options.json else comparison_table(pairs))
    return 0


def run_loss(options: argparse.Namespace) -> int:
    from model.evaluation.held_out import held_out_loss, loss_page
    from model.training.config import TrainingConfig, read_config

    config = read_config(options.config) if options.config else TrainingConfig()
    with kept_beside(options.out) as log:
        with progress_of("units") as progress:
            report = held_out_loss(
                checkpoint_of(options.model), options.corpus, options.units, config.examples, progress=progress, log=log
            )
        _write(options.out, report)
    print(json.dumps(report, indent=1) if options.json else loss_page(report))
    return 0


def run_session(options: argparse.Namespace) -> int:
    from model.evaluation.drift import drift_page, session_drift
    from model.evaluation.edit_trace import read_trace

    trace = read_trace(options.trace)
    with kept_beside(options.out) as log:
        with progress_of("edits") as progress:
            report = session_drift(
                checkpoint_of(options.model), trace, options.samples, first=options.first, edits=options.edits,
                progress=progress, log=log,
            )  # fmt: skip
        _write(options.out, report)
    print(json.dumps(report, indent=1) if options.json else drift_page(report))
    return 0


def _write(path: Path | None, report: dict[str, Any]) -> None:
    if path is None:
        return
    try:
        path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error}") from error
