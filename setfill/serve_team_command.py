"""`setfill serve-team`: a service for everybody's editors, on this machine or on a cluster of Ray's."""

from __future__ import annotations

import argparse
import datetime
import hashlib
import os
import signal
import socket
import sys
import threading
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from model import store
from model.api.service import is_loopback
from model.errors import InputError, ModelNotFoundError, SetfillError, system_words
from model.service.quotas import Limits
from model.service.tokens import Token, new_token, read_tokens
from setfill.arguments import Parser, add_model, positive, refuse_without
from setfill.display import notes

EXAMPLES = """\
examples:
  setfill serve-team --tokens tokens --new-token alice --last-day 2027-12-31
  setfill serve-team --tokens tokens --engines 2
  setfill serve-team --tokens tokens --address auto --engines 2-8 --host 0.0.0.0 --certificate c.pem --key k.pem

Without --address it starts Ray on this machine and runs until it is interrupted. With it, the service is put on that
cluster, or changed there engine by engine, and stays when the command has ended. docs/team.md has the rest."""


def add_parser(commands: Any) -> None:
    parser: Parser = commands.add_parser(
        "serve-team",
        help="serve models to a team",
        description="Serve a model to the editors of a team. Needs the extra setfill[team].",
        epilog=EXAMPLES,
    )
    parser.add_argument("--tokens", metavar="FILE", type=Path, required=True, help="who may come in, see docs/team.md")
    parser.add_argument(
        "--new-token", metavar="USER", help="add a token for a user to the file, print it, and serve nothing"
    )
    parser.add_argument(
        "--last-day", metavar="YYYY-MM-DD", type=_day, help="with --new-token: the last day that it is good for"
    )
    parser.add_argument(
        "--address", metavar="ADDRESS", help="a Ray cluster: HOST:PORT, or auto for the one of this machine"
    )
    parser.add_argument("--stop", action="store_true", help="with --address: take the service off the cluster")
    parser.add_argument("--host", metavar="HOST", default="127.0.0.1", help="where to listen (default: %(default)s)")
    parser.add_argument("--port", metavar="PORT", type=positive, default=8000, help="default: %(default)s")
    parser.add_argument(
        "--metrics-port",
        metavar="PORT",
        type=positive,
        default=8080,
        help="of Prometheus metrics (default: %(default)s)",
    )
    parser.add_argument("--certificate", metavar="PEM", type=Path, help="speak TLS with this certificate")
    parser.add_argument("--key", metavar="PEM", type=Path, help="with --certificate: its key")
    parser.add_argument(
        "--engines", metavar="N|N-M", type=_scale, default=(1, 1), help="how many, or between which (default: 1)"
    )
    parser.add_argument("--ingresses", metavar="N", type=positive, default=1, help="default: %(default)s")
    add_model(parser)
    parser.add_argument("--precision", metavar="P", help="float32, bfloat16 or int8; chosen by the CPU when left out")
    parser.add_argument(
        "--threads", metavar="N", type=positive, default=1, help="processors of each engine (default: %(default)s)"
    )
    parser.add_argument(
        "--memory-budget-mb",
        metavar="MB",
        type=positive,
        default=2048,
        help="of each engine, for the caches of all files (default: %(default)s)",
    )
    limits = Limits()
    for each in fields(Limits):
        parser.add_argument(
            f"--{each.name.replace('_', '-')}",
            metavar="N",
            type=positive,
            default=int(getattr(limits, each.name)),
            help=f"{_LIMITS[each.name]} (default: %(default)s)",
        )
    parser.set_defaults(run=run)


_LIMITS = {
    "connections": "of all users to one ingress",
    "connections_per_user": "windows of editors that one user may have",
    "questions_at_a_time": "of one user, waiting or being answered",
    "questions_a_minute": "of one user",
    "bytes_a_minute": "that one user may send",
    "question_s": "seconds from a question to its answer, waiting included",
}


def _day(text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a date, as in 2027-12-31, not {text!r}") from None


def _scale(text: str) -> tuple[int, int]:
    fewest, dash, most = text.partition("-")
    numbers = positive(fewest), positive(most if dash else fewest)
    if numbers[0] > numbers[1]:
        raise argparse.ArgumentTypeError(f"expected N or N-M with N below M, not {text!r}")
    return numbers


def run(options: argparse.Namespace) -> int:
    """Add a token, or serve; return the exit status."""
    if options.new_token:
        return _add_token(options)
    refuse_without(options, "--new-token", "--last-day", "tokens that are there already keep their last days")
    refuse_without(options, "--address", "--stop", "a service on this machine ends with its command")
    if (options.certificate is None) != (options.key is None):
        raise argparse.ArgumentTypeError("--certificate and --key go together")
    try:
        tokens = read_tokens(options.tokens)
    except FileNotFoundError:
        raise InputError(f"{options.tokens} does not exist: make it by adding a token, with --new-token USER") from None
    if not tokens and not options.stop:
        raise InputError(f"{options.tokens} has no tokens: add one with --new-token USER")
    _refuse_what_is_not_there(options)
    service = _service()
    if not (options.stop or options.certificate or is_loopback(options.host)):
        notes().print(
            "Without --certificate code and tokens travel unencrypted; a proxy that speaks TLS can be before it."
        )
    return _serve(service, options, tokens)


def _add_token(options: argparse.Namespace) -> int:
    secret, token = new_token(options.new_token, options.last_day)
    opener = lambda path, flags: os.open(path, flags, 0o600)  # noqa: E731
    with open(options.tokens, "a", encoding="utf-8", opener=opener) as file:
        file.write(token.line() + "\n")
    print(secret)
    notes().print(
        f"This is the token of {token.user}, shown this once: {options.tokens} has only its hash. A service that runs "
        "knows it once the command that started it has been run again.",
        markup=False,
    )
    return 0


def _service() -> Any:
    try:
        from model.service import application
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("ray", "starlette"):
            raise
        raise SetfillError(f"serving a team needs Ray; run: {sys.executable} -m pip install 'setfill[team]'") from None
    return application


def _refuse_what_is_not_there(options: argparse.Namespace) -> None:
    """Find out here what Ray's processes would find out, or not: a model or file that is missing, a port in use."""
    if not options.address:
        store.find(options.model)
        _refuse_port_in_use("--port", options.host, options.port)
        _refuse_port_in_use("--metrics-port", "127.0.0.1", options.metrics_port)
    for path in (options.certificate, options.key):
        if path:
            path.open("rb").close()


def _refuse_port_in_use(option: str, host: str, port: int) -> None:
    """Ray Serve would share the port with whoever listens there, and each would get some of the connections."""
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        raise InputError(
            f"{host} port {port} is not to be had ({system_words(error)}): name another one with {option}"
        ) from None


def _files_of(model: str) -> str:
    """Return what tells a model's files from others of the same name; nothing where this machine has no such model."""
    try:
        path = store.find(model)
    except ModelNotFoundError:
        return ""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(repr(stats).encode()).hexdigest()


def _serve(service: Any, options: argparse.Namespace, tokens: tuple[Token, ...]) -> int:
    told = notes()
    files = [str(path.absolute()) if path else None for path in (options.certificate, options.key)]
    model = os.path.abspath(options.model) if os.path.dirname(options.model) else options.model
    engine = service.EngineSettings(
        model, options.precision, options.threads, options.memory_budget_mb, files=_files_of(model)
    )
    scale = service.Scale(*options.engines, ingresses=options.ingresses)
    limits = Limits(**{name: getattr(options, name) for name in asdict(Limits())})
    address = service.Address(options.host, options.port, *files)
    os.chdir("/")  # where nothing is named like what Ray's processes import
    try:
        told.print(_beginning(options), markup=False)
        service.start_ray(options.address, scale.most * engine.threads, options.metrics_port)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C does; Ray has its own handler there
        if options.stop:
            service.remove()
            told.print("The service is off the cluster.")
            return 0
        needed, there_are = scale.fewest * engine.threads, service.processors()
        if needed > there_are:
            told.print(
                f"Engines want {needed} processors, and the cluster has {there_are}: the rest waits for machines."
            )
        service.deploy(engine, scale, [token.line() for token in tokens], limits, address)
        scheme = "https" if options.certificate else "http"
        told.print(f"serving {model} on {scheme}://{options.host}:{options.port}", markup=False)
        if not options.address:
            threading.Event().wait()  # until it is interrupted
    except KeyboardInterrupt:
        pass  # as wanted
    finally:
        service.stop_ray()
    return 0


def _beginning(options: argparse.Namespace) -> str:
    if options.address:
        return f"Joining the Ray cluster {'of this machine' if options.address == 'auto' else 'at ' + options.address}."
    return "Starting Ray on this machine; until it serves a minute may pass, or two on a busy one."
