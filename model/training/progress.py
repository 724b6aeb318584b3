"""Live progress: a JSON line for every update, a short line on the console, and plots.

log.jsonl    one object per update; an update that is done again after a kill replaces its line
plots.svg    losses and accuracies so far
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from model.plots import Panel, Points, svg

_SMOOTH = 0.9  # share of the past in a plotted point


class ProgressLog:
    """The log of one run directory."""

    def __init__(self, directory: Path, plot_s: float, first_update: int) -> None:
        self._directory, self._plot_s = directory, plot_s
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / "log.jsonl"
        self._entries = [entry for entry in read_log(self._path) if entry["update"] < first_update]
        # What a killed run logged after its last state is done again: drop it, and any half-written line.
        whole = "".join(json.dumps(entry) + "\n" for entry in self._entries)
        scratch = self._path.with_suffix(".tmp")
        scratch.write_text(whole, encoding="utf-8")
        scratch.rename(self._path)
        self._file = self._path.open("a", encoding="utf-8")
        self._plotted_s = time.monotonic()

    def add(self, entry: dict[str, Any]) -> None:
        """Note one update: write its line, show it, and renew the plots now and then."""
        self._entries.append(entry)
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()
        print(console_line(entry), file=sys.stderr, flush=True)
        if time.monotonic() - self._plotted_s >= self._plot_s:
            self.plot()

    def note(self, text: str) -> None:
        """Show a message."""
        print(text, file=sys.stderr, flush=True)

    def plot(self) -> None:
        """Draw the plots anew."""
        (self._directory / "plots.svg").write_text(svg(panels(self._entries)), encoding="utf-8")
        self._plotted_s = time.monotonic()

    def close(self) -> None:
        self.plot()
        self._file.close()


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a log; none if there is no log."""
    if not path.exists():
        return []
    entries = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entries.append(json.loads(line))
        except ValueError:
            break  # half-written when its run was killed
    return entries


def console_line(entry: dict[str, Any]) -> str:
    """Return an update in one line: losses, right frontier masks, agreement at distances 2 to 4, speed."""
    kinds, near = entry["kinds"], entry["distances"]
    agreement = "/".join(f"{near[distance - 1]['agreement']:.2f}" for distance in (2, 3, 4))
    mfu = f" mfu {entry['mfu']:.0%}" if entry["mfu"] else ""
    return (
        f"{entry['update'] + 1}/{entry['of']} loss {entry['loss']:.3f} next {kinds['gap_next']['loss']:.3f} "
        f"mask {kinds['mask']['loss']:.3f} frontier {near[0]['loss']:.3f} ({near[0]['accuracy']:.0%}) "
        f"agree {agreement} rate {entry['rate']:.1e} {entry['rows_per_s'] / 1e3:.1f}k rows/s{mfu} "
        f"{entry['elapsed_s']:.0f}s"
    )


def panels(entries: list[dict[str, Any]]) -> list[Panel]:
    """Return the charts of a run."""
    kinds = ("mask", "gap_next", "island_next")
    distances = range(1, 9)
    return [
        Panel(
            "loss, nats",
            {kind: _smooth([(e["update"], e["kinds"][kind]["loss"]) for e in entries]) for kind in kinds},
        ),
        Panel(
            "mask loss by draft distance, nats",
            {str(d): _smooth([(e["update"], e["distances"][d - 1]["loss"]) for e in entries]) for d in distances},
        ),
        Panel(
            "drafts that agree with the verifier, by distance",
            {str(d): _smooth([(e["update"], e["distances"][d - 1]["agreement"]) for e in entries]) for d in distances},
            y_range=(0, 1),
        ),
        Panel("learning rate", {"rate": [(e["update"], e["rate"]) for e in entries]}),
        Panel("thousand rows a second", {"rows": [(e["update"], e["rows_per_s"] / 1e3) for e in entries]}),
        Panel("gradient norm", {"norm": _smooth([(e["update"], e["gradient_norm"]) for e in entries])}),
    ]


def _smooth(points: Points) -> Points:
    smoothed: list[tuple[float, float]] = []
    for x, y in points:
        smoothed.append((x, _SMOOTH * smoothed[-1][1] + (1 - _SMOOTH) * y if smoothed else y))
    return smoothed
