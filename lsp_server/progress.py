"""Long work shown in the editor, where it can show any, with a way to stop it.

Knows the protocol's messages for it; what the work is, it does not.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from lsprotocol import types
from pygls.lsp.server import LanguageServer

_CREATE_TIMEOUT_SECONDS = 5.0


class Progress:
    """Work done progress of one client."""

    def __init__(self, server: LanguageServer, *, is_supported: bool) -> None:
        self._server = server
        self._is_supported = is_supported
        self._numbers = itertools.count(1)

    @asynccontextmanager
    async def shown(
        self, title: str, on_cancel: Callable[[], object], after_seconds: float = 0.0
    ) -> AsyncIterator[Callable[[float], None]]:
        """Show `title` while the body runs, from `after_seconds` on. Yields what takes the share done, 0 to 1."""
        token = f"setfill-{next(self._numbers)}"
        showing = asyncio.create_task(self._begin(token, title, on_cancel, after_seconds))
        shown_percent = -1

        def report(share: float) -> None:
            nonlocal shown_percent
            percent = round(100 * share)
            if percent != shown_percent and showing.done() and not showing.cancelled() and showing.result():
                shown_percent = percent
                value = types.WorkDoneProgressReport(percentage=percent, cancellable=True)
                self._server.work_done_progress.report(token, value)

        try:
            yield report
        finally:
            if showing.done() and not showing.cancelled() and showing.result():
                self._server.work_done_progress.tokens.pop(token, None)
                self._server.work_done_progress.end(token, types.WorkDoneProgressEnd())
            showing.cancel()

    async def _begin(self, token: str, title: str, on_cancel: Callable[[], object], after_seconds: float) -> bool:
        if not self._is_supported:
            return False
        await asyncio.sleep(after_seconds)
        progress = self._server.work_done_progress
        creating = asyncio.ensure_future(progress.create_async(token))  # answered even when nobody waits any more
        await asyncio.wait([creating], timeout=_CREATE_TIMEOUT_SECONDS)
        if not creating.done() or creating.exception():
            return False
        progress.tokens[token].add_done_callback(lambda cancelled: on_cancel() if cancelled.cancelled() else None)
        begin = types.WorkDoneProgressBegin(title=title, cancellable=True, percentage=0)
        progress.begin(token, begin)
        return True
