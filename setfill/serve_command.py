"""`setfill serve`: the language server. Editors start it."""

from __future__ import annotations

import argparse
import os
from typing import Any

from setfill.arguments import Parser

TOKEN_VARIABLE = "SETFILL_SOCKET_TOKEN"
_LEVELS = ("error", "warning", "info", "debug", "trace")


def add_parser(commands: Any) -> None:
    parser: Parser = commands.add_parser(
        "serve",
        help="run the language server",
        description="Run the language server. Editors start it and talk to it on its standard streams; "
        "see docs/editors.md.",
    )
    parser.add_argument("--stdio", action="store_true", help="use the standard streams, which is the default")
    parser.add_argument(
        "--socket",
        metavar="PORT",
        type=port,
        help="listen on this port of 127.0.0.1 instead, 0 for any; clients must send the token that is printed, or "
        f"that {TOKEN_VARIABLE} holds, as initializationOptions.socketToken",
    )
    parser.add_argument(
        "--log-level",
        choices=_LEVELS,
        default="warning",
        help="what to tell on standard error; only `trace` shows source text (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def port(text: str) -> int:
    """Read a port number, for argparse."""
    if not (text.isascii() and text.isdigit() and int(text) < 2**16):
        raise argparse.ArgumentTypeError(f"expected a port number, not {text!r}")
    return int(text)


def run(options: argparse.Namespace) -> int:
    from lsp_server.run import run_on_socket, run_on_standard_streams, set_up_logging

    if options.stdio and options.socket is not None:
        raise argparse.ArgumentTypeError("--stdio and --socket do not go together")
    set_up_logging(options.log_level)
    if options.socket is None:
        return run_on_standard_streams()
    return run_on_socket(options.socket, token=os.environ.get(TOKEN_VARIABLE) or None)
