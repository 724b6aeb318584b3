"""The records that cross between the worker and its clients.

All offsets and ranges are Python string indices (code points) into the text of
the named version. Nothing here knows tokens, tensors, LSP or sockets.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from model.api.line_breaks import LINE_BREAK
from model.api.policy import VERIFIED


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

    max_tokens: int = 256  # tokens of infill per gap, the held-back piece not counted
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
    """Fill `gaps` (ascending, not overlapping) of one version of a file in one decode.

    `policy` and `reveal` have the names of `model.api.policy`: verified,
    left_to_right, beam:B, block:B, window:S, uniform, and first_hitting,
    threshold:TAU, verified. `drafts`, one for each gap or none at all, are texts that the
    caller believes will stand there (a suggestion that the user is typing
    through): they make verified decoding faster and never change its answer.
    """

    file_id: str
    version: int
    gaps: tuple[Gap, ...]
    policy: str = VERIFIED
    reveal: str | None = None  # None: the policy's own rule
    limits: Limits = field(default_factory=Limits)
    sampling: Sampling = field(default_factory=Sampling)
    candidates: int = 1  # different infills wanted; more than one only for a single gap, left to right or by beams
    drafts: tuple[str, ...] = ()
    lengths_tok: tuple[int, ...] = ()  # tells each gap's length in tokens, held-back piece included: evaluation only
    trace: bool = False  # also report every forward
    copies: bool = True  # mixes what the file says elsewhere into what the model expects (`decoding.copying`)


@dataclass(frozen=True)
class Alternative:
    """Another infill for the same gap; fields as in `GapInfill`."""

    text: str
    tokens: int
    logprobs: tuple[float, ...]
    stop: str


@dataclass(frozen=True)
class GapInfill:
    """What was put into one gap.

    `text` replaces the gap's range. `stop` says why it ended: `eoi` (the model
    said so), `lines`, `tokens`, `time` or `context` (no room left in the window).
    `logprobs` are natural logs, one per token, taken after the constraint of the
    held-back piece. `alternatives` are further candidates, the likeliest first.
    """

    gap: Gap
    text: str
    tokens: int
    logprobs: tuple[float, ...]
    stop: str
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True)
class TraceRow:
    """A row that one forward fed for a gap.

    `rank` counts from 0, the `<infill>` row; rank n is the gap's n-th token.
    `kind` is `infill`, `clean` (a known token), `draft` (a guess to verify) or
    `mask` (a position asked about). `source` names where a draft came from:
    `mask`, `ngram`, `candidate`, `typed` or `held_back`. `outcome` is `committed`,
    `verified` (a draft that was right), `dropped` (one that was not, or that
    stood behind one) or `predicted` (a mask row: it leaves nothing behind).
    """

    gap: int
    rank: int
    kind: str
    text: str
    source: str | None
    outcome: str


@dataclass(frozen=True)
class TraceReveal:
    """A token that became known after a forward, and how sure the model was.

    `head` is `clean` or `mask`; `alternatives` are the next likeliest tokens
    with their probabilities. An `<eoi>` has the text "<eoi>".
    """

    gap: int
    rank: int
    text: str
    probability: float
    head: str
    alternatives: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class TraceBeginning:
    """A beginning of an infill that a search came upon: its parent, and a token more.

    The beginnings of one search count from 1; 0 is the empty one. Log-probabilities and scores are of all its tokens,
    in nats: by the gap's rows, by those that follow the left stack, and both weighed. `best_score` is what it was
    held to come to at best with the text behind, None while no infill has ended. `fate` says what the
    forward that found it made of it: `followed` (the next forward is fed it), `width` (others were better), `bound`
    (even at best it could not win), `patience` (nothing better had ended for too long), `limit` (as long as allowed)
    or `end` (as long as was told).
    """

    number: int
    parent: int
    text: str  # of its last token
    gap_logprob: float
    text_logprob: float
    score: float
    best_score: float | None
    is_greedy: bool
    fate: str


@dataclass(frozen=True)
class TraceEnding:
    """A beginning that may end where it is, and so be an infill.

    As in `TraceBeginning`; `gap_logprob` has `<eoi>` in it. `behind_logprob` is that of the text behind, as far as it
    is known. `fate` is `asked` (the next forward tells how well the text behind follows), `bound` (it need not be
    asked: others do better), or `judged`.
    """

    beginning: int
    gap_logprob: float
    text_logprob: float
    behind_logprob: float | None
    score: float
    best_score: float | None
    is_greedy: bool
    fate: str


@dataclass(frozen=True)
class TraceSearch:
    """What a forward of a beam search was fed for its gap, and what came of it; the best first.

    Rows are of three kinds: of the gap, of its beginnings as text that follows the left stack, and of the text behind.
    `judged` are the infills of which this forward told how well the text behind follows. `passed_over` counts
    further beginnings that were worse than those told. `read_on` is the text by which the best infills were judged once
    more; their scores are then comparable with each other only. The last forward has the `answer`'s beginning.
    """

    gap: int
    width: int
    text_weight: float  # of the rows that follow the left stack, in scores
    length_reward_nats: float  # for each token of an infill, in scores
    gap_rows: int
    text_rows: int
    behind_rows: int
    rows_kept: int  # for the next forward
    judged: tuple[TraceEnding, ...]
    beginnings: tuple[TraceBeginning, ...]
    endings: tuple[TraceEnding, ...]
    passed_over: int
    read_on: str = ""
    answer: int | None = None


@dataclass(frozen=True)
class TraceStep:
    """One forward of a decode: of a search, or else its rows and what was read off them."""

    ms: float
    rows: tuple[TraceRow, ...]
    reveals: tuple[TraceReveal, ...]
    search: TraceSearch | None = None


@dataclass(frozen=True)
class Trace:
    """How a decode went: what was in the cache before it, then every forward.

    Row counts are per context part; `held_back` is, per gap, the text before
    it that its first tokens spell again. `is_joint` says whether all gaps were
    open at once; a search then looks at one after the other once more.
    """

    policy: str
    reveal: str
    left_rows: int
    right_rows: int
    island_rows: int
    rows_encoded: int  # of these, rows that were encoded for this request; the others were reused
    held_back: tuple[str, ...]
    steps: tuple[TraceStep, ...]
    is_joint: bool = True


@dataclass(frozen=True)
class Infill:
    """The answer to an `InfillRequest`, with what it cost."""

    version: int
    gaps: tuple[GapInfill, ...]
    forwards: int  # forwards of the network, encoding of new text included
    rows_computed: int  # rows fed, all forwards together
    rows_reused: int  # context rows that were in the cache already
    ms: float
    trace: Trace | None = None
    encode_ms: float = 0.0  # of these milliseconds, until the context was encoded


@dataclass(frozen=True)
class PartialInfill:
    """The text so far of one gap, sent while the request runs. Later ones replace earlier ones.

    `logprobs` are those of its tokens. Of them the first `line_tokens[n]` spell n + 1 lines, with the last one's break.
    The other fields tell what the request has cost so far, as those of `Infill`.
    """

    gap_index: int
    text: str
    logprobs: tuple[float, ...] = ()
    line_tokens: tuple[int, ...] = ()
    forwards: int = 0
    rows_computed: int = 0
    rows_reused: int = 0
    encode_ms: float = 0.0

    def first_lines(self, gap: Gap, lines: int) -> GapInfill | None:
        """Return the first lines of an infill left to right as the answer; None where they are not known."""
        ends = [found.start() for found in LINE_BREAK.finditer(self.text)]
        if not 0 < lines <= min(len(ends), len(self.line_tokens)):
            return None
        tokens = self.line_tokens[lines - 1]
        return GapInfill(gap, self.text[: ends[lines - 1]], tokens, self.logprobs[:tokens], "lines")


@dataclass(frozen=True)
class ScoreRequest:
    """Ask for the likelihood of `texts[i]` standing in `gaps[i]`, each gap by itself.

    Under left_to_right the clean head scores; under block:B, window:S and
    uniform the mask rows do, over `orders` orders drawn with `seed` (all of
    them where there are no more). `as_text` asks, besides, how likely each text
    is as one that merely follows what stands before its gap: left to right only.
    """

    file_id: str
    version: int
    gaps: tuple[Gap, ...]
    texts: tuple[str, ...]
    policy: str = "left_to_right"
    orders: int = 8
    seed: int = 0
    as_text: bool = False


@dataclass(frozen=True)
class TokenScore:
    """One token of a scored text.

    `logprob` is in nats, the mean over orders if there are several; `head` is
    clean or mask. `best_logprob` is that of the likeliest token there, and
    `entropy` (nats) says how open the place was: both None for mask rows.
    """

    text: str
    logprob: float
    head: str
    best_logprob: float | None = None
    entropy: float | None = None


@dataclass(frozen=True)
class GapScore:
    """The likelihood of a text in a gap.

    `logprob` is the text's, in nats: the sum over its tokens, or over several
    orders the logarithm of their mean probability. `stop_logprob` is that of
    the text ending there, None for a model that was not trained to stop.
    `as_text` has the same tokens, if asked for, by rows that follow the text
    before the gap as if there were no gap and nothing known behind it.
    """

    tokens: tuple[TokenScore, ...]
    logprob: float
    stop_logprob: float | None
    as_text: tuple[TokenScore, ...] = ()


@dataclass(frozen=True)
class Score:
    """The answer to a `ScoreRequest`, one entry for each gap."""

    gaps: tuple[GapScore, ...]
    ms: float


@dataclass(frozen=True)
class ModelDescription:
    """What the worker runs, for status lines and `--json`."""

    name: str
    adapted: bool
    precision: str
    precision_reason: str
    parameters: int
    context_length: int
    fim: str | None = None  # how a model that is not adapted fills in the middle by its own markers, if it does

    @property
    def sees_suffix(self) -> bool:
        """Whether it sees what stands behind a gap, and ends by itself."""
        return self.adapted or self.fim is not None
