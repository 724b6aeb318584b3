"""The records that cross between the worker and its clients.

All offsets and ranges are Python string indices (code points) into the text of
the named version. Nothing here knows tokens, tensors, LSP or sockets.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Edit:
    """Replace `text[start:end]` of the buffer by `text`."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Gap:
    """A place to fill, `[start, end)`. An empty range is a cursor; the old text of a selection is not shown."""

    start: int
    end: int


@dataclass(frozen=True)
class Snippet:
    """Text of another file, or an outline, that a file's gaps may see as a context island."""

    path: str
    text: str


@dataclass(frozen=True)
class Limits:
    """When an infill ends at the latest. None means no such limit."""

    max_tokens: int = 256  # tokens of infill per gap
    max_lines: int | None = None  # lines of infill per gap; 1 ends before the first line break
    max_ms: float | None = None  # milliseconds of the whole request


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn. Temperature 0 is greedy; `seed` makes a draw repeatable."""

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class InfillRequest:
    """Fill `gaps` (ascending, not overlapping) of one version of a file in one decode."""

    file_id: str
    version: int
    gaps: tuple[Gap, ...]
    policy: str = "left_to_right"
    reveal: str | None = None  # None: the policy's own rule
    limits: Limits = field(default_factory=Limits)
    sampling: Sampling = field(default_factory=Sampling)


@dataclass(frozen=True)
class GapInfill:
    """What was put into one gap.

    `text` replaces the gap's range. `stop` says why it ended: `eoi` (the model
    said so), `lines`, `tokens`, `time` or `context` (no room left in the window).
    `logprobs` are natural logs, one per token, taken after the constraint of the
    held-back piece.
    """

    gap: Gap
    text: str
    tokens: int
    logprobs: tuple[float, ...]
    stop: str


@dataclass(frozen=True)
class Infill:
    """The answer to an `InfillRequest`, with what it cost."""

    version: int
    gaps: tuple[GapInfill, ...]
    forwards: int  # forwards of the network, encoding of new text included
    rows_computed: int  # rows fed, all forwards together
    rows_reused: int  # context rows that were in the cache already
    ms: float


@dataclass(frozen=True)
class PartialInfill:
    """The text so far of one gap, sent while the request runs. Later ones replace earlier ones."""

    gap_index: int
    text: str


@dataclass(frozen=True)
class ScoreRequest:
    """Ask for the likelihood of `texts[i]` standing in `gaps[i]`, left to right."""

    file_id: str
    version: int
    gaps: tuple[Gap, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True)
class TokenScore:
    """One token of a scored text, in nats."""

    text: str
    logprob: float


@dataclass(frozen=True)
class Score:
    """Per gap, its tokens and, where the model can say it, the log-probability of stopping after them."""

    gaps: tuple[tuple[TokenScore, ...], ...]
    stop_logprobs: tuple[float | None, ...]


@dataclass(frozen=True)
class ModelDescription:
    """What the worker runs, for status lines and `--json`."""

    name: str
    infill: bool
    precision: str
    precision_reason: str
    parameters: int
    context_length: int
