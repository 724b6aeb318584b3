"""The model worker as the server sees it: started in the background, its loading shown, its absence survivable.

Knows whether there is a model, and none of what it is asked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from lsp_server.progress import Progress
from lsp_server.protocol import place_of
from model.api.client import WorkerClient
from model.api.types import ModelDescription
from model.errors import SetfillError, WorkerError

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.2  # between two looks at how far loading is
_ANSWER_SECONDS = 1.0  # for a worker that works to say so


class ModelWorker:
    """A worker that is being started, runs, or could not be had. `on_problem` is told why, once for each start."""

    def __init__(self, client: WorkerClient, progress: Progress, on_problem: Callable[[str], None]) -> None:
        self.client = client
        self.description: ModelDescription | None = None
        self.problem: SetfillError | None = None
        self.last_death: str | None = None
        self.loaded_share = 0.0
        self._progress = progress
        self._on_problem = on_problem
        self._starting: asyncio.Task[ModelDescription] | None = None
        self._rests = False  # too many workers died: after some time another one may be started
        client.on_death = self._died

    @property
    def state(self) -> str:
        """`off` before the start, then `loading`, then `ready` or `failed`; after a death `loading` again."""
        if self.problem:
            return "failed"
        if self.description:
            return "ready"
        return "loading" if self._starting else "off"

    def start(self) -> None:
        """Have the worker started, in the background."""
        self._begin(self.client.start)

    async def restart(self) -> None:
        """End the worker, if there is one, and wait until another has loaded the model. Errors as for `ready`."""
        self._begin(self.client.restart)
        await self.ready()

    async def ready(self) -> ModelDescription:
        """Wait until the model is loaded. WorkerError or CheckpointError when it cannot be."""
        if self._rests and not self.client.rests_s:
            self._begin(self.client.connect)
        while (starting := self._starting) is not None:
            await asyncio.wait([starting])
            if starting is self._starting:
                return starting.result()
        raise WorkerError("the model worker has not been started")

    async def complaint(self) -> SetfillError | None:
        """Return what is wrong with the worker just now, None if it does what it should."""
        if self.state == "ready" and not await self.client.status_within(_ANSWER_SECONDS) and self.state == "ready":
            return WorkerError("the model worker does not answer")
        return self.problem

    async def stop(self) -> None:
        """Leave the worker."""
        if self._starting and not self._starting.done():
            self._starting.cancel()
            await asyncio.wait([self._starting])
        await self.client.stop()

    def _begin(self, connect: Callable[[], Awaitable[None]]) -> None:
        """Have a worker and its model, in place of whatever was being done to have them."""
        if self._starting:
            self._starting.cancel()
        self.problem = self.description = None
        self.loaded_share, self._rests = 0.0, False
        self._starting = asyncio.create_task(self._start(connect))
        self._starting.add_done_callback(self._started)

    async def _start(self, connect: Callable[[], Awaitable[None]]) -> ModelDescription:
        loading = asyncio.create_task(self._load(connect))
        try:
            async with self._progress.shown("Setfill: loading the model", on_cancel=loading.cancel) as report:
                while not (await asyncio.wait([loading], timeout=_LOOK_SECONDS))[0]:
                    if status := await self.client.status_within(_LOOK_SECONDS):
                        self.loaded_share = status.progress
                        report(self.loaded_share)
            if loading.cancelled():
                raise WorkerError(
                    "loading the model was cancelled; run the command setfill.restart to load it after all"
                )
            return loading.result()
        finally:
            loading.cancel()

    async def _load(self, connect: Callable[[], Awaitable[None]]) -> ModelDescription:
        await connect()
        while True:
            try:
                return await self.client.describe()
            except WorkerError:  # it died while it loaded
                await self.client.connect()  # until that is not worth trying any more

    def _died(self, reason: str, was_hung: bool) -> None:
        """Have the model again, now that its worker is gone."""
        self.last_death = reason
        if was_hung:
            self._on_problem(f"the model worker is started again: {reason}")
        if self.state == "ready":
            self._begin(self.client.connect)

    def _started(self, starting: asyncio.Task[ModelDescription]) -> None:
        error = None if starting.cancelled() else starting.exception()
        if starting is not self._starting or starting.cancelled():
            return
        if error is None:
            self.description = starting.result()
            return
        internal = SetfillError(f"internal error: {place_of(error)}")
        self.problem = error if isinstance(error, SetfillError) else internal
        self._rests = self.client.rests_s > 0
        logger.error("no model worker: %s", place_of(error))
        self._on_problem(str(self.problem))
