"""Infills that end in the middle: what a limit cut off, what a model said over and over, what is never closed.

A text is shortened to a beginning that stands by itself, by whole lines; within one line there is none. That a line
opens a block which is still to be written is no fault: whoever accepts it goes on from there.
"""

from __future__ import annotations

import re

from grammars.offsets import KEPT_LINES
from grammars.trials import Trials

_LAST_WORD = re.compile(r"[\w.]*$")
_DANGLING = re.compile(r"[-+*/%=<>&|^,.:!~?@\\\s]+$")
_LOOP_TIMES = 3
_LOOP_CHAR = 12  # that the repetitions take together, at least
_CUT_OFF = ("tokens", "time", "context")
_MOST_LINES = 40  # tried as the last one; each costs a parse


def without_loose_end(text: str, stop: str) -> str:
    """``text`` without what a limit cut off in the middle: its last line, or in a single line its last word.

    ``stop`` says why the text ended: ``tokens``, ``time`` or ``context`` where a limit cut it off, ``lines`` at the
    end of a line, anything else where the model ended it. What is said over and over is left out as well: lines of
    words but for the first time, and altogether a line that repeats itself until a limit ends it.
    """
    if stop not in _CUT_OFF:
        return _without_loop_of_lines(text)
    text = _without_loop(text)
    if text.endswith(("\n", "\r")):
        return text.rstrip()
    lines = KEPT_LINES.findall(text)
    lines = lines[:-1] if lines and not lines[-1] else lines
    if len(lines) > 1 and any(line.strip() for line in lines[:-1]):
        return "".join(lines[:-1]).rstrip()
    return _DANGLING.sub("", _LAST_WORD.sub("", text))


def closed_beginning(trials: Trials, text: str) -> str:
    """The longest beginning of ``text``, by whole lines, that closes what it opens; empty if there is none."""
    for _attempt in range(_MOST_LINES):
        if not text.strip() or _is_closed(trials, text):
            return text
        lines = KEPT_LINES.findall(text.rstrip())
        lines = lines[:-1] if lines and not lines[-1] else lines
        text = "".join(lines[:-1]).rstrip()
    return ""


def _is_closed(trials: Trials, text: str) -> bool:
    if not trials.leaves_open(text):
        return True
    opens_block = text.rstrip().endswith("{") and any(map(str.isalnum, text))
    return opens_block and not trials.rest_of_line and not trials.swallows(text)


def _without_loop(text: str) -> str:
    begin, period = _loop_of(text)
    if not period:
        return text
    if "\n" in text[begin : begin + period] or "\r" in text[begin : begin + period]:
        return text[: begin + period].rstrip() + "\n"
    line_start = max(text.rfind("\n", 0, begin), text.rfind("\r", 0, begin)) + 1
    return text[:line_start]


def _without_loop_of_lines(text: str) -> str:
    begin, period = _loop_of(text.rstrip() + "\n")
    has_words = any(map(str.isalpha, text[begin : begin + period]))  # rows of numbers may well be the same
    return text[: begin + period].rstrip() if has_words else text


def _loop_of(text: str) -> tuple[int, int]:
    """Where the repetition begins that the text ends with, and how long one round of it is; 0, 0 if there is none."""
    for period in range(1, len(text) // _LOOP_TIMES + 1):
        begin = len(text) - period
        while begin > 0 and text[begin - 1] == text[begin - 1 + period]:
            begin -= 1
        length = len(text) - begin
        is_long = length >= max(_LOOP_CHAR, _LOOP_TIMES * period)
        if is_long and any(map(str.isalnum, text[begin : begin + period])):
            return begin, period
    return 0, 0
