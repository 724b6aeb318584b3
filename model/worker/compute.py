"""The compute thread: loads the weights, then carries out one request after the other.

Knows whose request is next and what to do when there is none; knows nothing of
sockets and frames. All of torch runs on this thread.

Clients take turns: each has a queue of its own, in order, and the thread takes
one request of each in rotation, so a client that asks much delays another by at
most one request. When nothing has come for a moment, the engine does its idle work
in slices and the queues are looked at between them; when that is done too, the thread
sleeps.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from model.api.messages import WorkerStatus
from model.api.types import PartialInfill
from model.errors import Cancelled, SetfillError
from model.worker.requests import Engine, OpenFiles, carry_out, close_all, failure, log_internal_error

logger = logging.getLogger(__name__)

_IDLE_AFTER_SECONDS = 0.05  # without a request: what a key brings comes within a few milliseconds

Load = Callable[[Callable[[float], None]], Engine]  # given a function to tell the progress, 0 to 1, to


@dataclass(eq=False)
class Job:
    """A request under way. `answer` and `on_partial` are called from the compute thread."""

    connection: int
    request_id: int
    message: Any
    answer: Callable[[Any], None]
    on_partial: Callable[[PartialInfill], None]
    cancelled: bool = False  # written by the event loop, read between layers


class FairQueue:
    """Jobs by connection, handed out in rotation. Any thread may call any verb."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: OrderedDict[int, deque[Job]] = OrderedDict()  # first: whose turn it is
        self._left: list[int] = []  # connections that were lost and must be cleaned up after
        self._running: Job | None = None
        self._stopped = False

    def push(self, job: Job) -> None:
        """Add a job behind the others of its connection."""
        with self._changed:
            self._waiting.setdefault(job.connection, deque()).append(job)
            self._changed.notify()

    def cancel(self, connection: int, request_id: int) -> Job | None:
        """Withdraw a job. One that still waits is returned, for the caller to answer; a running one is told to stop."""
        with self._changed:
            if self._running and (self._running.connection, self._running.request_id) == (connection, request_id):
                self._running.cancelled = True
            jobs = self._waiting.get(connection, deque())
            job = next((job for job in jobs if job.request_id == request_id), None)
            if job:
                jobs.remove(job)
            return job

    def leave(self, connection: int) -> None:
        """Drop all jobs of a lost connection and hand it out by `take` to be cleaned up after."""
        with self._changed:
            self._waiting.pop(connection, None)
            if self._running and self._running.connection == connection:
                self._running.cancelled = True
            self._left.append(connection)
            self._changed.notify()

    def stop(self) -> None:
        """Make `take` return None from now on, and the running job stop."""
        with self._changed:
            self._stopped = True
            if self._running:
                self._running.cancelled = True
            self._changed.notify()

    def take(self, wait_s: float | None) -> Job | int | None:
        """Return the next job, or the number of a lost connection; None when stopped, or when nothing is there.

        Sleeps until there is something to return, at most `wait_s` seconds; None: however long it takes.
        """
        until = None if wait_s is None else time.monotonic() + wait_s
        with self._changed:
            self._running = None
            while not self._stopped:
                if self._left:
                    return self._left.pop()
                for connection in list(self._waiting):
                    jobs = self._waiting.pop(connection)
                    if jobs:
                        self._running = jobs.popleft()
                        self._waiting[connection] = jobs  # to the end of the rotation
                        return self._running
                left_s = None if until is None else until - time.monotonic()
                if left_s is not None and left_s <= 0:
                    return None
                self._changed.wait(left_s)
            return None

    @property
    def stopped(self) -> bool:
        return self._stopped

    @property
    def newest_connection(self) -> int:
        """The highest number among the connections that have jobs waiting; 0 if none has."""
        with self._changed:
            return max(self._waiting, default=0)


class Compute:
    """The compute thread and what it owns: the engine, and the files each connection holds open."""

    def __init__(self, load: Load, model: str, pid: int, on_crash: Callable[[], None]) -> None:
        self.queue = FairQueue()
        self._status = WorkerStatus("loading", 0.0, model, pid)  # replaced as a whole, so any thread may read it
        self._steps = 0  # written by the compute thread alone
        self._load = load
        self._on_crash = on_crash  # called from the compute thread when it ends without being told to
        self._files: dict[int, OpenFiles] = {}
        self._thread = threading.Thread(target=self._run, name="compute", daemon=True)

    @property
    def status(self) -> WorkerStatus:
        """How far the worker is. Any thread may ask."""
        return replace(self._status, steps=self._steps, cpu_ms=int(1000 * time.process_time()))

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Cancel what runs and wait for the thread to end, at most `timeout_s` seconds."""
        self.queue.stop()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            self._load_and_serve()
        except BaseException as error:  # a bug here: better no worker, which clients notice, than a mute one
            log_internal_error("the compute thread", error)
            self._on_crash()

    def _load_and_serve(self) -> None:
        newcomer: Job | None = None
        while True:
            try:
                engine = self._load(self._tell_progress)
                break
            except Exception as error:
                newcomer = self._refuse(error, newcomer)
                if newcomer is None:
                    return
        self._status = WorkerStatus("ready", 1.0, self._status.model, self._status.pid)
        logger.info("the weights are loaded")
        if newcomer:
            self._answer(engine, newcomer)
        self._serve(engine)

    def _tell_progress(self, fraction: float) -> None:
        self._steps += 1
        self._status = WorkerStatus("loading", min(1.0, max(0.0, fraction)), self._status.model, self._status.pid)

    def _refuse(self, error: Exception, newcomer: Job | None) -> Job | None:
        """Answer requests with the reason why there are no weights, also that of `newcomer`.

        Returns the first request of a client that came after that was found out: what was wrong may have been mended
        before it came. Returns None when stopped.
        """
        reason = failure(error, "loading the model")
        self._status = WorkerStatus(
            "failed", 0.0, self._status.model, self._status.pid, error_code=reason.code, error_text=reason.text
        )
        logger.error("the weights could not be loaded (%s)", reason.code)
        newest = self.queue.newest_connection
        if newcomer:
            newcomer.answer(reason)
            newest = max(newest, newcomer.connection)
        while (job := self.queue.take(wait_s=None)) is not None:
            self._steps += 1
            if isinstance(job, Job):
                if job.connection > newest:
                    self._tell_progress(0.0)
                    return job
                job.answer(reason)
        return None

    def _serve(self, engine: Engine) -> None:
        until_idle_s: float | None = _IDLE_AFTER_SECONDS
        while True:
            job = self.queue.take(until_idle_s)
            self._steps += 1
            if isinstance(job, Job):
                self._answer(engine, job)
                until_idle_s = _IDLE_AFTER_SECONDS
            elif job is not None:
                close_all(engine, self._files.pop(job, OpenFiles(job)))
            elif self.queue.stopped:
                return
            else:
                until_idle_s = 0.0 if _idle_slice(engine) else None

    def _answer(self, engine: Engine, job: Job) -> None:
        files = self._files.setdefault(job.connection, OpenFiles(job.connection))
        doing = type(job.message).__name__

        def cancelled() -> bool:
            self._steps += 1  # it is asked between layers
            return job.cancelled

        try:
            answer = carry_out(engine, files, job.message, job.on_partial, cancelled)
        except Exception as error:
            answer = failure(error, doing)
            if isinstance(error, Cancelled) and self.queue.stopped:
                return  # not by its client, who will ask another worker
        job.answer(answer)


def _idle_slice(engine: Engine) -> bool:
    """Let the engine do one slice of idle work. Return whether more is left."""
    try:
        return engine.idle_slice()
    except SetfillError as error:
        logger.warning("idle work ended (%s)", error.code)
    except Exception as error:
        log_internal_error("idle work", error)
    return False  # until the next request: whatever failed would fail again at once


CANCELLED = failure(Cancelled("the request was withdrawn"), "")
