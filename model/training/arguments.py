"""The command-line arguments of a training run, apart from it so that asking for help loads no torch."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a training run to `parser`."""
    parser.add_argument("config", type=Path, metavar="CONFIG", help="the settings, a TOML file (docs/training.md)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="the run's directory (default: runs/NAME-OF-CONFIG)")
    parser.add_argument("--corpus", type=Path, metavar="DIR", help="in place of the settings' data.corpus")
    parser.add_argument("--start", type=Path, metavar="DIR", help="in place of the settings' data.start")
    parser.add_argument("--finish-within", type=float, metavar="SECONDS", help="fit the schedule into so much time")
