"""Recorded editing sessions: how they are read, and what their edits make of a text. Imports no torch."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model.errors import InputError, cannot_read

Patch = tuple[int, int, str]  # where, how many characters go, what comes instead


@dataclass(frozen=True)
class EditTrace:
    """A recorded editing session. `joined` numbers the patches that came at once with the one before them."""

    text: str  # at its beginning
    patches: list[Patch]
    joined: frozenset[int] = frozenset()


def read_trace(path: Path) -> EditTrace:
    """Return the trace in a file of josephg/editing-traces, or of ours with `patches` only. Raises InputError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise cannot_read(path, error) from None
    try:
        data = json.loads(gzip.decompress(content) if path.suffix == ".gz" else content)
        changes = [[patch] for patch in data["patches"]] if "patches" in data else [t["patches"] for t in data["txns"]]
        patches: list[Patch] = []
        joined: set[int] = set()
        for change in changes:
            joined.update(range(len(patches) + 1, len(patches) + len(change)))
            patches += [(int(at), int(gone), str(new)) for at, gone, new in change]
        return EditTrace(str(data["startContent"]), patches, frozenset(joined))
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not an editing trace ({type(error).__name__}: {error})") from error


def replayed(text: str, patches: Sequence[Patch]) -> str:
    """Return what `patches`, one after the other, make of `text`."""
    for at, gone, new in patches:
        text = text[:at] + new + text[at + gone :]
    return text
