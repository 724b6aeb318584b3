"""One gap of a running decode: what is revealed, what it spells, and when it ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from model.api.line_breaks import LINE_BREAK
from model.api.types import Gap, GapInfill, Limits
from model.decoding.copying import Copying
from model.decoding.gap_row import GapRow
from model.decoding.sampling import log_probabilities
from model.decoding.spelling import Spelling, Vocabulary
from model.sessions.window import Window


@dataclass
class OpenGap:
    """A gap and its tokens by rank.

    Rank 0 is `<infill>` (or, for a model without it, the last row before the
    gap), rank n the n-th token. The frontier is the first rank not revealed;
    `spelling` holds the text before it. `end_rank` is where `<eoi>` stands when
    that is known beforehand. What is not empty is answered with `ending` behind it. `copying` is what the file says.
    """

    gap: Gap
    index: int
    zero_id: int  # position id of rank 0
    last_rank: int  # the highest rank that still has a position id
    spelling: Spelling
    limits: Limits
    end_rank: int | None = None
    ending: str = ""
    copying: Copying | None = None
    ids: dict[int, int] = field(default_factory=dict)
    logprobs: dict[int, float] = field(default_factory=dict)
    runners_up: dict[int, tuple[int, float]] = field(default_factory=dict)  # second choices, with log-probability
    frontier: int = 1
    stop: str | None = None

    def __post_init__(self) -> None:
        if self.end_rank == 1:
            self.stop = "eoi"

    def reveal(self, rank: int, token_id: int, log_probs: Tensor) -> None:
        """Make a token known, drawn from `log_probs` [V]; sets `stop` when the gap ends with it."""
        self.place(rank, token_id, float(log_probs[token_id]))
        values, indices = log_probs.topk(2)
        second = 1 if int(indices[0]) == token_id else 0
        self.runners_up[rank] = int(indices[second]), float(values[second])

    def place(self, rank: int, token_id: int, logprob: float) -> None:
        """Put a token at `rank`, and move the frontier behind all that is known without a hole."""
        self.ids[rank], self.logprobs[rank] = token_id, logprob
        while self.stop is None and self.frontier in self.ids:
            self._advance(self.ids[self.frontier])

    def _advance(self, token_id: int) -> None:
        if token_id == self.spelling.vocabulary.eoi_id:
            self.stop = "eoi"
            return
        self.spelling.push(token_id)
        self.frontier += 1
        if self._line_limit() is not None:
            self.stop = "lines"
        elif self.frontier == self.end_rank:
            self.stop = "eoi"
        elif self.known_tokens - self._held_back_tokens() >= self.limits.max_tokens:
            self.stop = "tokens"
        elif self.frontier > self.last_rank:
            self.stop = "context"

    @property
    def last_wanted_rank(self) -> int:
        """The highest rank that limits and room leave for a token."""
        tokens_left = self.limits.max_tokens - (self.known_tokens - self._held_back_tokens())
        bytes_left = max(0, len(self.spelling.held_back) - len(self.spelling.spelled))  # each may take a token
        last_rank = min(self.last_rank, self.frontier - 1 + tokens_left + bytes_left)
        return last_rank if self.end_rank is None else min(last_rank, self.end_rank - 1)

    @property
    def known_tokens(self) -> int:
        """How many tokens stand before the frontier."""
        return self.frontier - 1

    def known_ids(self) -> list[int]:
        """Return the tokens before the frontier."""
        return [self.ids[rank] for rank in range(1, self.frontier)]

    def drafts_wanted(self, token_ids: Sequence[int]) -> int:
        """Return how many of `token_ids` may stand from the frontier on before one ends the gap: that needs no row."""
        twin = self.copy()
        for count, token_id in enumerate(token_ids):
            if not twin.allowed()[token_id]:
                return count
            twin.place(twin.frontier, token_id, 0.0)
            if twin.stop is not None:
                return count
        return len(token_ids)

    def next_log_probs(self, logits: Tensor) -> Tensor:
        """Return log-probabilities [V] of what stands at the frontier, from the logits [V] of the row before it."""
        allowed = self.allowed()
        log_probs = log_probabilities(logits, allowed)
        return (
            log_probs if self.copying is None else self.copying.mixed(log_probs, self.index, self.known_ids(), allowed)
        )

    def allowed(self) -> Tensor:
        """Return the tokens that may stand at the frontier, as bool [V]."""
        return self.allowed_after(self.spelling)

    def allowed_after(self, spelling: Spelling) -> Tensor:
        """Return the tokens that may follow `spelling` in this gap, as bool [V]."""
        allowed = spelling.allowed()
        if self.end_rank is not None:
            allowed = allowed.clone()
            allowed[spelling.vocabulary.eoi_id] = False
        return allowed

    def clean_row(self, rank: int, key: int, source: str | None = None) -> GapRow:
        """Return the row of the token at `rank`."""
        return self.row(rank, self.ids[rank], key, source)

    def row(self, rank: int, token_id: int, key: int, source: str | None = None) -> GapRow:
        """Return a clean row for `token_id` at `rank`."""
        return GapRow(token_id, self.zero_id + rank, key, key, self.index, rank, source=source)

    def mask_row(self, rank: int, mask_id: int, sees_below: int) -> GapRow:
        """Return a mask row that asks about `rank`."""
        return GapRow(mask_id, self.zero_id + rank, sees_below, None, self.index, rank)

    def copy(self) -> OpenGap:
        """Return a gap that is as far and goes its own way from here."""
        return replace(
            self,
            spelling=self.spelling.copy(),
            ids=dict(self.ids),
            logprobs=dict(self.logprobs),
            runners_up=dict(self.runners_up),
        )

    def branch_at(self, rank: int) -> OpenGap:
        """Return an open gap of its own that knows the tokens before `rank` and nothing else."""
        spelling = Spelling(self.spelling.vocabulary, self.spelling.held_back)
        twin = replace(self, spelling=spelling, ids={}, logprobs={}, runners_up={}, frontier=1, stop=None)
        for before in range(1, rank):
            twin.place(before, self.ids[before], self.logprobs[before])
        return twin

    def text(self) -> str:
        """Return the infill up to the frontier, or to the limit on lines."""
        return self.spelling.infill[: self._line_limit()]

    def known_logprobs(self) -> tuple[float, ...]:
        """Return the log-probabilities of the tokens before the frontier."""
        return tuple(self.logprobs[rank] for rank in range(1, self.frontier))

    def line_tokens(self) -> tuple[int, ...]:
        """Return how many tokens it took until each line break of the infill was there."""
        spelling, found = Spelling(self.spelling.vocabulary, self.spelling.held_back), list[int]()
        for count, token_id in enumerate(self.known_ids(), start=1):
            spelling.push(token_id)
            found += [count] * (len(LINE_BREAK.findall(spelling.infill)) - len(found))
        return tuple(found)

    def result(self) -> GapInfill:
        """Return the gap as it is answered; one that has not ended ran out of time."""
        logprobs, text = self.known_logprobs(), self.text()
        return GapInfill(self.gap, text + self.ending if text else "", len(logprobs), logprobs, self.stop or "time")

    def _line_limit(self) -> int | None:
        """Return where the infill's last allowed line ends, if it has gone beyond."""
        if self.limits.max_lines is None:
            return None
        breaks = [found.start() for found in LINE_BREAK.finditer(self.spelling.infill)]
        return breaks[self.limits.max_lines - 1] if len(breaks) >= self.limits.max_lines else None

    def _held_back_tokens(self) -> int:
        """Return how many of the tokens spell nothing but the held-back piece."""
        spelled, count = 0, 0
        for rank in range(1, self.frontier):
            spelled += len(self.spelling.vocabulary.token_bytes[self.ids[rank]])
            if spelled > len(self.spelling.held_back):
                break
            count += 1
        return count


def open_gaps(
    window: Window,
    vocabulary: Vocabulary,
    gaps: Sequence[Gap],
    limits: Limits,
    lengths_tok: Sequence[int] = (),
    copying: Copying | None = None,
) -> list[OpenGap]:
    """Return the gaps that `window` stands at, ready to be filled."""
    rank_of_first_id = 0 if window.capabilities.adapted else 1
    opened = []
    for index, gap in enumerate(gaps):
        first_id = window.gap_first_id(index)
        opened.append(
            OpenGap(
                gap,
                index,
                zero_id=first_id - rank_of_first_id,
                last_rank=window.gap_free_ids(index) - 1 + rank_of_first_id,
                spelling=Spelling(vocabulary, window.layout.held_back[index].encode()),
                limits=limits,
                end_rank=lengths_tok[index] + 1 if lengths_tok else None,
                ending=window.layout.endings[index],
                copying=copying,
            )
        )
    return opened
