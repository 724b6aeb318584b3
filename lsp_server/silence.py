"""What came of the last request for suggestions in a file, and the reasons there are for showing nothing.

Knows no requests and no words for the user: those are `why_silent`'s.
"""

from __future__ import annotations

import enum
import time
from dataclasses import dataclass, field, replace
from typing import Any

from lsprotocol import types

from lsp_server.spent import Spent
from lsp_server.worth import Verdict
from model.api.types import GapInfill


class Reason(enum.StrEnum):
    """Why nothing is shown; on the wire by its value. The two first are no silence, or not yet."""

    SHOWN = "shown"
    RUNNING = "running"
    # Nothing is asked at all
    NOT_OPEN = "notOpen"
    OFF = "off"
    LANGUAGE_OFF = "languageOff"
    PATH_OFF = "pathOff"
    EXCLUDED = "excluded"
    LOST = "lost"
    ON_DEMAND = "onDemand"
    NOT_ASKED = "notAsked"
    LOADING = "loading"
    WORKER_DOWN = "workerDown"
    # Nothing is asked at this place
    EMPTY_FILE = "emptyFile"
    INSIDE_WORD = "insideWord"
    TEXT_BEHIND = "textBehind"
    COMMENT = "comment"
    # The model was asked
    UNLIKELY = "unlikely"
    BELOW_FLOOR = "belowFloor"
    NOTHING_MISSING = "nothingMissing"
    NOTHING_LEFT = "nothingLeft"
    TIME_LIMIT = "timeLimit"
    OVERTAKEN = "overtaken"
    WITHDRAWN = "withdrawn"
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """What came of one request. `details` are JSON values that the reason calls for."""

    position: types.Position
    is_invoked: bool
    reason: Reason = Reason.RUNNING
    details: dict[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    ended: float | None = None
    spent: Spent | None = None  # of a request that came to an answer

    def because(self, reason: Reason, **details: Any) -> Outcome:
        """Return this outcome, ended by `reason`."""
        return replace(self, reason=reason, details=details, ended=time.monotonic())

    def overtaken(self) -> Outcome:
        """Return this outcome, ended by a newer key or request if nothing has ended it before."""
        return self.because(Reason.OVERTAKEN) if self.reason is Reason.RUNNING else self

    def unshown(self, said: GapInfill, verdict: Verdict | None) -> Outcome:
        """Return this outcome, ended by what the model said, of which nothing is shown; `verdict` on what was left."""
        if verdict and not verdict.is_shown:
            reason = Reason.UNLIKELY if verdict.standard.floor is None else Reason.BELOW_FLOOR
            return self.because(reason, **verdict.details())
        if said.stop == "time":
            return self.because(Reason.TIME_LIMIT)
        if not said.text.strip():
            return self.because(Reason.NOTHING_MISSING)
        return self.because(Reason.NOTHING_LEFT)

    @property
    def took_ms(self) -> float:
        """How long the request took, or has taken until now, in milliseconds."""
        return ((self.ended or time.monotonic()) - self.started) * 1000
