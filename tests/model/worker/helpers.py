"""What the worker's tests share."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from model.api.client import WorkerClient, WorkerOptions
from model.api.edits import applied
from model.api.types import Edit, Gap, InfillRequest

ROOT = Path(__file__).resolve().parents[3]
STAND_IN = Path(__file__).with_name("stand_in.py")


def options(load: str = "load", **settings: Any) -> WorkerOptions:
    """Options for a stand-in worker."""
    return WorkerOptions("stand-in", program=(sys.executable, "-P", str(STAND_IN), load), **settings)


def talk(conversation: Callable[..., Coroutine[Any, Any, Any]], *which: WorkerOptions, timeout_s: float = 30.0) -> Any:
    """Run `conversation` with a client for each of `which`; a child with the stand-in engine when none is given."""

    async def run() -> Any:
        clients = [WorkerClient(each) for each in which or (options(),)]
        async with asyncio.timeout(timeout_s):
            try:
                for client in clients:
                    await client.start()
                return await conversation(*clients)
            finally:
                for client in clients:
                    await client.stop()

    return asyncio.run(run())


class Owner:
    """The owner of one text: edits it, then tells the client, as an editor's server does."""

    def __init__(self, client: WorkerClient, file_id: str, path: str, text: str, version: int) -> None:
        self._client, self._file_id = client, file_id
        self.text = text
        client.open(file_id, path, lambda: self.text, version)

    def edit(self, edits: list[Edit], version: int) -> None:
        for edit in edits:
            self.text = applied(self.text, edit)
        self._client.edit(self._file_id, edits, version)


def at(file_id: str, version: int = 1, cursor: int = 0) -> InfillRequest:
    return InfillRequest(file_id, version, (Gap(cursor, cursor),))


async def until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.005)
