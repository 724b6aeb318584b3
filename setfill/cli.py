"""The commands of `setfill`, and what happens when one goes wrong.

Exit status: 0 done, 1 `doctor` found something wrong, or `lint` something
suspicious, 2 an error that the user can mend (one line says how), 141 the reader
of the output has left; setfill.entry adds 130, interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from model.api.runtime import package_version
from model.errors import SetfillError
from setfill import (
    bench_command,
    demo_command,
    doctor_command,
    eval_command,
    fill_command,
    lint_command,
    models_command,
    serve_command,
    serve_team_command,
    stats_command,
    train_command,
)
from setfill.arguments import Parser
from setfill.output import NO_READER, discard_output, prepare_streams

# Each adds its parser, whose `run` takes the options and returns the exit status.
_COMMANDS = (
    fill_command,
    lint_command,
    serve_command,
    serve_team_command,
    stats_command,
    models_command,
    train_command,
    eval_command,
    bench_command,
    doctor_command,
    demo_command,
)


def run(arguments: Sequence[str]) -> int:
    """Carry out one command line; return the exit status."""
    try:
        try:
            prepare_streams()
            return _carried_out(arguments)
        except SetfillError as error:
            return _fail(str(error))
        except argparse.ArgumentTypeError as error:  # options that do not go together
            return _fail(str(error))
        finally:
            if sys.stdout:
                sys.stdout.flush()
    except (
        BrokenPipeError
    ):  # the reader of our output has left, as `head` does; 1 would mean that `lint` found something
        discard_output()
        return NO_READER
    except OSError as error:
        discard_output()
        what = error.filename or "cannot print the output, or work on"
        return _fail(f"{what}: {error.strerror or error}")


def _carried_out(arguments: Sequence[str]) -> int:
    try:
        options = build_parser().parse_args(arguments)
        status: int = options.run(options)
    except SystemExit as ended:  # of the parser, which has said why
        return ended.code if isinstance(ended.code, int) else 0
    return status


def build_parser() -> Parser:
    """Return the parser of the whole command line."""
    parser = Parser(prog="setfill", description="Code infilling by set diffusion.")
    parser.add_argument("--version", action="version", version=f"setfill {package_version()}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    for command in _COMMANDS:
        command.add_parser(commands)
    return parser


def _fail(text: str) -> int:
    from model.api.visible_text import visible
    from setfill.display import notes

    try:
        out = notes()
        out.print("setfill: error:", style="bold red", end=" ")
        out.print(visible(text), markup=False)
    except OSError:  # standard error is full, or closed
        discard_output()
    return 2
