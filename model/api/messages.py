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

A team's service (model/service) is talked to over WebSocket. There a binary message holds whole frames. Those about a
file come behind a `Held`, which says what must be held of it for them to be carried out; else they are answered
`Failed(code="need_full")`, and nothing has changed. File ids belong to the `client` of the `Hello`, whatever connection
it has. A service refuses what is over its limits with `Failed(code="busy")`, which says when to try again.
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
from model.errors import BusyError, SetfillError, all_errors


@dataclass(frozen=True)
class Hello:
    """The first frame of a client. `version` is its package's, for error texts.

    `client` names it to a team's service, across connections: 32 hexadecimal digits that nobody else would draw.
    """

    protocol: int
    version: str
    client: str = ""


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
class Held:
    """To a team's service: what must be held of a file for the frames behind it, in the same message, to make sense.

    `epoch` numbers the times that the client has sent the whole file, and `changes` counts what it has told since, the
    opening included: 0 stands before an `OpenFile`, whatever is held.
    """

    file_id: str
    epoch: int
    changes: int


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
    """The request was not carried out. `code` names a class of model/errors.py; `text` is for the user.

    `retry_s` is how many seconds later it is worth trying again, None where time mends nothing.
    """

    code: str
    text: str
    retry_s: float | None = None

    def error(self) -> SetfillError:
        """Return the error that this tells of."""
        found = all_errors().get(self.code, SetfillError)(self.text)
        if isinstance(found, BusyError):
            found.retry_s = self.retry_s or 0.0
        return found


MESSAGES: dict[str, type] = {
    "hello": Hello,
    "welcome": Welcome,
    "describe": Describe,
    "description": ModelDescription,
    "ask_status": AskStatus,
    "status": WorkerStatus,
    "held": Held,
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
