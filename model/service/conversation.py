"""What a client and a team's service say to each other over one connection: from the hello to the last answer.

Checks what comes, keeps what is about one file in its order, hands it to whichever engine the router chooses, and
passes on what that says. Knows frames, limits and who is asking; knows no texts, no engines, and no Ray.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from model.api import wire
from model.api.messages import (
    AskStats,
    AskStatus,
    Cancel,
    CloseFile,
    Describe,
    Done,
    EditFile,
    Failed,
    Held,
    Hello,
    OpenFile,
    Prepare,
    SetContext,
    Shutdown,
    Stats,
    Welcome,
    WorkerStatus,
)
from model.api.runtime import package_version
from model.api.types import InfillRequest, ScoreRequest
from model.errors import BusyError, Cancelled, FrameError, SetfillError, WorkerError
from model.service.quotas import Quotas

logger = logging.getLogger(__name__)

_ABOUT_FILES = (OpenFile, EditFile, CloseFile, SetContext, Prepare, InfillRequest, ScoreRequest)
_QUESTIONS = (InfillRequest, ScoreRequest)
_HELLO_SECONDS = 10.0
_GOODBYE_SECONDS = 2.0
_BACKLOG_BYTES = 16 * 2**20  # that wait for a client that reads too slowly; then it is left
_MANY_WAITING = 1000  # changes of one file that no engine has taken in yet
_CLIENT = re.compile(r"[0-9a-f]{32}")
GOODBYE, REFUSED, INTERNAL = 1000, 1008, 1011  # close codes of WebSocket


class Socket(Protocol):
    """A WebSocket."""

    async def receive(self) -> bytes | None:
        """Return the next binary message, None when the client has left."""

    async def send(self, data: bytes) -> None:
        """Send a binary message. OSError, or nothing, when the client has left."""

    async def close(self, code: int, reason: str) -> None: ...


class Engines(Protocol):
    """The engines behind a router."""

    def carry_out(self, session: str, user: str, client: str, data: bytes) -> AsyncIterator[bytes]:
        """As `EngineHost.carry_out`, at the engine that `session` leads to. `aclose` withdraws the question.

        NeedFullError when that engine is lost, BusyError when all have too much to do.
        """


class Tally(Protocol):
    """Who counts what happens."""

    def answered(self, outcome: str, seconds: float) -> None:
        """Count a question: `outcome` is `ok` or the code of an error."""


@dataclass
class _Parcel:
    """Frames about one file that go to an engine together."""

    changes: bytes = b""
    change_ids: list[int] = field(default_factory=list)
    question: bytes = b""  # with what is held before it
    question_id: int | None = None


@dataclass
class _Question:
    """A question under way. `taken_in` is set once it, and what changes came with it, is in an engine's queue."""

    taken_in: asyncio.Event
    task: asyncio.Task[None] | None = None
    is_cancelled: bool = False


class Conversation:
    """One connection of a user who has been let in. `whose` is asked with each message whether they still may be."""

    def __init__(
        self, whose: Callable[[], str], socket: Socket, engines: Engines, quotas: Quotas, tally: Tally
    ) -> None:
        self._whose, self._user = whose, whose()
        self._socket, self._engines = socket, engines
        self._quotas, self._tally = quotas, tally
        self._client = ""
        self._lanes: dict[str, deque[_Parcel]] = {}  # by file: what waits behind what an engine is taking in
        self._questions: dict[int, _Question] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._to_send: asyncio.Queue[bytes] = asyncio.Queue()
        self._backlog_bytes = 0
        self._is_too_slow = asyncio.Event()
        self._asked = self._refed = self._said = 0

    async def run(self) -> None:
        """Talk until the client leaves, or has to."""
        sending = asyncio.create_task(self._send_all())
        reading = asyncio.create_task(self._read_all())
        slow = asyncio.create_task(self._is_too_slow.wait())
        try:
            await asyncio.wait([sending, reading, slow], return_when=asyncio.FIRST_COMPLETED)
            if reading.done() and not reading.cancelled() and (error := reading.exception()):
                await self._tell_end(error)
            elif slow.done():
                await self._socket.close(REFUSED, "the client reads too slowly")
        finally:
            tasks = [sending, reading, slow, *self._tasks]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _tell_end(self, error: BaseException) -> None:
        if isinstance(error, SetfillError):
            await tell_and_close(self._socket, error)
        elif not isinstance(error, (OSError, TimeoutError)):
            logger.error("a connection ended by an internal %s", type(error).__name__)
            await self._socket.close(INTERNAL, "internal error")

    async def _read_all(self) -> None:
        if not await self._greet():
            return
        while (data := await self._socket.receive()) is not None:
            self._whose()
            if not self._take_in(data):
                async with asyncio.timeout(_GOODBYE_SECONDS):
                    await self._to_send.join()
                    await self._socket.close(GOODBYE, "as wanted")
                return

    async def _greet(self) -> bool:
        """Answer the hello. Return whether there was one, False when the client has left."""
        try:
            async with asyncio.timeout(_HELLO_SECONDS):
                data = await self._socket.receive()
        except TimeoutError:
            raise FrameError("the first message must be a hello, and none came") from None
        if data is None:
            return False
        bodies = wire.split_frames(data) if len(data) <= wire.MAX_HELLO_BYTES else []
        if len(bodies) != 1:
            raise FrameError("the first message must be a hello")
        try:
            request_id, hello = wire.decode_body(bodies[0])
        except FrameError as error:
            raise FrameError(f"this service runs setfill {package_version()}: {error}") from None
        if not isinstance(hello, Hello) or not _CLIENT.fullmatch(hello.client):
            raise FrameError("the first message must be a hello with a client's name")
        self._client = hello.client
        self._send(request_id, Welcome(wire.PROTOCOL, package_version(), 0))
        return True

    def _take_in(self, data: bytes) -> bool:
        """Do what one message asks for. Return whether to go on."""
        if len(data) > wire.MAX_SERVICE_BYTES:
            raise FrameError(f"a message of {len(data):,} bytes is over the limit of {wire.MAX_SERVICE_BYTES:,}")
        bodies = wire.split_frames(data)
        try:
            self._quotas.received(self._user, len(data))
        except BusyError as error:
            self._fail_all(bodies, error)
            return True
        frames = []
        for body in bodies:
            try:
                frames.append((*wire.decode_body(body), body))
            except FrameError as error:
                self._fail_all(bodies, error)
                return True
        if not frames:
            return True
        request_id, message, body = frames[0]
        match message:
            case Held():
                self._sort(frames)
            case AskStatus():
                self._said += 1  # a step, by which the client sees that something is done
                self._send(request_id, WorkerStatus("ready", 1.0, "", 0, steps=self._said))
            case Cancel():
                self._cancel(message.request_id)
            case Describe():
                self._ask(_Parcel(question=wire.framed(body), question_id=request_id), f"{self._user}/{self._client}")
            case AskStats():
                self._send(request_id, Stats({"questions": self._asked, "files_sent_again": self._refed}))
            case Shutdown():
                self._send(request_id, Done())
                return False
            case _:
                self._fail(request_id, FrameError(f"{type(message).__name__} is not a request"))
        return True

    # Order

    def _sort(self, frames: list[tuple[int, Any, bytes]]) -> None:
        """Put frames about a file, each behind what is held of it, into the file's lane."""
        parcel, held, file_id = _Parcel(), b"", frames[0][1].file_id
        for request_id, message, body in frames:
            if isinstance(message, Held):
                held = wire.framed(body)
            elif not held or not isinstance(message, _ABOUT_FILES) or message.file_id != file_id or parcel.question:
                wrong = FrameError("a message is about one file, and a question stands last")
                self._fail_all([each for _, _, each in frames], wrong)
                return
            elif isinstance(message, _QUESTIONS):
                parcel.question, parcel.question_id = held + wire.framed(body), request_id
                self._refed += bool(parcel.changes)
            else:
                parcel.changes += held + wire.framed(body)
                parcel.change_ids.append(request_id)
        self._put(file_id, parcel)

    def _put(self, file_id: str, parcel: _Parcel) -> None:
        lane = self._lanes.get(file_id)
        if lane is None:
            lane = self._lanes[file_id] = deque()
            self._spawn(self._pump(file_id, lane))
        elif len(lane) >= _MANY_WAITING:
            self._fail_parcel(parcel, BusyError("the team's service is busy: no engine takes anything in"))
            return
        lane.append(parcel)

    async def _pump(self, file_id: str, lane: deque[_Parcel]) -> None:
        """Hand a file's parcels to an engine, each once the one before has been taken in."""
        await asyncio.sleep(0)
        session = f"{self._user}/{self._client}"
        while lane:
            parcel = lane.popleft()
            while lane and not parcel.question:  # what came meanwhile goes along
                following = lane.popleft()
                parcel.changes += following.changes
                parcel.change_ids += following.change_ids
                parcel.question, parcel.question_id = following.question, following.question_id
            if parcel.changes or parcel.question:
                await self._ask(parcel, session).wait()
        del self._lanes[file_id]

    def _ask(self, parcel: _Parcel, session: str) -> asyncio.Event:
        """Have an engine carry a parcel out; return what is set once it is in that engine's queue."""
        taken_in = asyncio.Event()
        question = None
        if parcel.question_id is not None:
            question = self._questions[parcel.question_id] = _Question(taken_in)
        task = self._spawn(self._carry_out(parcel, session, question, taken_in))
        if question:
            question.task = task
        return taken_in

    # Asking

    async def _carry_out(
        self, parcel: _Parcel, session: str, question: _Question | None, taken_in: asyncio.Event
    ) -> None:
        loop = asyncio.get_running_loop()
        started, outcome = loop.time(), "ok"
        limit_s = self._quotas.limits.question_s
        try:
            async with asyncio.timeout(limit_s):
                outcome = await self._carry_out_within_quota(parcel, session, question, taken_in)
        except asyncio.CancelledError:
            outcome = Cancelled.code
            if not question or not question.is_cancelled:
                raise
            self._fail_parcel(parcel, Cancelled("the request was withdrawn"))
        except TimeoutError:
            outcome = BusyError.code
            self._fail_parcel(parcel, BusyError(f"the team's service is busy: no answer within {limit_s:.0f} s"))
        except SetfillError as error:
            outcome = error.code
            self._fail_parcel(parcel, error)
        except Exception as error:
            logger.error("asking an engine failed: %s", type(error).__name__)  # its text may quote source code
            outcome = WorkerError.code
            self._fail_parcel(parcel, WorkerError("internal error of the team's service; please report it"))
        finally:
            taken_in.set()
            if question:
                self._questions.pop(parcel.question_id or 0, None)
                self._tally.answered(outcome, loop.time() - started)

    async def _carry_out_within_quota(
        self, parcel: _Parcel, session: str, question: _Question | None, taken_in: asyncio.Event
    ) -> str:
        """As `_pass_on`; of a user who asks too much only the changes are passed on."""
        if question is None:
            return await self._pass_on(parcel, session, None, taken_in)
        self._asked += 1
        try:
            with self._quotas.question(self._user):
                return await self._pass_on(parcel, session, question, taken_in)
        except BusyError as error:
            if taken_in.is_set() or not parcel.changes:
                raise
            self._fail(parcel.question_id or 0, error)
        await self._pass_on(parcel, session, None, taken_in)
        return BusyError.code

    async def _pass_on(self, parcel: _Parcel, session: str, question: _Question | None, taken_in: asyncio.Event) -> str:
        """Send on what an engine says; return `ok`, or the code of the error that it answers the question with."""
        data = parcel.changes + (parcel.question if question else b"")
        outcome = "ok"
        answers = self._engines.carry_out(session, self._user, self._client, data)
        try:
            async for frames in answers:
                if not taken_in.is_set():
                    parcel.change_ids.clear()  # answered, if well or not
                    taken_in.set()
                    if question and question.is_cancelled:
                        raise asyncio.CancelledError
                if question and frames:
                    outcome = wire.peek_failure(wire.split_frames(frames)[-1]) or outcome
                self._send_frames(frames)
        finally:
            with suppress(Exception):
                await answers.aclose()  # type: ignore[attr-defined]
        return outcome

    def _cancel(self, request_id: int) -> None:
        for lane in self._lanes.values():
            for parcel in lane:
                if parcel.question_id == request_id:
                    parcel.question, parcel.question_id = b"", None
                    self._fail(request_id, Cancelled("the request was withdrawn"))
                    return
        if (question := self._questions.get(request_id)) and question.task:
            question.is_cancelled = True
            if question.taken_in.is_set():  # else once it is: the changes that go with it are to be made
                question.task.cancel()

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # Answering

    def _fail_parcel(self, parcel: _Parcel, error: SetfillError) -> None:
        for request_id in (*parcel.change_ids, *([parcel.question_id] if parcel.question_id is not None else [])):
            self._fail(request_id, error)

    def _fail_all(self, bodies: list[bytes], error: SetfillError) -> None:
        for request_id in map(wire.peek_request_id, bodies):
            if request_id != wire.NO_REQUEST or len(bodies) == 1:
                self._fail(request_id, error)

    def _fail(self, request_id: int, error: SetfillError) -> None:
        self._send(request_id, failed(error))

    def _send(self, request_id: int, message: Any) -> None:
        self._send_frames(wire.encode_frame(request_id, message))

    def _send_frames(self, frames: bytes) -> None:
        if not frames:
            return
        self._backlog_bytes += len(frames)
        if self._backlog_bytes > _BACKLOG_BYTES:
            self._is_too_slow.set()
        self._to_send.put_nowait(frames)

    async def _send_all(self) -> None:
        while True:
            frames = await self._to_send.get()
            await self._socket.send(frames)
            self._backlog_bytes -= len(frames)
            self._to_send.task_done()


def failed(error: SetfillError) -> Failed:
    """Return what a client is told of an error."""
    return Failed(error.code, str(error), error.retry_s if isinstance(error, BusyError) else None)


async def tell_and_close(socket: Socket, error: SetfillError) -> None:
    """Tell a client why it has to leave, and close the connection."""
    with suppress(OSError):
        await socket.send(wire.encode_frame(wire.NO_REQUEST, failed(error)))
        await socket.close(REFUSED, error.code)


async def admitted(whose: Callable[[], str], socket: Socket, engines: Engines, quotas: Quotas, tally: Tally) -> None:
    """Let a client in, if `whose` tells its user and there is room; talk until it leaves.

    `whose` raises UnauthorizedError for a token that is not good, or not any more.
    """
    try:
        with quotas.connection(whose()):
            await Conversation(whose, socket, engines, quotas, tally).run()
    except SetfillError as error:
        await tell_and_close(socket, error)
