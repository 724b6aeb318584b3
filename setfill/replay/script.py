"""What is typed in a replay, and when: a recorded session, with key gaps drawn from a distribution.

Recordings tell what was typed; their time stamps are too coarse to tell the gaps between keys. Those are drawn by the
number of the edit, so that two replays with one seed have the same gaps whatever was accepted meanwhile.

Knows texts and times; knows no protocol.
"""

from __future__ import annotations

import math
import random
from collections import deque
from dataclasses import dataclass, replace

from model.errors import InputError
from model.evaluation.edit_trace import EditTrace, Patch, replayed


@dataclass(frozen=True)
class Pace:
    """How a typist's times are drawn, in milliseconds.

    Gaps between keys are log-normal. Some keys are followed by a pause to read instead, as is every edit after which
    the typist goes elsewhere: at least `least_pause_ms`, exponential beyond that.
    """

    seed: int = 0
    key_ms: float = 140.0  # the median
    key_deviation: float = 0.5  # of the logarithm: 24 % of the gaps are above 200 ms
    pause_share: float = 0.08
    least_pause_ms: float = 400.0
    pause_ms: float = 1500.0  # the mean
    ask_after_ms: float = 200.0  # a gap of this length is one in which a suggestion is asked for
    ask_every_keys: int = 5  # and one is asked for after so many keys without
    accept_share: float = 0.7  # of the suggestions that are right; the others are typed through
    reaction_ms: float = 300.0  # from seeing that a suggestion is right to accepting it

    def gap_ms(self, number: int, accepted: int, goes_elsewhere: bool) -> float:
        """Return the time from the edit with this number, or what was accepted behind it, to the next one."""
        draw = random.Random(f"gap {self.seed} {number} {accepted}")
        pauses, key = draw.random() < self.pause_share, draw.gauss(math.log(self.key_ms), self.key_deviation)
        if goes_elsewhere or pauses:
            return self.least_pause_ms + draw.expovariate(1 / max(1.0, self.pause_ms - self.least_pause_ms))
        return math.exp(key)

    def accepts(self, number: int, accepted: int) -> bool:
        """Return whether a right suggestion is accepted, and not typed through, there."""
        return random.Random(f"accept {self.seed} {number} {accepted}").random() < self.accept_share


@dataclass(frozen=True)
class Change:
    """Patches that are made at once; `number` is the first one's place in the recording."""

    number: int
    patches: tuple[Patch, ...]

    @property
    def start(self) -> int:
        return self.patches[0][0]

    @property
    def cursor(self) -> int:
        """Where the cursor stands afterwards, a string index."""
        at, _, new = self.patches[-1]
        return at + len(new)

    @property
    def typed(self) -> str | None:
        """What is typed, None where something is taken away, or several places change."""
        (_, gone, new), *others = self.patches
        return None if gone or others else new


class Script:
    """The text at the beginning, and the changes that are still to come."""

    def __init__(self, trace: EditTrace, first: int, edits: int | None) -> None:
        """Begin behind the first `first` patches of the trace. InputError where it has no more, or a wrong one."""
        end = len(trace.patches) if edits is None else min(len(trace.patches), first + edits)
        if first >= end:
            raise InputError(f"the recording has only {len(trace.patches):,} edits: begin before its end (--first)")
        _check(trace)
        self.text = replayed(trace.text, trace.patches[:first])
        self.end_text = replayed(self.text, trace.patches[first:end])
        begins = [number for number in range(first, end) if number == first or number not in trace.joined]
        ends = [*begins[1:], end]
        self._coming = deque(
            Change(begin, tuple(trace.patches[begin:stop])) for begin, stop in zip(begins, ends, strict=True)
        )

    def __bool__(self) -> bool:
        return bool(self._coming)

    def next(self) -> Change:
        """Take the next change."""
        return self._coming.popleft()

    @property
    def following(self) -> Change | None:
        """The change that comes next."""
        return self._coming[0] if self._coming else None

    def upcoming(self, cursor: int, enough: int) -> str:
        """Return what is typed next at `cursor` without a break, up to the change with which it is `enough`."""
        found = ""
        for change in self._coming:
            if len(found) >= enough or change.typed is None or change.start != cursor + len(found):
                break
            found += change.typed
        return found

    def skip(self, characters: int) -> None:
        """Leave out so many characters of what is typed next: they have been accepted."""
        while characters:
            change = self._coming.popleft()
            typed = change.typed
            assert typed is not None, "only what is typed can be accepted"
            if len(typed) > characters:
                rest = (change.start + characters, 0, typed[characters:])
                self._coming.appendleft(replace(change, patches=(rest,)))
            characters -= min(characters, len(typed))

    def finished(self, text: str) -> str:
        """Return what the changes still to come make of `text`: the recording's own, if nothing went wrong."""
        return replayed(text, [patch for change in self._coming for patch in change.patches])


def _check(trace: EditTrace) -> None:
    length = len(trace.text)
    for number, (at, gone, new) in enumerate(trace.patches):
        if at < 0 or gone < 0 or at + gone > length:
            raise InputError(f"edit {number:,} of the recording lies outside its text")
        length += len(new) - gone
