"""A team's service from the command line: its options, who is told where code goes, and which files never go there.

The patterns are those that editors' settings begin with; a command has no settings of its own.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from model.api.service import TOKEN_VARIABLE, Service, is_first_use
from setfill.arguments import refuse_without


def add_team(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a team's service."""
    parser.add_argument("--team", metavar="URL", help="ask a team's service instead of a model on this machine")
    parser.add_argument(
        "--team-token-file", metavar="FILE", help=f"with --team: holds your token (default: ${TOKEN_VARIABLE} does)"
    )
    parser.add_argument("--team-allow-http", action="store_true", help="with --team: go to another machine without TLS")


def service_of(options: argparse.Namespace) -> Service | None:
    """Return the service that the options name, None where a model on this machine is to be asked.

    ArgumentTypeError for options that say more of a service which is not named.
    """
    for option in ("--team-token-file", "--team-allow-http"):
        refuse_without(options, "--team", option, "without it a model on this machine is asked")
    return Service(options.team, options.team_token_file, options.team_allow_http) if options.team else None


def tell_where_code_goes(service: Service, told: Console) -> None:
    """Tell the user, once for each host, that their code leaves this machine. WorkerError for no URL of a service."""
    host = service.host
    if is_first_use(host):
        told.print(
            f"The text of files that you ask about with --team goes to {host}, from now on; those that are excluded by "
            "default never do (docs/settings.md).",
            markup=False,
        )


def may_leave(path: Path) -> bool:
    """Whether a file may go to a team's service."""
    from lsp_server.patterns import Patterns, matches
    from lsp_server.settings import DEFAULT_EXCLUDE

    excluded = Patterns(DEFAULT_EXCLUDE)
    return not any(matches(each, excluded, ()) for each in {path.absolute(), path.resolve()})
