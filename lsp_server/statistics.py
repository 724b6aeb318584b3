"""Counters of suggestions, kept on this machine and shown by `setfill stats`. Numbers only, never any text.

Every server adds what it counted to one file, which has a line for each day, and no more than two years of them.
Nothing is ever sent anywhere.

Knows suggestions by their numbers; knows no files.
"""

from __future__ import annotations

import datetime
import json
import os
import tempfile
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from model import store
from model.api.types import Infill

_LATENCY_STEPS_MS = (50, 100, 200, 400, 800, 1600, 3200)
_REMEMBERED_SUGGESTIONS = 200
_KEPT_DAYS = 731
_LARGEST_FILE_BYTES = 64 << 20  # what is larger is no file of counts
COUNTERS = {
    "shown": "suggestions shown",
    "displayed": "suggestions that an editor says it displayed",
    "shown_characters": "characters shown",
    "accepted": "suggestions accepted",
    "partially_accepted": "suggestions of which a part was accepted",
    "accepted_characters": "characters accepted",
    "decodes": "suggestions computed",
    "decode_ms": "milliseconds from request to answer, all together",
    "forwards": "runs of the network",
    "rows_computed": "rows computed",
    "rows_reused": "rows reused from the cache",
}
"""What is counted. Besides these, `under_N_ms` counts answers by latency."""


def statistics_file() -> Path:
    """Return where the counts are kept."""
    return store.state_folder() / "statistics.jsonl"


@dataclass
class _Fate:
    """What became of a suggestion so far."""

    length: int
    accepted_characters: int = 0
    is_displayed: bool = False


class Statistics:
    """Counts of one server, from its start, and what of them is not in the file yet."""

    def __init__(self, path: Path | None = None) -> None:
        self.since_start: Counter[str] = Counter()
        self.is_kept = True  # whether `save` writes
        self._unsaved: Counter[str] = Counter()
        self._path = path
        self._open: OrderedDict[int, _Fate] = OrderedDict()  # suggestions whose fate is not known yet, by number

    def shown(self, texts: Sequence[str], numbers: Sequence[int]) -> None:
        """Count a suggestion given to the editor to show. Those behind the first are there to cycle to."""
        self._count(shown=1, shown_characters=len(texts[0]))
        for text, number in zip(texts, numbers, strict=True):
            self._open[number] = _Fate(len(text))
        while len(self._open) > _REMEMBERED_SUGGESTIONS:
            self._open.popitem(last=False)

    def displayed(self, number: int) -> None:
        """Count a suggestion that the editor says it has put on the screen, once."""
        fate = self._open.get(number)
        if fate and not fate.is_displayed:
            fate.is_displayed = True
            self._count(displayed=1)

    def accepted(self, number: int) -> None:
        """Count a suggestion whose rest was accepted, all of it where no part was before."""
        fate = self._open.pop(number, None)
        if fate:
            self._count(accepted=1, accepted_characters=fate.length - fate.accepted_characters)

    def partially_accepted(self, number: int, characters: int) -> None:
        """Count the acceptance of so many more characters of a suggestion. With the last it is accepted."""
        fate = self._open.get(number)
        added = min(max(0, characters), fate.length - fate.accepted_characters) if fate else 0
        if not fate or not added:
            return
        if not fate.accepted_characters:
            self._count(partially_accepted=1)
        fate.accepted_characters += added
        self._count(accepted_characters=added)
        if fate.accepted_characters == fate.length:
            self.accepted(number)

    def decoded(self, infill: Infill, ms: float) -> None:
        """Count a computed answer that took `ms` milliseconds from request to answer."""
        step = next((f"under_{step}_ms" for step in _LATENCY_STEPS_MS if ms < step), "slower")
        self._count(
            decodes=1, decode_ms=round(ms), forwards=infill.forwards,
            rows_computed=infill.rows_computed, rows_reused=infill.rows_reused, **{step: 1},
        )  # fmt: skip

    def save(self, wait_seconds: float = 0.0) -> None:
        """Add what is new to the file. Losing counts is no reason to fail, so another server may be waited for."""
        if not self._unsaved or not self.is_kept:
            return
        path = self._path or statistics_file()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with FileLock(path.with_suffix(".lock"), timeout=wait_seconds, mode=0o600):
                days = saved_counts(path)
                days.setdefault(datetime.date.today().isoformat(), Counter()).update(self._unsaved)
                _write(path, dict(sorted(days.items())[-_KEPT_DAYS:]))
        except (OSError, Timeout):
            return  # with the next
        self._unsaved.clear()

    def _count(self, **counts: int) -> None:
        self.since_start.update(counts)
        self._unsaved.update(counts)


def saved_counts(path: Path | None = None) -> dict[str, Counter[str]]:
    """Return the counts of each day. Lines that are damaged are passed over."""
    path = path or statistics_file()
    days: dict[str, Counter[str]] = {}
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST_FILE_BYTES:
            return {}
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    for line in lines:
        try:
            counts = json.loads(line)
            day = datetime.date.fromisoformat(counts.pop("day")).isoformat()
            read = Counter({str(name): int(count) for name, count in counts.items()})
            days.setdefault(day, Counter()).update(read)
        except (ValueError, TypeError, AttributeError, KeyError, OverflowError, RecursionError):
            continue
    return dict(sorted(days.items()))


def _write(path: Path, days: Mapping[str, Counter[str]]) -> None:
    """Put a line for each day into the file. It is replaced whole, or stays as it is."""
    lines = "".join(json.dumps({"day": day, **counts}) + "\n" for day, counts in days.items())
    scratch, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(scratch, "w", encoding="utf-8") as file:
            file.write(lines)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
