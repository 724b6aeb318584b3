"""The features of the server, one module each: the one list of them, from which a server is built.

A feature is a function that is given the server when the client has said who it is and what it can do, and
`server.state` is whole. It adds handlers, and listeners to what it wants to hear of; what it adds is announced to the
client, so what it leaves out for this client is not offered. To add a feature, write its module and add a line here.

Knows every feature by name; nobody else does.
"""

from __future__ import annotations

from lsp_server import (
    completion,
    context,
    diagnostics,
    fates,
    fill_commands,
    inline_completion,
    life_cycle,
    notebooks,
    preparation,
    status,
    synchronization,
    trace_last,
    why_silent,
)
from lsp_server.server import SetfillServer

FEATURES = (
    synchronization.register,
    inline_completion.register,
    fates.register,
    preparation.register,
    completion.register,
    fill_commands.register,
    notebooks.register,
    context.register,
    diagnostics.register,
    status.register,
    trace_last.register,
    why_silent.register,
)


def build_server(
    worker_options: life_cycle.Options = life_cycle.default_worker_options, token: str | None = None
) -> SetfillServer:
    """Return a server with all its features. `token`: what the client must know."""
    server = SetfillServer()
    life_cycle.register(server, FEATURES, worker_options, token)
    return server
