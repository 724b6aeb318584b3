"""The standard streams, as we were given them: closed, full, or in an encoding that lacks our characters."""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import os
import sys
from typing import TextIO

from model.errors import InputError

_REPLACEMENTS = {"│": "|", "⟦": "[[", "⟧": "]]", "·": "-", "…": "...", "●": "*", "✓": "ok", "–": "-", "’": "'"}
_ERRORS = "setfill.replace"

NO_READER = 141
"""The exit status where nobody reads our output any more: what a shell says of a program that SIGPIPE ended."""


def prepare_streams() -> None:
    """Have every standard stream open, and characters that one can't encode replaced by others.

    Raises InputError where there is nowhere to print to: better at once than after the work.
    """
    codecs.register_error(_ERRORS, _replaced)
    if sys.stdin is None:  # closed: the next file opened would take its place
        sys.stdin = _opened(os.O_RDONLY, 0)
    if sys.stderr is None:
        sys.stderr = _opened(os.O_WRONLY, 2)
    if problem := _problem(sys.stdout):
        raise InputError(f"standard output is {problem}: send it to a file, or to {os.devnull}")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


def discard_output() -> None:
    """Send what is still to be printed nowhere: it could not be, and would fail once more at the exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, AttributeError):
            with contextlib.suppress(OSError, AttributeError, io.UnsupportedOperation):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _opened(flags: int, descriptor: int) -> TextIO:
    nowhere = os.open(os.devnull, flags)
    if nowhere != descriptor:
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
    return open(descriptor, "r" if flags == os.O_RDONLY else "w", encoding="utf-8", closefd=False)


def _problem(stream: TextIO | None) -> str | None:
    try:
        if stream is None:
            return "closed"
        os.write(stream.fileno(), b"")
    except io.UnsupportedOperation:  # no file, as in tests
        return None
    except OSError as error:
        return "closed" if error.errno == errno.EBADF else f"of no use ({error.strerror})"
    return None


def _replaced(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    return "".join(_REPLACEMENTS.get(character, "?") for character in characters), error.end
