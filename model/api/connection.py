"""One connection to a worker, or to a team's service: requests out, answers to whom they belong.

Lives as long as the worker at its other end; knows nothing of restarting.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from model.api import wire
from model.api.holdings import Holdings
from model.api.launch import Link
from model.api.messages import AskStatus, Cancel, Failed, Held, Shutdown, WorkerStatus
from model.api.types import PartialInfill
from model.api.watchdog import Patience, Watchdog, signs_of
from model.errors import NeedFullError, SetfillError, WorkerError

logger = logging.getLogger(__name__)

OnPartial = Callable[[PartialInfill], None]

_SHUTDOWN_SECONDS = 3.0  # for a worker to end by itself when it is asked to


@dataclass
class _Pending:
    message: Any
    answer: asyncio.Future[Any]
    on_partial: OnPartial | None


class Connection:
    """Requests and answers over one link. `on_lost` is told, once, how the worker came to its end.

    A worker that is found hung while a request waits is ended. `holdings`: what a team's service has been told, None
    for a worker, which this connection has told all there is.
    """

    def __init__(
        self,
        link: Link,
        on_lost: Callable[[Connection, str], None],
        patience: Patience,
        holdings: Holdings | None = None,
    ) -> None:
        self.lost = False
        self.was_hung = False
        self.pid = link.pid
        self._patience = patience
        self._watchdog = Watchdog(patience)
        self._looking: asyncio.TimerHandle | None = None
        self._reason: str | None = None  # why we ended the worker
        self._link = link
        self._holdings = holdings
        self._on_lost = on_lost
        self._ids = itertools.count(1)
        self._pending: dict[int, _Pending] = {}
        self._reading = asyncio.create_task(self._read())

    async def request(self, message: Any, on_partial: OnPartial | None = None, before: Sequence[Any] = ()) -> Any:
        """Return the answer to `message`. What is `before` it goes to the same place, and nothing comes between.

        Raises the error it was answered with, WorkerError when the worker dies
        before, NeedFullError when a service is to be told of the file `before`.
        When the awaiting task is cancelled, so is the request.
        """
        request_id, answer = self._send(message, on_partial, before)
        try:
            return await answer
        except asyncio.CancelledError:
            self._cancel(request_id)
            raise

    def post(self, message: Any, on_failed: Callable[[SetfillError], None]) -> None:
        """Send `message` without waiting; `on_failed` is called if it is answered with an error.

        A service that does not hold the file is not told of a change: it will be told of all when it is asked.
        """

        def settled(answer: asyncio.Future[Any]) -> None:
            error = None if answer.cancelled() else answer.exception()
            if isinstance(error, SetfillError) and not isinstance(error, NeedFullError) and not self.lost:
                on_failed(error)

        try:
            self._send(message)[1].add_done_callback(settled)
        except NeedFullError:
            pass

    def cancel_where(self, chosen: Callable[[Any], bool]) -> None:
        """Withdraw the pending requests whose message is `chosen`; they end with the error `Cancelled`."""
        for request_id, pending in self._pending.items():
            if chosen(pending.message):
                self._cancel(request_id)

    @property
    def silent_s(self) -> float:
        """How long the worker has said nothing while something was awaited of it."""
        return self._watchdog.silent_s

    async def end(self) -> None:
        """Have the worker exit, of itself if it can, and wait until it is gone. `on_lost` is told."""
        self._reason = "it was ended by request"
        self.post(Shutdown(), lambda error: None)
        if not (await asyncio.wait([self._reading], timeout=_SHUTDOWN_SECONDS))[0]:
            self._link.kill()
            await asyncio.wait([self._reading])

    async def close(self) -> None:
        """Leave the worker. What is still pending ends with WorkerError."""
        self.lost = True
        if self._looking:
            self._looking.cancel()
        self._reading.cancel()
        await asyncio.wait([self._reading])
        self._fail_pending(WorkerError("the connection to the model worker was closed"))
        await self._link.close()

    def _send(
        self, message: Any, on_partial: OnPartial | None = None, before: Sequence[Any] = ()
    ) -> tuple[int, asyncio.Future[Any]]:
        data, answers = b"", []
        for each in (*before, message):
            request_id = next(self._ids)
            frame = wire.encode_frame(request_id, each)
            held = None
            if self._holdings:
                wire.check_length(len(data) + len(frame), wire.MAX_SERVICE_BYTES - wire.MAX_HELLO_BYTES)
                held = self._holdings.tell(each)
            if held:
                data += wire.encode_frame(wire.NO_REQUEST, held)
            data += frame
            answers.append((request_id, self._awaited(request_id, each, on_partial, held)))
        if not self.lost:
            self._link.send(data)
            if self._looking is None:
                self._watchdog.rest()
                self._look_later()
        return answers[-1]

    def _awaited(
        self, request_id: int, message: Any, on_partial: OnPartial | None, held: Held | None
    ) -> asyncio.Future[Any]:
        """Return the answer that is to come to `message`; for a service, one that was sent where `held` is held."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def settled(_: asyncio.Future[Any]) -> None:
            self._pending.pop(request_id, None)
            error = None if answer.cancelled() else answer.exception()
            if held and self._holdings and isinstance(error, NeedFullError):
                self._holdings.forget(held)

        answer.add_done_callback(settled)
        if self.lost:
            answer.set_exception(WorkerError("the model worker is gone"))
        else:
            self._pending[request_id] = _Pending(message, answer, on_partial)
        return answer

    def _cancel(self, request_id: int) -> None:
        if not self.lost:
            self._link.send(wire.encode_frame(wire.NO_REQUEST, Cancel(request_id)))

    def _look_later(self) -> None:
        self._looking = asyncio.get_running_loop().call_later(self._patience.tick_s, self._look)

    def _look(self) -> None:
        """See whether the worker still works. Ends by itself when nothing is awaited."""
        self._looking = None
        awaited = [pending.message for pending in self._pending.values()]
        if self.lost or self.was_hung or not awaited:
            return
        computes = not all(isinstance(message, AskStatus) for message in awaited)
        reason = self._watchdog.tick(signs_of(self.pid), computes)
        if reason is not None:
            logger.error("the model worker (process %d) hangs: %s", self.pid, reason)
            self.was_hung, self._reason = True, f"{reason}, and was ended"
            self._link.kill()
            return
        self._look_later()
        if computes and not any(isinstance(message, AskStatus) for message in awaited):
            self._send(AskStatus())[1].add_done_callback(self._told)

    def _told(self, answer: asyncio.Future[Any]) -> None:
        if not answer.cancelled() and answer.exception() is None and isinstance(answer.result(), WorkerStatus):
            self._watchdog.told(answer.result())

    async def _read(self) -> None:
        try:
            while (frame := await self._link.receive()) is not None:
                self._watchdog.heard()
                self._receive(*frame)
        except Exception as error:  # whatever it is, those who wait must learn of it
            logger.warning("what the model worker sends cannot be read (%s)", type(error).__name__)
        self.lost = True
        try:
            reason = await self._link.close()
        except WorkerError as error:
            reason = str(error)
        reason = self._reason or reason
        self._on_lost(self, reason)
        self._fail_pending(WorkerError(reason if self._holdings else f"the model worker died: {reason}"))

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
            pending.answer.set_exception(message.error())
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
