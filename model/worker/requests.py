"""What each request asks of the engine. Runs on the compute thread only.

A connection's file ids are made unique for the engine here, and errors are
turned into what travels.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from model.api.messages import (
    AskStats,
    CloseFile,
    Describe,
    Done,
    EditFile,
    Failed,
    OpenFile,
    Prepare,
    SetContext,
    Stats,
)
from model.api.types import (
    Edit,
    Infill,
    InfillRequest,
    ModelDescription,
    PartialInfill,
    Score,
    ScoreRequest,
    Snippet,
)
from model.errors import SetfillError, UnknownFileError

logger = logging.getLogger(__name__)


class Engine(Protocol):
    """What the worker needs of engine.py."""

    def describe(self) -> ModelDescription: ...
    def open(self, file_id: str, path: str, text: str, version: int) -> None: ...
    def edit(self, file_id: str, edits: Sequence[Edit], version: int) -> None: ...
    def close(self, file_id: str) -> None: ...
    def set_context(self, file_id: str, snippets: Sequence[Snippet]) -> None: ...
    def prepare(self, file_id: str, cursor: int) -> None: ...
    def infill(
        self,
        request: InfillRequest,
        on_partial: Callable[[PartialInfill], None] | None,
        cancelled: Callable[[], bool],
    ) -> Infill: ...
    def score(self, request: ScoreRequest, cancelled: Callable[[], bool]) -> Score: ...
    def idle_slice(self) -> bool: ...
    def stats(self) -> dict[str, int | float | str]: ...


@dataclass
class OpenFiles:
    """The files that one connection holds open."""

    connection: int
    ids: set[str] = field(default_factory=set)

    def engine_id(self, file_id: str) -> str:
        """Return the engine's name of an open file. UnknownFileError when it is not open here."""
        if file_id not in self.ids:
            raise UnknownFileError("this file is not open here: send its text with `open` first")
        return self.new_engine_id(file_id)

    def new_engine_id(self, file_id: str) -> str:
        return f"{self.connection}/{file_id}"


def carry_out(
    engine: Engine,
    files: OpenFiles,
    message: Any,
    on_partial: Callable[[PartialInfill], None],
    cancelled: Callable[[], bool],
) -> Any:
    """Return the answer to `message`. SetfillError when the request is wrong or was cancelled."""
    match message:
        case Describe():
            return engine.describe()
        case AskStats():
            return Stats(engine.stats())
        case InfillRequest():
            return engine.infill(replace(message, file_id=files.engine_id(message.file_id)), on_partial, cancelled)
        case ScoreRequest():
            return engine.score(replace(message, file_id=files.engine_id(message.file_id)), cancelled)
        case OpenFile():
            if message.file_id in files.ids:
                close_file(engine, files, message.file_id)
            engine.open(files.new_engine_id(message.file_id), message.path, message.text, message.version)
            files.ids.add(message.file_id)
        case EditFile():
            engine.edit(files.engine_id(message.file_id), message.edits, message.version)
        case SetContext():
            engine.set_context(files.engine_id(message.file_id), message.snippets)
        case Prepare():
            engine.prepare(files.engine_id(message.file_id), message.cursor)
        case CloseFile():
            close_file(engine, files, message.file_id)
        case _:
            raise TypeError(f"{type(message).__name__} is no request to the engine")
    return Done()


def close_file(engine: Engine, files: OpenFiles, file_id: str) -> None:
    """Forget one file. UnknownFileError when it is not open here."""
    engine_id = files.engine_id(file_id)
    files.ids.discard(file_id)  # first: whatever the engine says, the client has let go of it
    engine.close(engine_id)


def close_all(engine: Engine, files: OpenFiles) -> None:
    """Forget what a lost connection held."""
    for file_id in sorted(files.ids):
        try:
            close_file(engine, files, file_id)
        except Exception as error:
            log_internal_error("closing a file", error)


def failure(error: Exception, doing: str) -> Failed:
    """Return what the client is told of `error`. One that is not ours is logged, and told without its text."""
    if isinstance(error, SetfillError):
        return Failed(error.code, str(error))
    log_internal_error(doing, error)
    what = f"{type(error).__name__} at {_place(error)}"
    return Failed(SetfillError.code, f"internal error of the model worker ({doing}): {what}; please report it")


def log_internal_error(doing: str, error: BaseException) -> None:
    """Log where an error arose, never its text: it may quote the user's source code."""
    frames = " < ".join(
        f"{Path(f.filename).name}:{f.lineno}" for f in reversed(traceback.extract_tb(error.__traceback__))
    )
    logger.error("%s failed: %s at %s", doing, type(error).__name__, frames)


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
