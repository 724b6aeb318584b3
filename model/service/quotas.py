"""How much each user of a team's service may ask: connections, questions at a time and a minute, bytes a minute.

Counted by one ingress for itself; where there are several, each grants as much. Knows users by name, and no messages.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from model.errors import BusyError

_SOON_S = 1.0  # where nothing tells when there will be room


@dataclass(frozen=True)
class Limits:
    """What a team's service grants."""

    connections: int = 2000  # of all users to one ingress
    connections_per_user: int = 16  # an editor's window is one
    questions_at_a_time: int = 8  # of one user, waiting or being answered
    questions_a_minute: int = 600  # of one user: whoever types asks several times a second
    bytes_a_minute: int = 64 * 2**20  # that one user sends
    question_s: float = 60.0  # from a question to its answer, waiting included


class Bucket:
    """An allowance that fills up steadily, to what is granted in a minute."""

    def __init__(self, per_minute: float, now: float) -> None:
        self._per_minute, self._left, self._when = per_minute, per_minute, now

    def take(self, amount: float, now: float) -> float:
        """Take `amount`, and return 0; or take nothing, and return after how many seconds it will be there.

        More than a whole minute's allowance can be had once it is full.
        """
        self._left = min(self._per_minute, self._left + (now - self._when) * self._per_minute / 60)
        self._when = now
        missing = min(amount, self._per_minute) - self._left
        if missing > 1e-9:
            return missing * 60 / self._per_minute
        self._left -= amount
        return 0.0


@dataclass
class _User:
    questions: Bucket
    sent: Bucket
    connections: int = 0
    asking: int = 0


class Quotas:
    """What each user has of what `limits` grant. Every refusal is a BusyError that says when to try again."""

    def __init__(self, limits: Limits, now: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self._now = now
        self._users: dict[str, _User] = {}
        self._connections = 0

    def grant(self, limits: Limits) -> None:
        """Grant other limits from now on, to connections that are open too."""
        self.limits = limits
        for counts in self._users.values():
            counts.questions, counts.sent = self._buckets()

    @contextmanager
    def connection(self, user: str) -> Iterator[None]:
        """Count a connection for as long as it lasts. BusyError when there are too many."""
        limits, counts = self.limits, self._of(user)
        if counts.connections >= limits.connections_per_user:
            raise _busy(f"you have {counts.connections} connections, and no more are granted to one user", _SOON_S)
        if self._connections >= limits.connections:
            raise _busy(f"the service has {self._connections} connections, and no room for more", 10 * _SOON_S)
        counts.connections += 1
        self._connections += 1
        try:
            yield
        finally:
            counts.connections -= 1
            self._connections -= 1

    @contextmanager
    def question(self, user: str) -> Iterator[None]:
        """Count a question for as long as it is being answered. BusyError when there are too many."""
        counts = self._of(user)
        if counts.asking >= self.limits.questions_at_a_time:
            raise _busy(f"{counts.asking} of your questions are waiting, and no more are granted at a time", _SOON_S)
        if wait_s := counts.questions.take(1, self._now()):
            raise _busy(f"you have asked {self.limits.questions_a_minute} questions within a minute", wait_s)
        counts.asking += 1
        try:
            yield
        finally:
            counts.asking -= 1

    def received(self, user: str, size_bytes: int) -> None:
        """Count what a user has sent. BusyError when it is too much."""
        if wait_s := self._of(user).sent.take(size_bytes, self._now()):
            raise _busy(f"you have sent {self.limits.bytes_a_minute >> 20} MiB within a minute", wait_s)

    def _of(self, user: str) -> _User:
        if user not in self._users:  # no more than there are tokens
            self._users[user] = _User(*self._buckets())
        return self._users[user]

    def _buckets(self) -> tuple[Bucket, Bucket]:
        limits, now = self.limits, self._now()
        return Bucket(limits.questions_a_minute, now), Bucket(limits.bytes_a_minute, now)


def _busy(why: str, retry_s: float) -> BusyError:
    error = BusyError(f"the team's service is busy: {why}; try again in {max(1, round(retry_s))} s")
    error.retry_s = retry_s
    return error
