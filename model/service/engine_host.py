"""One engine of a team's service: takes messages in, has them carried out in turn by user, and says what came of them.

Knows the compute thread and which files it holds; knows no connections, tokens or routing.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any

from model.api import wire
from model.api.messages import AskStats, CloseFile, Describe, Done, Failed, Held, Stats
from model.api.types import InfillRequest, ModelDescription, PartialInfill, ScoreRequest
from model.errors import FrameError, SetfillError, WorkerError
from model.service.held_files import HeldFiles, Key
from model.worker.compute import Compute, Job, Load

logger = logging.getLogger(__name__)

_QUESTIONS = (Describe, InfillRequest, ScoreRequest)
_STUCK_S = 120.0  # with something to do, and no step finished
_STOP_S = 2.0


@dataclass(frozen=True)
class Room:
    """What one engine keeps of files that are not in use."""

    most_chars: int = 400_000_000  # of texts; what is cached of them is the engine's to bound
    most_files_per_user: int = 300
    most_idle_s: float = 1800.0


class EngineHost:
    """An engine and its compute thread. Use from one event loop."""

    def __init__(
        self, load: Load, model: str, room: Room | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        room = room or Room()
        self._loop = asyncio.get_running_loop()
        self._now = now
        self._has_crashed = False
        self._compute = Compute(load, model, os.getpid(), on_crash=self._crashed)
        self._held = HeldFiles(room.most_chars, room.most_files_per_user, room.most_idle_s)
        self._turns: dict[str, int] = {}  # of users, by which the compute thread takes turns
        self._job_ids = itertools.count(1)
        self._waiting = 0
        self._last_steps, self._last_step_s = 0, now()
        self._compute.start()

    async def ready(self) -> ModelDescription:
        """Wait until the model is loaded. CheckpointError when it cannot be."""
        reply = await self._ask(Describe())
        if isinstance(reply, Failed):
            raise reply.error()
        description: ModelDescription = reply
        return description

    def check(self) -> None:
        """WorkerError when the engine is dead, or hangs."""
        steps, now = self._compute.status.steps, self._now()
        if steps != self._last_steps or not self._waiting:
            self._last_steps, self._last_step_s = steps, now
        if self._has_crashed or now - self._last_step_s > _STUCK_S:
            raise WorkerError("the compute thread is dead" if self._has_crashed else "the compute thread hangs")

    def forget_outlived(self) -> int:
        """Forget files that were not used for long, and those there is no room for. Return how many are held."""
        for key in self._held.outlived(self._now()):
            self._close(key)
        return len(self._held)

    def stop(self) -> None:
        self._compute.stop(_STOP_S)

    async def carry_out(self, user: str, client: str, data: bytes) -> AsyncIterator[bytes]:
        """Yield frames: the answers to all changes in `data`, as soon as they are in the queue; then, one by one, those
        to the question, of which there may be one.

        Closing the iterator withdraws the question.
        """
        answers, question = self._take_in(user, client, data)
        self.forget_outlived()
        if question is None:
            yield answers
            return
        request_id, message = question
        replies = _Replies(self._loop)
        job = self._push(user, message, replies.answer, replies.partial)
        try:
            yield answers
            async for reply in replies:
                yield _frame(request_id, reply)
        finally:
            self._compute.queue.cancel(job.connection, job.request_id)

    def _take_in(self, user: str, client: str, data: bytes) -> tuple[bytes, tuple[int, Any] | None]:
        """Queue all changes; return the frames that answer them, and the question with its request id."""
        answers, held, question = b"", None, None
        for body in wire.split_frames(data):
            request_id, message = wire.decode_body(body)
            if isinstance(message, Held):
                held = message
                continue
            if question:
                raise FrameError("a question stands last")
            named, error = message, None
            if not isinstance(message, Describe):
                if held is None or held.file_id != message.file_id:
                    raise FrameError("what is about a file stands behind what is held of it")
                key = (user, client, message.file_id)
                named = replace(message, file_id=_name(key))
                error = self._held.problem(key, held, message)
                if not error:
                    self._held.count(key, held, message, self._now())
            if error:
                answers += _frame(request_id, Failed(error.code, str(error)))
            elif isinstance(message, _QUESTIONS):
                question = (request_id, named)
            else:
                assert held
                self._push(user, named, self._checked(key, held))
                answers += _frame(request_id, Done())
        return answers, question

    def _checked(self, key: Key, held: Held) -> Callable[[Any], None]:
        """Return what a change is answered by: a file that could not be changed is not held any more."""

        def answer(reply: Any) -> None:
            if isinstance(reply, Failed) and self._held.drop(key, held):
                logger.warning("a change was refused (%s)", reply.code)
                self._close(key)

        return answer

    def _close(self, key: Key) -> None:
        self._push(key[0], CloseFile(_name(key)), lambda reply: None)

    def _push(
        self,
        user: str,
        message: Any,
        answer: Callable[[Any], None],
        on_partial: Callable[[PartialInfill], None] = lambda partial: None,
    ) -> Job:
        """Queue a message to the engine. `answer` is called on the event loop, `on_partial` on the compute thread."""
        turn = self._turns.setdefault(user, len(self._turns) + 1)

        def answered(reply: Any) -> None:
            self._from_thread(settle, reply)

        def settle(reply: Any) -> None:
            self._waiting -= 1
            answer(reply)

        job = Job(turn, next(self._job_ids), message, answered, on_partial)
        self._waiting += 1
        self._compute.queue.push(job)
        return job

    async def _ask(self, message: Any) -> Any:
        """Return the answer to a question of our own."""
        answer: asyncio.Future[Any] = self._loop.create_future()

        def settle(reply: Any) -> None:
            if not answer.done():
                answer.set_result(reply)

        self._push("", message, settle)
        return await answer

    def _from_thread(self, action: Callable[..., Any], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(action, *arguments)
        except RuntimeError:
            pass  # the loop has ended: nobody is there to be told

    def _crashed(self) -> None:
        self._has_crashed = True

    async def stats(self) -> dict[str, int | float | str]:
        """Return the engine's counters by name. WorkerError when it does not say."""
        reply = await self._ask(AskStats())
        if not isinstance(reply, Stats):
            raise WorkerError("the engine does not tell its counters")
        return {**reply.values, "held_files": len(self._held), "waiting": self._waiting}


class _Replies:
    """What the compute thread says to one question: partial results, of which only the newest is of use, and an answer.

    `answer` is called on the event loop, `partial` on any thread.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._partials: dict[int, PartialInfill] = {}
        self._answer: Any = None
        self._changed = asyncio.Event()

    def answer(self, reply: Any) -> None:
        self._answer = reply
        self._changed.set()

    def partial(self, partial: PartialInfill) -> None:
        self._loop.call_soon_threadsafe(self._take, partial)

    def _take(self, partial: PartialInfill) -> None:
        self._partials[partial.gap_index] = partial
        self._changed.set()

    async def __aiter__(self) -> AsyncIterator[Any]:
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._answer is not None:
                yield self._answer
                return
            partials, self._partials = self._partials, {}
            for partial in partials.values():
                yield partial


def _name(key: Key) -> str:
    """Return the engine's name of a file. Users and clients have no slash in their names."""
    return "/".join(key)


def _frame(request_id: int, reply: Any) -> bytes:
    try:
        return wire.encode_frame(request_id, reply)
    except SetfillError as error:
        return wire.encode_frame(request_id, Failed(error.code, str(error)))
