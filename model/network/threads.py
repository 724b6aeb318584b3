"""How many threads a forward runs on: one or all, whichever was faster lately.

Threads wait for each other some hundred times in a forward. Where every core is
free that costs little and two halve a forward; beside a compiler or a test run
the others wait for a thread that has no core, and one thread alone is several
times as fast. Nobody tells which it is, so it is measured, again and again, for
few rows and for many. Knows no rows, only how many.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

_FIRST_TRIAL = 16  # forwards until the slower choice is tried again, doubled each time that it is still slower
_LAST_TRIAL = 256
_NEWEST = 0.3  # weight of a new time against those before
_STALL = 3.0  # a forward that takes so many times longer than usual says nothing more
_FIXED_ROWS = 8  # a forward costs as much as so many rows, and then its rows


@dataclass
class _Times:
    """Of forwards of about as many rows: what they took by each choice, and when the slower one is tried again."""

    seconds: dict[bool, float] = field(default_factory=dict)  # for each row, by whether all threads ran
    interval: int = _FIRST_TRIAL
    until_trial: int = _FIRST_TRIAL


class ThreadChoice:
    """Chooses for each forward whether all threads run it or one."""

    def __init__(self) -> None:
        self._times: dict[int, _Times] = {}
        self._warm: set[bool] = set()

    @contextmanager
    def for_rows(self, rows: int) -> Iterator[None]:
        """Have torch run what is computed within on the threads chosen for `rows` rows, and learn how long it took."""
        most = torch.get_num_threads()
        if most == 1:
            yield
            return
        uses_all = self.uses_all(rows)
        began = time.perf_counter()
        torch.set_num_threads(most if uses_all else 1)
        try:
            yield
        finally:
            torch.set_num_threads(most)
        self.took(rows, uses_all, time.perf_counter() - began)

    def uses_all(self, rows: int) -> bool:
        """Return whether all threads are to run the next forward of `rows` rows."""
        times = self._of(rows)
        for choice in (True, False):
            if choice not in times.seconds:
                return choice
        faster = times.seconds[True] <= times.seconds[False]
        return faster if times.until_trial else not faster

    def took(self, rows: int, used_all: bool, seconds: float) -> None:
        """Learn that a forward of `rows` rows took so long on all threads, or on one."""
        if used_all not in self._warm:  # the first one pays for much that no other will
            self._warm.add(used_all)
            return
        times, of_row = self._of(rows), seconds / (rows + _FIXED_ROWS)
        before = times.seconds.get(used_all)
        other = times.seconds.get(not used_all)
        if before is None or other is None:
            times.seconds[used_all] = of_row
        elif before <= other or times.until_trial:
            times.seconds[used_all] = before + _NEWEST * (min(of_row, _STALL * before) - before)
            times.until_trial = max(0, times.until_trial - 1)
        else:  # a trial of the slower one: what it took before is long ago
            times.seconds[used_all] = of_row
            times.interval = _FIRST_TRIAL if of_row < other else min(2 * times.interval, _LAST_TRIAL)
            times.until_trial = times.interval

    def _of(self, rows: int) -> _Times:
        return self._times.setdefault((rows - 1).bit_length() // 2, _Times())  # 1, to 4, to 16, to 64, more
