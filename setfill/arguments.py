"""How the command line reads its arguments: one line for an error, exit status 2."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Any, NoReturn

from model import store

A_MODEL = "an installed model, a model directory or a GGUF file"
RECORDING = "a recorded editing session: a .json or .json.gz file in the form of github.com/josephg/editing-traces"


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, and whose help keeps its shape."""

    def __init__(self, **settings: object) -> None:
        settings.setdefault("formatter_class", _Help)
        settings.setdefault("allow_abbrev", False)
        super().__init__(**settings)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        (file or sys.stderr).write(message or "")  # argparse's own keeps it to itself when that fails


class _Help(argparse.HelpFormatter):
    """Help of a fixed width, where a text of several lines keeps them."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=110)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add --model, the model to run."""
    parser.add_argument(
        "--model",
        metavar="NAME|PATH",
        default=store.DEFAULT_MODEL,
        help=f"{A_MODEL} (default: %(default)s)",
    )


def add_color(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--color",
        choices=["auto", "always", "never"],
        default="auto",
        help="colour the output; auto: on terminals (default: %(default)s)",
    )


def refuse_without(options: argparse.Namespace, needed: str, option: str, why: str) -> None:
    """Refuse `option` where `needed`, of which it says more, was not given: it would be ignored. ArgumentTypeError."""
    given = [getattr(options, each.lstrip("-").replace("-", "_")) not in (None, False) for each in (option, needed)]
    if given == [True, False]:
        raise argparse.ArgumentTypeError(f"{option} goes with {needed}: {why}")


def output_file(text: str) -> Path:
    """Read the name of a file to write. One that cannot be is refused now, not after the minutes that fill it."""
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"cannot write {text}: it is a folder")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"cannot write {text}: there is no folder {path.parent}")
    return path


def positive(text: str) -> int:
    """Read a whole number above 0."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 10**9):
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, not {text!r}")
    return int(text)


def seed(text: str) -> int:
    """Read a seed, a whole number of 64 bits."""
    if not (text.isascii() and text.isdigit() and int(text) < 2**63):
        raise argparse.ArgumentTypeError(f"expected a whole number below 2**63, not {text!r}")
    return int(text)


def non_negative(text: str) -> float:
    """Read a number of 0 or more."""
    if not 0 <= (number := _number(text)) < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of 0 or more, not {text!r}")
    return number


def fraction(text: str) -> float:
    """Read a number above 0 and at most 1."""
    if not 0 < (number := _number(text)) <= 1:
        raise argparse.ArgumentTypeError(f"expected a number above 0 and at most 1, not {text!r}")
    return number


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan  # fails every comparison
