"""The compute thread: what idle work gives way to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from model.api.messages import OpenFile, Prepare
from model.api.types import Gap, Infill, InfillRequest, ScoreRequest
from model.worker.compute import Compute, FairQueue, Job
from tests.model.worker.stand_in import StandInEngine

PATIENCE_S = 60.0
GAP = Gap(0, 0)


class ReadingEngine(StandInEngine):
    """Its idle slice ends only by being given up."""

    def __init__(self) -> None:
        super().__init__()
        self.reads, self.was_given_up = threading.Event(), threading.Event()

    def idle_slice(self, interrupted: Callable[[], bool]) -> bool:
        self.reads.set()
        until = time.monotonic() + PATIENCE_S
        while not interrupted() and time.monotonic() < until:
            time.sleep(0.001)
        self.was_given_up.set()
        return False


def job(message: Any, answer: Callable[[Any], None] = lambda reply: None) -> Job:
    return Job(1, 1, message, answer, lambda partial: None)


@contextmanager
def running(engine: ReadingEngine) -> Iterator[FairQueue]:
    compute = Compute(lambda tell_progress: engine, "stand-in", 0, on_crash=lambda: None)
    compute.start()
    try:
        yield compute.queue
    finally:
        compute.stop(PATIENCE_S)


def test_an_idle_slice_is_given_up_for_a_request_and_not_for_an_edit() -> None:
    """A slice of 64 rows took up to a quarter of a second, which whoever asked then waited as well."""
    engine, answers = ReadingEngine(), list[Any]()
    answered = threading.Event()

    def answer(reply: Any) -> None:
        answers.append(reply)
        answered.set()

    with running(engine) as queue:
        queue.push(job(OpenFile("f", "a.py", "text", 1)))
        assert engine.reads.wait(PATIENCE_S)
        queue.push(job(Prepare("f", 0)))
        assert not queue.somebody_waits()
        assert not engine.was_given_up.is_set()
        queue.push(job(InfillRequest("f", 1, (GAP,)), answer))
        assert answered.wait(PATIENCE_S)
        assert engine.was_given_up.is_set()
    assert isinstance(answers[0], Infill)


def test_whoever_asks_the_network_waits_for_it() -> None:
    for message, waits in (
        (Prepare("f", 0), False),
        (InfillRequest("f", 1, (GAP,)), True),
        (ScoreRequest("f", 1, (GAP,), ("",)), True),
    ):
        queue = FairQueue()
        queue.push(job(message))
        assert queue.somebody_waits() is waits
        queue.take(0.0)
        assert not queue.somebody_waits(), "it is under way"
        assert queue.take(0.0) is None
