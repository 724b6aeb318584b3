"""Every message that a client and the worker may send each other, by its name on the wire.

A conversation: the client says `Hello`, the worker `Welcome`. Then the client
sends requests under ids of its own choosing (1 and up; id 0 stands for "no
request in particular"), and each is answered once under the same id by the
record named beside it, or by `Failed`; an infill may be preceded by
`PartialInfill`s.

    Describe         ModelDescription   waits until the weights are loaded
    AskStatus        WorkerStatus       answered at once, also while loading or computing
    OpenFile         Done               an id that is open already is replaced
    EditFile         Done
    CloseFile        Done
    SetContext       Done
    Prepare          Done
    InfillRequest    Infill
    ScoreRequest     Score
    AskStats         Stats
    Cancel           nothing            the request it names is answered `Failed(code="cancelled")`
    Shutdown         Done               the worker exits, for all its clients

Requests of one client are carried out in the order they were sent; clients take
turns. The worker drops no request of its own accord: whoever wants only the
latest infill of a file cancels the one before.

File ids belong to one connection: two clients may use the same one.
"""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True)
class Hello:
    """The first frame of a client. `version` is its package's, for error texts."""

    protocol: int
    version: str


@dataclass(frozen=True)
class Welcome:
    """The worker's answer to `Hello`."""

    protocol: int
    version: str
    pid: int


@dataclass(frozen=True)
class Describe:
    """Ask what model runs, and how."""


@dataclass(frozen=True)
class AskStatus:
    """Ask how far the worker is."""


@dataclass(frozen=True)
class WorkerStatus:
    """How far the worker is: `state` is `loading`, `ready` or `failed`.

    `progress` runs from 0 to 1 while loading. `error_code` and `error_text` say
    why the weights could not be loaded. `steps` counts what the compute thread
    has finished, forwards and requests among it: while there is something to do
    it grows, or that thread hangs. `cpu_ms` is the processor time used so far.
    """

    state: str
    progress: float
    model: str
    pid: int
    error_code: str | None = None
    error_text: str | None = None
    steps: int = 0
    cpu_ms: int = 0


@dataclass(frozen=True)
class OpenFile:
    """Hold `text` under `file_id`. `path` is what the model is told of the file's name."""

    file_id: str
    path: str
    text: str
    version: int


@dataclass(frozen=True)
class EditFile:
    """Apply `edits` one after the other; the text then is `version`, which must be above the held one."""

    file_id: str
    edits: tuple[Edit, ...]
    version: int


@dataclass(frozen=True)
class CloseFile:
    """Forget a file."""

    file_id: str


@dataclass(frozen=True)
class SetContext:
    """Replace the snippets that the file's gaps may see."""

    file_id: str
    snippets: tuple[Snippet, ...]


@dataclass(frozen=True)
class Prepare:
    """Hint that the next gap is likely at `cursor` (a string index), so that idle time is spent there."""

    file_id: str
    cursor: int


@dataclass(frozen=True)
class Cancel:
    """Withdraw the request that was sent under `request_id`."""

    request_id: int


@dataclass(frozen=True)
class AskStats:
    """Ask for the counters of the worker and its engine."""


@dataclass(frozen=True)
class Stats:
    """Counters by name; units are in the names."""

    values: dict[str, int | float | str]


@dataclass(frozen=True)
class Shutdown:
    """Ask the worker to exit."""


@dataclass(frozen=True)
class Done:
    """The request was carried out and has nothing to tell."""


@dataclass(frozen=True)
class Failed:
    """The request was not carried out. `code` names a class of model/errors.py; `text` is for the user."""

    code: str
    text: str


MESSAGES: dict[str, type] = {
    "hello": Hello,
    "welcome": Welcome,
    "describe": Describe,
    "description": ModelDescription,
    "ask_status": AskStatus,
    "status": WorkerStatus,
    "open": OpenFile,
    "edit": EditFile,
    "close": CloseFile,
    "set_context": SetContext,
    "prepare": Prepare,
    "infill": InfillRequest,
    "partial": PartialInfill,
    "infilled": Infill,
    "score": ScoreRequest,
    "scored": Score,
    "cancel": Cancel,
    "ask_stats": AskStats,
    "stats": Stats,
    "shutdown": Shutdown,
    "done": Done,
    "failed": Failed,
}
