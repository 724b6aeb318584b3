"""The model worker as the server sees it: started in the background, its loading shown, its absence survivable."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from lsp_server.progress import Progress
from lsp_server.protocol import place_of
from model.api.client import WorkerClient
from model.api.types import ModelDescription
from model.errors import SetfillError, WorkerError

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.2  # between two looks at how far loading is


class ModelWorker:
    """A worker that is being started, runs, or could not be had. `on_problem` is told why, once for each start."""

    def __init__(self, client: WorkerClient, progress: Progress, on_problem: Callable[[str], None]) -> None:
        self.client = client
        self.description: ModelDescription | None = None
        self.problem: str | None = None
        self.loaded_share = 0.0
        self._progress = progress
        self._on_problem = on_problem
        self._starting: asyncio.Task[ModelDescription] | None = None

    @property
    def state(self) -> str:
        """`off` before the start, then `loading`, then `ready` or `failed`."""
        if self.problem:
            return "failed"
        if self.description:
            return "ready"
        return "loading" if self._starting else "off"

    def start(self) -> None:
        """Have the worker started, in the background. Also starts anew after a failure."""
        if self._starting is None or (self._starting.done() and self.problem):
            self.problem = None
            self._starting = asyncio.create_task(self._start())
            self._starting.add_done_callback(self._started)

    async def ready(self) -> ModelDescription:
        """Wait until the model is loaded. WorkerError or CheckpointError when it cannot be."""
        if self._starting is None:
            raise WorkerError("the model worker has not been started")
        return await asyncio.shield(self._starting)

    async def stop(self) -> None:
        """Leave the worker."""
        if self._starting and not self._starting.done():
            self._starting.cancel()
            await asyncio.wait([self._starting])
        await self.client.stop()

    async def _start(self) -> ModelDescription:
        loading = asyncio.create_task(self._load())
        async with self._progress.shown("Setfill: loading the model", on_cancel=loading.cancel) as report:
            while not (await asyncio.wait([loading], timeout=_LOOK_SECONDS))[0]:
                if self.client.pid:
                    self.loaded_share = (await self.client.status()).progress
                    report(self.loaded_share)
        if loading.cancelled():
            raise WorkerError("loading the model was cancelled; run the command setfill.restart to load it after all")
        return loading.result()

    async def _load(self) -> ModelDescription:
        await self.client.start()
        return await self.client.describe()

    def _started(self, starting: asyncio.Task[ModelDescription]) -> None:
        if starting.cancelled():
            return
        error = starting.exception()
        if error is None:
            self.description = starting.result()
            return
        self.description = None
        self.problem = str(error) if isinstance(error, SetfillError) else f"internal error: {place_of(error)}"
        logger.error("no model worker: %s", place_of(error))
        self._on_problem(self.problem)
