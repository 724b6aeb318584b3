"""Asking the worker for one suggestion: no longer than it takes, shown if that is long, and measured.

Knows a plan and what is supposed; knows neither what was suggested before nor what is shown of an answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

from grammars import Stop
from lsp_server.lengths import Growth, Plan
from lsp_server.pacing import Pace
from lsp_server.progress import Progress
from lsp_server.snapshot import Snapshot
from model.api.policy import VERIFIED
from model.api.types import Edit, Infill, InfillRequest, PartialInfill
from model.errors import Cancelled, InputError

_SHOW_PROGRESS_SECONDS = 1.0

OnPartial = Callable[[PartialInfill], None]


class Asker:
    """Asks for suggestions; `pace` is how long that took."""

    def __init__(self, progress: Progress) -> None:
        self.pace = Pace()
        self._progress = progress

    async def ask(
        self, snapshot: Snapshot, plan: Plan, request: InfillRequest, suppose: Edit | None, on_partial: OnPartial
    ) -> Infill | None:
        """Return the worker's answer; None when the file has another text by now, or the user stopped it.

        WorkerError and CheckpointError when there is no model to ask.
        """
        started = time.monotonic()
        asking = asyncio.ensure_future(_infill_enough(snapshot, plan, request, suppose, on_partial))
        try:
            title = f"Setfill: reading {snapshot.document.name}"
            async with self._progress.shown(title, asking.cancel, after_seconds=_SHOW_PROGRESS_SECONDS):
                infill = await asking
        except (
            InputError,
            Cancelled,
        ):  # edited, the worker was restarted meanwhile, or the user cancelled the progress
            return None
        except asyncio.CancelledError:
            if asking.cancelled() and not _is_cancelling():
                return None
            raise
        finally:
            asking.cancel()
            ms = (time.monotonic() - started) * 1000
            self.pace.spent(ms, snapshot.settings.throttle)
        self.pace.measured(ms, infill.forwards)
        return infill


async def _infill_enough(
    snapshot: Snapshot, plan: Plan, request: InfillRequest, suppose: Edit | None, on_partial: OnPartial
) -> Infill:
    """Ask the worker; if the text grows beyond what is shown of it, that is the answer, and the worker is told to stop.

    Of several candidates the others are not known by then: as many lines are asked for once more.
    """
    growth = Growth(plan, snapshot.document.language)

    def watch(partial: PartialInfill) -> None:
        on_partial(partial)
        if not growth.is_enough:
            growth.take(partial)
            if growth.is_enough:
                asking.cancel()

    # A line's end is the worker's to see, and of several beams none is sure to be the answer.
    callback = watch if plan.stop is not Stop.LINE and request.policy == VERIFIED else on_partial
    started = time.monotonic()
    asking = asyncio.ensure_future(snapshot.infill(request, suppose, callback))
    try:
        return await asking
    except asyncio.CancelledError:
        if not growth.is_enough or _is_cancelling():
            raise
    finally:
        asking.cancel()
    snapshot.require_current()
    ms = (time.monotonic() - started) * 1000
    said, seen = growth.answer(), growth.seen
    if said and request.candidates == 1:
        cost = seen.forwards, seen.rows_computed, seen.rows_reused, ms
        return Infill(snapshot.document.revision, (said,), *cost, encode_ms=seen.encode_ms)
    infill = await snapshot.infill(growth.confirming(request), suppose)
    return replace(infill, ms=ms + infill.ms)


def _is_cancelling() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
