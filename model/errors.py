"""The errors of the model side, one tree.

    SetfillError                    everything a user can cause or mend; its text says what to do
    ├── InputError                  the caller's request is wrong
    │   ├── RangeError              a position or range outside the text, reversed or overlapping
    │   ├── UnknownFileError        an edit or request for a file that is not open
    │   ├── VersionError            an edit or request made for another version of the text
    │   └── NeedFullError           a team's service does not hold the file as the request takes it to
    ├── CheckpointError             a checkpoint that is missing, corrupt or of an unsupported kind
    │   └── ModelNotFoundError      no model of that name or path
    │       └── NotFetchedError     the default model is not here yet; says how to fetch it
    ├── FrameError                  a broken, truncated or oversized message on the wire
    ├── WorkerError                 the worker died or never came up
    │   ├── UnauthorizedError       a team's service does not know the token, or it has expired
    │   └── BusyError               a team's service is over its limits; says when to try again
    └── Cancelled                   the caller withdrew the request

Each carries `code`, the name it has on the wire: to the worker's clients and, as `problemCode`, to editors.
"""

from __future__ import annotations

import os


class SetfillError(Exception):
    """Base of all errors whose text is meant for the user.

    `code` is the error's name on the wire.
    """

    code = "error"


class InputError(SetfillError):
    """The request cannot be carried out as it stands."""

    code = "input"


class RangeError(InputError):
    """A position or range lies outside the text, is reversed, or overlaps another."""

    code = "range"


class UnknownFileError(InputError):
    """The file id is not open on this connection."""

    code = "unknown_file"


class VersionError(InputError):
    """The request names another version of the text than the one that is held."""

    code = "version"


class NeedFullError(InputError):
    """The service does not hold the file as the request takes it to: it wants the whole text."""

    code = "need_full"


class CheckpointError(SetfillError):
    """A checkpoint is missing, corrupt, or of a kind that is not supported."""

    code = "checkpoint"


class ModelNotFoundError(CheckpointError):
    """No model of this name is installed."""

    code = "model_not_found"


class NotFetchedError(ModelNotFoundError):
    """The default model is not installed: a command fetches it."""

    code = "model_not_fetched"


class FrameError(SetfillError):
    """A frame on the wire is truncated, too large, or not what the protocol allows."""

    code = "frame"


class WorkerError(SetfillError):
    """The model worker died, or never came up."""

    code = "worker"


class UnauthorizedError(WorkerError):
    """A team's service lets nobody in with this token."""

    code = "unauthorized"


class BusyError(WorkerError):
    """A team's service is over its limits. `retry_s` is how many seconds later it is worth trying again."""

    code = "busy"
    retry_s = 0.0


class Cancelled(SetfillError):
    """The caller withdrew the request. The session stays usable."""

    code = "cancelled"


def cannot_read(path: object, error: OSError) -> InputError:
    """Return what to tell of a file that cannot be read."""
    return InputError(f"cannot read {path}: {system_words(error)}")


def system_words(error: OSError) -> str:
    """Return what the system says of an error, without what Python puts around it."""
    code = error.errno or 0  # below 0 for names that cannot be resolved
    return os.strerror(code) if code > 0 else error.strerror or str(error) or type(error).__name__


def all_errors() -> dict[str, type[SetfillError]]:
    """Return every error class by its `code`."""
    found: dict[str, type[SetfillError]] = {}
    pending = [SetfillError]
    while pending:
        error = pending.pop()
        found[error.code] = error
        pending.extend(error.__subclasses__())
    return found
