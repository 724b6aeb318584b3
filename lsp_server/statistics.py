"""Counters of suggestions, kept on this machine and shown by `setfill stats`. Numbers only, never any text.

Every server adds lines of counts to one file; whoever reads adds them up. Nothing is ever sent anywhere.
"""

from __future__ import annotations

import datetime
import json
import os
from collections import Counter, OrderedDict
from pathlib import Path

from model.api.types import Infill

_LATENCY_STEPS_MS = (50, 100, 200, 400, 800, 1600, 3200)
_REMEMBERED_SUGGESTIONS = 200
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
    """Return where the counts are kept: $XDG_STATE_HOME/setfill, else ~/.local/state/setfill."""
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    return (state if state.is_absolute() else Path.home() / ".local" / "state") / "setfill" / "statistics.jsonl"


class Statistics:
    """Counts of one server, from its start, and what of them is not in the file yet."""

    def __init__(self, path: Path | None = None) -> None:
        self.since_start: Counter[str] = Counter()
        self.is_kept = True  # whether `save` writes
        self._unsaved: Counter[str] = Counter()
        self._path = path
        self._open: OrderedDict[int, int] = OrderedDict()  # lengths of suggestions whose fate is not known yet

    def shown(self, text: str, number: int) -> None:
        """Count a suggestion given to the editor to show."""
        self._count(shown=1, shown_characters=len(text))
        self._open[number] = len(text)
        while len(self._open) > _REMEMBERED_SUGGESTIONS:
            self._open.popitem(last=False)

    def displayed(self, number: int) -> None:
        """Count a suggestion that the editor says it has put on the screen."""
        if number in self._open:
            self._count(displayed=1)

    def accepted(self, number: int) -> None:
        """Count an accepted suggestion, once."""
        length = self._open.pop(number, None)
        if length is not None:
            self._count(accepted=1, accepted_characters=length)

    def partially_accepted(self, number: int, characters: int) -> None:
        """Count the acceptance of a beginning of a suggestion."""
        length = self._open.get(number)
        if length is not None:
            self._count(partially_accepted=1, accepted_characters=min(max(0, characters), length))

    def decoded(self, infill: Infill, ms: float) -> None:
        """Count a computed answer that took `ms` milliseconds from request to answer."""
        step = next((f"under_{step}_ms" for step in _LATENCY_STEPS_MS if ms < step), "slower")
        self._count(
            decodes=1, decode_ms=round(ms), forwards=infill.forwards,
            rows_computed=infill.rows_computed, rows_reused=infill.rows_reused, **{step: 1},
        )  # fmt: skip

    def save(self) -> None:
        """Add what is new to the file. Losing counts is no reason to fail."""
        if not self._unsaved or not self.is_kept:
            return
        line = json.dumps({"day": datetime.date.today().isoformat(), **self._unsaved}) + "\n"
        path = self._path or statistics_file()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(file, line.encode())  # one write: lines of two servers never mix
            finally:
                os.close(file)
        except OSError:
            return
        self._unsaved.clear()

    def _count(self, **counts: int) -> None:
        self.since_start.update(counts)
        self._unsaved.update(counts)


def saved_counts(path: Path | None = None) -> dict[str, Counter[str]]:
    """Return the counts of each day. Lines that are damaged are passed over."""
    days: dict[str, Counter[str]] = {}
    try:
        lines = (path or statistics_file()).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    for line in lines:
        try:
            counts = json.loads(line)
            day = str(counts.pop("day"))
            read = Counter({str(name): int(count) for name, count in counts.items()})
            days.setdefault(day, Counter()).update(read)
        except (ValueError, TypeError, AttributeError, KeyError):
            continue
    return dict(sorted(days.items()))
