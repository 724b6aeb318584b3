"""The worker's client: knows which files are open, and keeps a worker that has them.

    async with WorkerClient(WorkerOptions(model="smollm2-135m")) as client:
        client.open("a", "a.py", text, version=1)
        infill = await client.infill(InfillRequest("a", 1, (Gap(12, 12),)))

Files are opened, edited and closed without waiting, in the order of the calls,
so that a synchronous handler can do it; a wrong call raises at once, as the
client knows each text's version and length. It has no text itself: when the
worker dies, or hangs and is ended, it is started again, once for all who wait,
and whoever owns a text is asked for it, to open it there. A team's service, which
has many workers, says itself when it does not hold a file, and is then told of it
together with the question. Imports no torch; knows no LSP.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from model.api.connection import Connection, OnPartial
from model.api.edits import check, grown
from model.api.holdings import Holdings
from model.api.launch import Link, WorkerOptions, open_link
from model.api.messages import (
    AskStats,
    AskStatus,
    CloseFile,
    Describe,
    EditFile,
    OpenFile,
    Prepare,
    SetContext,
    Shutdown,
    WorkerStatus,
)
from model.api.types import Edit, Infill, InfillRequest, ModelDescription, Score, ScoreRequest, Snippet
from model.api.watchdog import Patience
from model.errors import (
    FrameError,
    InputError,
    NeedFullError,
    RangeError,
    SetfillError,
    UnknownFileError,
    VersionError,
    WorkerError,
)

__all__ = ["WorkerClient", "WorkerOptions"]

logger = logging.getLogger(__name__)

_MANY_DEATHS = 5  # within this time the worker is not started again
_DEATHS_WINDOW_S = 120.0
_MOST_FEEDS = 3  # of one question: each goes to an engine together with the whole file, which it may lose again
_FIRST_BACKOFF_S, _LONGEST_BACKOFF_S = 0.1, 5.0  # doubled with each death; the first restart is at once


Owner = Callable[[], str]
"""Who owns a text that is edited: returns it as it is now, which is as it was last told of."""


@dataclass
class _OpenFile:
    """What the client knows of a file that the worker should have."""

    path: str
    owner: Owner
    length_char: int
    version: int
    is_fixed: bool  # opened with a text that stays as it is
    snippets: tuple[Snippet, ...] = ()


class WorkerClient:
    """A worker that is there when it is needed. Use from one event loop only."""

    def __init__(self, options: WorkerOptions, patience: Patience | None = None) -> None:
        self.options = options
        self.on_death: Callable[[str, bool], None] = lambda reason, was_hung: None
        self.restarts = 0  # workers started after the first one
        self._files: dict[str, _OpenFile] = {}
        self._holdings = Holdings() if options.service else None
        self._name = secrets.token_hex(16)  # to a service, whatever connection it comes by
        self._patience = patience or Patience()
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[Connection] | None = None
        self._deaths: deque[float] = deque(maxlen=_MANY_DEATHS)  # times, in seconds of the monotonic clock
        self._last_death = ""
        self._started = False
        self._stopped = False

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Have a worker running. WorkerError when none can be had. Also ends a client's having given up."""
        self._deaths.clear()
        await self._ready()

    async def connect(self) -> None:
        """Have a worker running. WorkerError when none can be had, or when this client has given up for now."""
        await self._ready()

    async def restart(self) -> None:
        """End the worker, a shared one for all its clients, and have another running. WorkerError as for `start`."""
        if self._connecting:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        if self._connection:
            await self._connection.end()
        await self.start()

    async def stop(self) -> None:
        """Leave the worker: a child ends, a shared one goes on for others. Pending requests end with WorkerError."""
        self._stopped = True
        if self._connecting:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        if self._connection:
            await self._connection.close()
            self._connection = None

    async def shutdown(self) -> None:
        """Have the worker exit, also for other clients of a shared one, and stop."""
        connection = await self._ready()
        self._stopped = True
        try:
            await connection.request(Shutdown())
        except WorkerError:
            pass  # gone already, as wanted
        await self.stop()

    @property
    def pid(self) -> int | None:
        """The worker's process id, None while there is none."""
        return self._connection.pid if self._connection else None

    @property
    def rests_s(self) -> float:
        """How long no worker is started, because too many died: 0 when one may be."""
        if len(self._deaths) < _MANY_DEATHS:
            return 0.0
        return max(0.0, self._deaths[0] + _DEATHS_WINDOW_S - time.monotonic())

    # Files

    @property
    def open_files(self) -> frozenset[str]:
        """The files that are open, by their ids."""
        return frozenset(self._files)

    def open(self, file_id: str, path: str, text: str | Owner, version: int) -> None:
        """Have the worker hold a text, of any version number, as `file_id`; what was open under it is replaced.

        `text` is one that stays as it is, or its owner, which a file that is edited must have.
        """
        owner: Owner = text if callable(text) else lambda: text
        self._files[file_id] = _OpenFile(path, owner, len(owner()), version, is_fixed=not callable(text))
        self._post_open(file_id)

    def edit(self, file_id: str, edits: Sequence[Edit], version: int) -> None:
        """Tell of `edits`, one after the other, that the owner of an open file's text has made; it then is `version`.

        UnknownFileError, VersionError unless `version` is above the one before,
        RangeError for an edit outside the text; then the worker is not told.
        InputError for a file that was opened with a text that stays as it is.
        """
        file = self._file(file_id)
        if file.is_fixed:
            raise InputError(f"{file_id!r} was opened with a text that stays as it is: open it with the text's owner")
        if version <= file.version:
            raise VersionError(f"version {version} is not above {file.version}, the version that is held")
        check(edits, file.length_char)
        file.length_char += sum(map(grown, edits))
        file.version = version
        self._post(EditFile(file_id, tuple(edits), version), file_id)

    def close(self, file_id: str) -> None:
        """Forget an open file. UnknownFileError when it is not open."""
        self._file(file_id)
        del self._files[file_id]
        self._post(CloseFile(file_id), file_id)

    def set_context(self, file_id: str, snippets: Sequence[Snippet]) -> None:
        """Replace the snippets that the gaps of an open file may see. UnknownFileError when it is not open."""
        file = self._file(file_id)
        file.snippets = tuple(snippets)
        self._post(SetContext(file_id, file.snippets), file_id)

    def prepare(self, file_id: str, cursor: int) -> None:
        """Hint that the next gap is likely at `cursor`, a string index. UnknownFileError, RangeError."""
        length_char = self._file(file_id).length_char
        if not 0 <= cursor <= length_char:
            raise RangeError(f"cursor {cursor} is outside the text of {length_char} characters")
        self._post(Prepare(file_id, cursor), file_id)

    # Questions

    async def infill(self, request: InfillRequest, on_partial: OnPartial | None = None) -> Infill:
        """Fill gaps. `on_partial` is called with the best text so far of each gap.

        Cancelling the awaiting task withdraws the request. Asked once more if the
        worker dies; then WorkerError. InputError and its kinds for a wrong request,
        CheckpointError when the model cannot be loaded, Cancelled after `cancel`.
        """
        self._file(request.file_id)
        answer: Infill = await self._ask(request, on_partial)
        return answer

    async def score(self, request: ScoreRequest) -> Score:
        """Return how likely given texts are in gaps. Errors as for `infill`."""
        self._file(request.file_id)
        answer: Score = await self._ask(request)
        return answer

    async def describe(self) -> ModelDescription:
        """Return what model runs, once it is loaded. CheckpointError when it cannot be."""
        answer: ModelDescription = await self._ask(Describe())
        return answer

    async def status(self) -> WorkerStatus:
        """Return how far the worker is, at once."""
        answer: WorkerStatus = await self._ask(AskStatus())
        return answer

    async def status_within(self, seconds: float) -> WorkerStatus | None:
        """Return how far the worker is; None when there is none, or when it does not say so in time."""
        if not self._connection or self._connection.lost:
            return None
        try:
            async with asyncio.timeout(seconds):
                answer: WorkerStatus = await self._connection.request(AskStatus())
                return answer
        except (TimeoutError, SetfillError):
            return None

    async def stats(self) -> dict[str, int | float | str]:
        """Return the worker's counters by name."""
        answer = await self._ask(AskStats())
        return {**answer.values, "worker_restarts": self.restarts}

    def cancel(self, file_id: str) -> None:
        """Withdraw all infills and scores of a file that are under way; who awaits them gets `Cancelled`."""
        if self._connection:
            self._connection.cancel_where(
                lambda message: isinstance(message, (InfillRequest, ScoreRequest)) and message.file_id == file_id
            )

    # Having a worker

    async def _ask(self, message: Any, on_partial: OnPartial | None = None) -> Any:
        """Return the answer. Questions change nothing, so one may be asked again.

        That is done when its worker died, and with the whole file when it came to one that does not hold it.
        """
        may_be_lost, feeds = True, 0
        while True:
            connection = await self._ready()
            # Read now, as what is told of the file after this follows on it.
            before = self._whole(message.file_id, message.version) if feeds else []
            try:
                return await connection.request(message, on_partial, before)
            except NeedFullError:
                if feeds == _MOST_FEEDS:
                    raise
                feeds += 1
            except WorkerError:
                if not connection.lost or self._stopped or not may_be_lost:
                    raise
                may_be_lost = False

    def _whole(self, file_id: str, version: int) -> list[Any]:
        """Return what tells of an open file as it is. VersionError when it is not `version` any more."""
        if (held := self._file(file_id).version) != version:
            raise VersionError(f"the file is at version {held} by now, not {version}")
        return self._opening(file_id)

    async def _ready(self) -> Connection:
        """Return a connection, after a restart if need be; all who come meanwhile wait for the same one."""
        if self._stopped:
            raise WorkerError("this client has been stopped")
        if self._connection and not self._connection.lost:
            return self._connection
        return await asyncio.shield(self._connect_soon())

    def _connect_soon(self) -> asyncio.Task[Connection]:
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.create_task(self._connect())
            self._connecting.add_done_callback(self._connected)
        return self._connecting

    def _connected(self, connecting: asyncio.Task[Connection]) -> None:
        if self._connecting is connecting:
            self._connecting = None
        if not connecting.cancelled() and (error := connecting.exception()):
            logger.warning("no model worker (%s)", type(error).__name__)

    async def _connect(self) -> Connection:
        await asyncio.sleep(self._backoff_s())
        try:
            link = await self._open_link()
        except SetfillError as error:
            self._remember_death(str(error))
            raise
        is_first, self._started = not self._started, True
        self.restarts += not is_first
        self._connection = Connection(link, self._lost, self._patience, self._holdings)
        if is_first or not self._holdings:  # a service that was lost may still hold them, and says so
            for file_id in self._files:
                self._post_open(file_id)
        return self._connection

    async def _open_link(self) -> Link:
        if self.options.service is None:
            return await open_link(self.options)
        from model.api.remote import open_service  # brings a library that a worker of this machine does not need

        return await open_service(self.options.service, self._name)

    def _backoff_s(self) -> float:
        """Return how long to wait before the next start. WorkerError when it is not worth trying."""
        deaths = [when for when in self._deaths if when > time.monotonic() - _DEATHS_WINDOW_S]
        if self.rests_s:
            what = "team's service was lost" if self.options.service else "model worker died"
            again = "asked" if self.options.service else "started"
            raise WorkerError(
                f"the {what} {len(deaths)} times in {_DEATHS_WINDOW_S:.0f} s and is not {again} again "
                f"for now; the last time: {self._last_death}"
            )
        return min(_FIRST_BACKOFF_S * 2 ** (len(deaths) - 1), _LONGEST_BACKOFF_S) if len(deaths) > 1 else 0.0

    def _lost(self, connection: Connection, reason: str) -> None:
        if self._connection is connection:
            self._connection = None
        if not self._stopped:
            if self.options.service:
                logger.warning("the team's service: %s", reason)
            else:
                logger.warning("the model worker (process %d) died: %s", connection.pid, reason)
            self._remember_death(reason)
            if self._files:
                self._connect_soon()  # encoding can begin before the next request
            self.on_death(reason, connection.was_hung)

    def _remember_death(self, reason: str) -> None:
        self._deaths.append(time.monotonic())
        self._last_death = reason

    # Sending files

    def _file(self, file_id: str) -> _OpenFile:
        file = self._files.get(file_id)
        if file is None:
            raise UnknownFileError(f"no file is open as {file_id!r}: open it first")
        return file

    def _post(self, message: Any, file_id: str) -> None:
        """Tell the worker of a change. Without a worker there is nothing to do: a new one gets the whole text."""
        try:
            if self._connection and not self._connection.lost:
                self._connection.post(message, lambda error: self._refused(file_id, message, error))
                return
        except FrameError as error:  # too large; requests for the file will be answered with an error
            logger.warning("a file is too large for the model worker (%s)", error.code)
        if self._holdings:
            self._holdings.drop(file_id)

    def _post_open(self, file_id: str) -> None:
        for message in self._opening(file_id):
            self._post(message, file_id)

    def _opening(self, file_id: str) -> list[Any]:
        """Return the messages that tell of a file as it is."""
        file = self._files[file_id]
        opening: list[Any] = [OpenFile(file_id, file.path, file.owner(), file.version)]
        if file.snippets:
            opening.append(SetContext(file_id, file.snippets))
        return opening

    def _refused(self, file_id: str, message: Any, error: SetfillError) -> None:
        """Open a file anew when the worker refused an edit: what it holds is no longer the owner's text."""
        logger.warning("%s was refused (%s)", type(message).__name__, error.code)
        if isinstance(message, EditFile) and isinstance(error, InputError) and file_id in self._files:
            self._post_open(file_id)
