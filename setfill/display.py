"""What a person sees: infills within the lines around them, and errors.

Colour goes to terminals only, unless it is asked for; NO_COLOR is honoured.
Without colour the infilled text stands between the brackets of `PLAIN_MARKS`.
"""

from __future__ import annotations

import sys
from typing import IO

from rich.console import Console
from rich.text import Text

from model.api.types import Gap
from model.api.visible_text import visible

PLAIN_MARKS = "⟦", "⟧"
_CONTEXT_LINES = 3  # shown before and after


class _Console(Console):
    """Rich's console would end the program with status 1, and send standard output nowhere whichever stream it is."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def console(color: str = "auto") -> Console:
    """Return standard output as a console; `color` is auto, always or never."""
    return _console(color, sys.stdout)


def notes(color: str = "auto") -> Console:
    """Return standard error as a console. No colour and no moving line but on a terminal."""
    return _console("never" if color == "never" else "auto", sys.stderr)


def _console(color: str, file: IO[str]) -> Console:
    return _Console(
        file=file,
        force_terminal={"always": True, "never": False}.get(color),
        no_color=True if color == "never" else None,
        highlight=False,
        soft_wrap=True,
    )


def show_infill(out: Console, text: str, place: Gap) -> None:
    """Print the lines of `text` around `place`, a range of it that was infilled, with line numbers."""
    text = text.replace("\r\n", " \n").replace("\r", "\n")  # one for one, so that `place` still fits
    first = _start_of_line(text, place.start, _CONTEXT_LINES)
    last = _end_of_line(text, place.end, _CONTEXT_LINES)
    before, infill, after = text[first : place.start], text[place.start : place.end], text[place.end : last]
    shown = Text(visible(before), style="dim")
    shown.append(visible(infill) if out.color_system else visible(infill).join(PLAIN_MARKS), style="not dim bold green")
    shown.append(visible(after))
    number = text.count("\n", 0, first) + 1
    for line in shown.split("\n", allow_blank=True):
        line.rstrip()
        out.print(Text(f"{number:5} │", style="cyan") + (Text(" ") + line if line else ""))
        number += 1


def _start_of_line(text: str, index: int, lines_up: int) -> int:
    start = text.rfind("\n", 0, index) + 1
    for _ in range(lines_up):
        start = text.rfind("\n", 0, max(0, start - 1)) + 1
    return start


def _end_of_line(text: str, index: int, lines_down: int) -> int:
    end = index - 1
    for _ in range(lines_down + 1):
        end = text.find("\n", end + 1)
        if end < 0:
            return len(text)
    return end
