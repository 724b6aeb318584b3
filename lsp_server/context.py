"""Context islands. (In the making.)"""

from __future__ import annotations

from lsp_server.server import SetfillServer


def register(server: SetfillServer) -> None:
    """Add the feature to a server."""
