"""The worker as a process: its standard streams, its socket, its signals.

    child    frames on standard input and output; ends when its input does
    shared   frames on a Unix socket; ends some minutes after its last client

In both the descriptors that the protocol uses are taken away first and file
descriptor 1 is pointed at standard error, so that no print, not even one of a C
library, can get into a frame.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import logging
import os
import signal
import socket
import stat
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from model.api import runtime
from model.api.pipes import open_pipes
from model.errors import WorkerError
from model.worker.compute import Load
from model.worker.requests import Engine
from model.worker.server import Server

logger = logging.getLogger(__name__)

READY = b"ready\n"  # written on the standard output of a shared worker once its socket listens
TAKEN = b"taken\n"  # or this, when another worker holds the lock
_CRASHED = 70  # the exit status EX_SOFTWARE, which not every system has a name for


def main(arguments: Sequence[str], load: Load | None = None) -> int:
    """Run a worker until it is time to end; return the exit status. `load` stands in for the engine's own in tests."""
    options = _parser().parse_args(arguments)
    protocol_in, protocol_out = claim_standard_streams()
    os.umask(0o077)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the client, which will close the stream
    faulthandler.enable()  # of a crash in native code, tells lines of ours and no values
    logging.basicConfig(level=options.log_level, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    if load is None:
        load = _engine_loader(options)
    if options.shared:
        os.close(protocol_in)
        return asyncio.run(_run_shared(options, load, protocol_out))
    return asyncio.run(_run_child(options, load, protocol_in, protocol_out))


def claim_standard_streams() -> tuple[int, int]:
    """Return private copies of descriptors 0 and 1; after this 0 reads nothing and 1 is standard error."""
    protocol_in, protocol_out = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return protocol_in, protocol_out


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="setfill-worker", description="Holds a model and computes for its clients.")
    parser.add_argument("--model", required=True, help="name of an installed model, or a path")
    parser.add_argument("--precision", help="float32, bfloat16 or int8; chosen by the CPU when left out")
    parser.add_argument("--threads", type=int, help="compute threads; chosen by the CPU when left out")
    parser.add_argument("--memory-budget-mb", type=int, default=512, help="megabytes for the caches of all files")
    parser.add_argument("--shared", action="store_true", help="serve on a socket in --directory instead of stdin")
    parser.add_argument("--socket", type=Path, help="with --shared: where to listen")
    parser.add_argument("--lock", type=Path, help="with --shared: held while this worker lives")
    parser.add_argument("--linger", type=float, default=300.0, help="seconds to stay after the last client left")
    parser.add_argument("--log-level", default="WARNING", help="what to tell on standard error")
    return parser


def _engine_loader(options: argparse.Namespace) -> Load:
    def load(tell_progress: object) -> Engine:
        from model import store
        from model.worker.engine import Engine as TorchEngine  # torch is imported here, on the compute thread

        return TorchEngine.load(
            store.find(options.model),
            precision=options.precision,
            threads=options.threads,
            memory_budget_mb=options.memory_budget_mb,
        )

    return load


async def _run_child(options: argparse.Namespace, load: Load, protocol_in: int, protocol_out: int) -> int:
    server = _server(options, load, linger_s=None)
    reader, writer, _ = await open_pipes(protocol_in, protocol_out)

    async def serve_then_end() -> None:
        await server.serve(reader, writer)
        server.end()  # the parent is gone, and with it the reason to be here

    serving = asyncio.create_task(serve_then_end())
    await server.run()
    serving.cancel()
    await asyncio.wait([serving])
    return _CRASHED if server.crashed else 0


async def _run_shared(options: argparse.Namespace, load: Load, protocol_out: int) -> int:
    lock = runtime.take_lock(options.lock)
    if lock is None:
        _tell_starter(protocol_out, TAKEN)
        return 0
    if stat.S_ISREG(os.fstat(2).st_mode):
        os.ftruncate(2, 0)  # the log of the worker before this one has served
    server = _server(options, load, options.linger)
    listener = await _listen(options.socket, server)
    _tell_starter(protocol_out, READY)
    logger.info("listening")
    try:
        await server.run()
    finally:
        options.socket.unlink(missing_ok=True)  # before the lock goes, so that it is surely ours
        listener.close()
    await asyncio.sleep(0.05)  # writers flush
    return _CRASHED if server.crashed else 0


def _server(options: argparse.Namespace, load: Load, linger_s: float | None) -> Server:
    """Return a server on the running loop, which SIGTERM ends and whose accidents are told without their texts."""
    loop = asyncio.get_running_loop()
    server = Server(load, options.model, linger_s)
    with suppress(NotImplementedError):  # on Windows SIGTERM ends a process at once
        loop.add_signal_handler(signal.SIGTERM, server.end)
    loop.set_exception_handler(
        lambda _, context: logger.error("the event loop: %s", type(context.get("exception")).__name__)
    )
    return server


async def _listen(path: Path, server: Server) -> asyncio.Server:
    """Listen for clients of `server` on a socket at `path`, with mode 0600.

    The lock is held, so what lies there is left from a dead worker.
    """
    if sys.platform == "win32":
        raise WorkerError("there are no Unix sockets on Windows: a model worker cannot be shared")
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.setblocking(False)
    return await asyncio.start_unix_server(server.serve, sock=listener, limit=2**20)


def _tell_starter(protocol_out: int, word: bytes) -> None:
    try:
        os.write(protocol_out, word)
    except OSError:
        pass  # it did not wait
    os.close(protocol_out)


def run_and_exit(arguments: Sequence[str], load: Load | None = None) -> None:
    """Run `main` and leave at once: a compute thread that is still inside a forward must not hold up the exit."""
    status = main(arguments, load)
    sys.stderr.flush()
    os._exit(status)
