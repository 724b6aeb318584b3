"""Whether a worker still works, judged from what it says and, while it is silent, from what its process does.

There are two questions. The worker's event loop may answer while its compute thread hangs: so it says how many steps
that thread has done. And a compute thread that works may keep the event loop from answering: importing torch holds
the interpreter's lock for as long as the disk takes. So before a silent worker is given up, its process is looked at.

Time is counted in ticks of our own event loop: while this process or the whole machine stands still, none pass.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from model.api.messages import WorkerStatus

_WORK_MS = 100  # of processor time: answering our questions for a minute takes a fifth of that


@dataclass(frozen=True)
class Patience:
    """How many seconds each state of a worker may last while a request waits."""

    tick_s: float = 1.0  # between two looks
    stopped_s: float = 10.0  # its process is stopped, as by SIGSTOP
    silent_s: float = 20.0  # no answer, and its process does nothing
    unseen_s: float = 60.0  # no answer, and its process cannot be looked at
    idle_s: float = 60.0  # it answers, but finishes no step and uses no processor time
    working_s: float = 300.0  # no answer or no step finished, but its process works
    loading_s: float = 600.0  # no step finished, and perhaps no answer, while the weights are loaded: disks are slow


@dataclass(frozen=True)
class Signs:
    """What can be seen of a process from outside. Two that are equal, one after the other: it did nothing between."""

    is_stopped: bool
    is_in_disk: bool
    used: tuple[int, ...]  # processor time and pages read from disk


def signs_of(pid: int) -> Signs | None:
    """Look at a process; None where that cannot be done."""
    if sys.platform != "linux":
        return None
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return Signs(fields[0] in "Tt", fields[0] == "D", (int(fields[9]), int(fields[11]), int(fields[12])))


class Watchdog:
    """Counts how long a worker has been silent, or has done nothing. Knows no clock: `tick` says that time passed."""

    def __init__(self, patience: Patience) -> None:
        self.silent_s = 0.0  # since it last said anything
        self._patience = patience
        self._dead_s = 0.0  # silent, and its process does nothing
        self._stuck_s = 0.0  # since its compute thread finished a step
        self._idle_s = 0.0  # since that, or since it used the processor
        self._idle_since_ms = 0  # of the worker's processor time
        self._signs: Signs | None = None
        self._status: WorkerStatus | None = None

    def rest(self) -> None:
        """Begin anew: nothing is awaited of the worker."""
        self.silent_s = self._dead_s = self._stuck_s = self._idle_s = 0.0
        self._signs = None

    def heard(self) -> None:
        """Note that something came from the worker."""
        self.silent_s = self._dead_s = 0.0

    def told(self, status: WorkerStatus) -> None:
        """Take in what the worker says of itself."""
        before, self._status = self._status, status
        if before is None or (status.steps, status.state) != (before.steps, before.state):
            self._stuck_s = self._idle_s = 0.0
            self._idle_since_ms = status.cpu_ms
        elif status.cpu_ms - self._idle_since_ms >= _WORK_MS:
            self._idle_s = 0.0
            self._idle_since_ms = status.cpu_ms

    def tick(self, signs: Signs | None, computes: bool) -> str | None:
        """Let one tick pass; return why the worker is to be given up, if it is.

        `computes`: something is awaited that its compute thread must answer.
        """
        patience, seconds = self._patience, self._patience.tick_s
        is_loading = self._status is None or self._status.state == "loading"
        works = signs is not None and (signs.is_in_disk or signs != self._signs) and not signs.is_stopped
        self._signs = signs
        self.silent_s += seconds
        self._dead_s = 0.0 if works else self._dead_s + seconds
        if computes:
            self._stuck_s += seconds
            # While it answers it tells its processor time itself, and more exactly.
            self._idle_s = 0.0 if works and self.silent_s > 2 * seconds else self._idle_s + seconds
        if signs is not None and signs.is_stopped and self._dead_s > patience.stopped_s:
            return f"it was stopped, and did not answer for {self._dead_s:.0f} s"
        dead_limit = patience.loading_s if is_loading else patience.silent_s if signs else patience.unseen_s
        working_limit = patience.loading_s if is_loading else patience.working_s
        if self.silent_s > working_limit or min(self.silent_s, self._dead_s) > dead_limit:
            return f"it did not answer for {self.silent_s:.0f} s"
        idle_limit = patience.loading_s if is_loading else patience.idle_s
        if self._stuck_s > working_limit or self._idle_s > idle_limit:
            return f"it got nothing done for {self._stuck_s:.0f} s"
        return None
