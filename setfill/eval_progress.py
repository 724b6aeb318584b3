"""How far a measurement is, told on terminals and elsewhere, and what is left of one that was interrupted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from model.api.visible_text import visible
from setfill.display import notes

Tell = Callable[[int, int], None]
"""Called with how many are done, and of how many."""

_SECONDS_BETWEEN_LINES = 30.0


@contextmanager
def progress_of(what: str, clock: Callable[[], float] = time.monotonic) -> Iterator[Tell]:
    """Tell on standard error how many of `what` are done, and about how long the others will take."""
    err = notes()
    pace = _Pace(clock)
    if not err.is_terminal:
        yield _lines(err, what, pace, clock)
        return
    with err.status("loading the model") as line:
        yield lambda done, total: line.update(pace.sentence(done, total, what))


@contextmanager
def kept_beside(report: Path | None) -> Iterator[Path | None]:
    """Yield where the answers of a run are kept until its report is written, which happens within. None keeps none."""
    from model.evaluation.answer_log import log_beside

    log = log_beside(report) if report else None
    try:
        yield log
    except KeyboardInterrupt:
        if log and log.exists():
            notes("never").print(f"the answers so far are in {visible(str(log))}: the same command goes on from there")
        raise
    if log:
        log.unlink(missing_ok=True)


def _lines(err: Console, what: str, pace: _Pace, clock: Callable[[], float]) -> Tell:
    told_at = -_SECONDS_BETWEEN_LINES

    def tell(done: int, total: int) -> None:
        nonlocal told_at
        sentence, now = pace.sentence(done, total, what), clock()
        if done == total or now - told_at >= _SECONDS_BETWEEN_LINES:
            told_at = now
            err.print(sentence, markup=False)

    return tell


class _Pace:
    """How long one takes, by those done since the first call: what an earlier run has left took no time in this one."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._first: tuple[int, float] | None = None

    def sentence(self, done: int, total: int, what: str) -> str:
        """Return how many are done, and the time to go once that can be told."""
        first_done, first_time = self._first = self._first or (done, self._clock())
        said = f"{done} of {total} {what}"
        if not first_done < done < total:
            return said
        seconds = (self._clock() - first_time) / (done - first_done) * (total - done)
        return f"{said}, about {_in_words(seconds)} to go"


def _in_words(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
