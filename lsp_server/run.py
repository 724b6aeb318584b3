"""Running a server until its client leaves: over standard streams, or for clients on a loopback socket.

Knows processes, streams and the log; the server it only builds.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import sys
from typing import Any

from lsp_server.features import build_server
from lsp_server.life_cycle import Options, default_worker_options
from lsp_server.server import SetfillServer
from lsp_server.streams import check_standard_streams, serve, standard_streams
from model.errors import WorkerError, system_words

TRACE = "trace"  # the one log level that shows source text


def set_up_logging(level: str) -> None:
    """Log to standard error. pygls logs whole messages, so it is heard only at the level `trace`."""
    is_trace = level.lower() == TRACE
    logging.basicConfig(
        level=logging.DEBUG if is_trace else level.upper(), format="%(asctime)s %(name)s %(levelname)s %(message)s"
    )
    logging.getLogger("pygls").setLevel(logging.DEBUG if is_trace else logging.CRITICAL + 1)


def run_on_standard_streams(worker_options: Options = default_worker_options) -> int:
    """Serve the editor at the other end of the standard streams; return the exit status. StreamError without one."""
    check_standard_streams()
    server = build_server(worker_options)
    server.protocol.warm_up()

    async def run() -> int:
        _contain_accidents()
        reader, writer = await standard_streams()
        return await _serve_client(server, reader, writer)

    return asyncio.run(run())


def run_on_socket(port: int, worker_options: Options = default_worker_options, token: str | None = None) -> int:
    """Serve every client that connects to a loopback port and knows the token, until interrupted.

    `token` is made up, and printed with the port, if None. WorkerError when the port cannot be had.
    """
    secret = token or secrets.token_urlsafe(24)

    async def run() -> int:
        _contain_accidents()

        async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await _serve_client(build_server(worker_options, secret), reader, writer)

        try:
            listener = await asyncio.start_server(client, "127.0.0.1", port, limit=2**20)
        except OSError as error:
            raise WorkerError(f"cannot listen on port {port}: {system_words(error)}") from None
        listening = listener.sockets[0].getsockname()[1]
        print(f"setfill: listening on 127.0.0.1:{listening}", file=sys.stderr)
        if token is None:
            print(f"setfill: initializationOptions.socketToken must be {secret}", file=sys.stderr)
        sys.stderr.flush()
        async with listener:
            await listener.serve_forever()
        return 0

    return asyncio.run(run())


async def _serve_client(server: SetfillServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    try:
        await serve(server.protocol, reader, writer)
    finally:
        await server.end()
        writer.close()
    return 0 if server.protocol.is_shut_down else 1


def _contain_accidents() -> None:
    """Have what goes wrong on the event loop told without texts: they may quote the user's code."""

    def tell(loop: Any, accident: dict[str, Any]) -> None:
        error = accident.get("exception")
        logging.getLogger(__name__).error("the event loop: %s", type(error).__name__ if error else "an accident")

    asyncio.get_running_loop().set_exception_handler(tell)
