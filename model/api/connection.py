"""One connection to a worker: requests out, answers to whom they belong.

Lives as long as the worker at its other end; knows nothing of restarting.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from model.api import wire
from model.api.launch import Link
from model.api.messages import Cancel, Failed
from model.api.types import PartialInfill
from model.errors import SetfillError, WorkerError, all_errors

logger = logging.getLogger(__name__)

OnPartial = Callable[[PartialInfill], None]


@dataclass
class _Pending:
    message: Any
    answer: asyncio.Future[Any]
    on_partial: OnPartial | None


class Connection:
    """Requests and answers over one link. `on_lost` is told, once, how the worker came to its end."""

    def __init__(self, link: Link, on_lost: Callable[[Connection, str], None]) -> None:
        self.lost = False
        self.pid = link.pid
        self._link = link
        self._on_lost = on_lost
        self._ids = itertools.count(1)
        self._pending: dict[int, _Pending] = {}
        self._reading = asyncio.create_task(self._read())

    async def request(self, message: Any, on_partial: OnPartial | None = None) -> Any:
        """Return the answer to `message`.

        Raises the error it was answered with, WorkerError when the worker dies
        before. When the awaiting task is cancelled, so is the request.
        """
        request_id, answer = self._send(message, on_partial)
        try:
            return await answer
        except asyncio.CancelledError:
            self._cancel(request_id)
            raise

    def post(self, message: Any, on_failed: Callable[[SetfillError], None]) -> None:
        """Send `message` without waiting; `on_failed` is called if it is answered with an error."""

        def settled(answer: asyncio.Future[Any]) -> None:
            error = None if answer.cancelled() else answer.exception()
            if isinstance(error, SetfillError) and not self.lost:
                on_failed(error)

        self._send(message)[1].add_done_callback(settled)

    def cancel_where(self, chosen: Callable[[Any], bool]) -> None:
        """Withdraw the pending requests whose message is `chosen`; they end with the error `Cancelled`."""
        for request_id, pending in self._pending.items():
            if chosen(pending.message):
                self._cancel(request_id)

    async def close(self) -> None:
        """Leave the worker. What is still pending ends with WorkerError."""
        self.lost = True
        self._reading.cancel()
        await asyncio.wait([self._reading])
        self._fail_pending(WorkerError("the connection to the model worker was closed"))
        await self._link.close()

    def _send(self, message: Any, on_partial: OnPartial | None = None) -> tuple[int, asyncio.Future[Any]]:
        request_id = next(self._ids)
        frame = wire.encode_frame(request_id, message)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(lambda _: self._pending.pop(request_id, None))
        if self.lost:
            answer.set_exception(WorkerError("the model worker is gone"))
        else:
            self._pending[request_id] = _Pending(message, answer, on_partial)
            self._link.writer.write(frame)
        return request_id, answer

    def _cancel(self, request_id: int) -> None:
        if not self.lost:
            self._link.writer.write(wire.encode_frame(wire.NO_REQUEST, Cancel(request_id)))

    async def _read(self) -> None:
        try:
            while (frame := await wire.read_frame(self._link.reader)) is not None:
                self._receive(*frame)
        except Exception as error:  # whatever it is, those who wait must learn of it
            logger.warning("what the model worker sends cannot be read (%s)", type(error).__name__)
        self.lost = True
        try:
            reason = await self._link.close()
        except WorkerError as error:
            reason = str(error)
        self._on_lost(self, reason)
        self._fail_pending(WorkerError(f"the model worker died: {reason}"))

    def _receive(self, request_id: int, message: Any) -> None:
        pending = self._pending.get(request_id)
        if pending is None:
            if request_id == wire.NO_REQUEST and isinstance(message, Failed):
                logger.warning("the model worker refused a frame (%s)", message.code)
            return  # the answer to a request that was withdrawn
        if isinstance(message, PartialInfill):
            _tell(pending.on_partial, message)
        elif pending.answer.done():
            pass
        elif isinstance(message, Failed):
            pending.answer.set_exception(all_errors().get(message.code, SetfillError)(message.text))
        else:
            pending.answer.set_result(message)

    def _fail_pending(self, error: WorkerError) -> None:
        for pending in list(self._pending.values()):
            if not pending.answer.done():
                pending.answer.set_exception(error)


def _tell(on_partial: OnPartial | None, partial: PartialInfill) -> None:
    if on_partial is None:
        return
    try:
        on_partial(partial)
    except Exception as error:  # the caller's fault must not end the connection of all others
        logger.error("a callback for partial results failed (%s)", type(error).__name__)
