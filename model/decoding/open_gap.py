"""One gap of a running decode: what is revealed, what it spells, and when it ends."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from model.api.types import Gap, GapInfill, Limits
from model.decoding.constraint import Spelling, Vocabulary
from model.window import Window

_LINE_BREAK = re.compile(r"\r\n|\n|\r")


@dataclass
class OpenGap:
    """A gap that is filled left to right.

    Ranks count the gap's rows: 0 is `<infill>` (or, for a model without it, the
    last row before the gap), n is the n-th token. `ids` are the tokens of ranks
    1, 2, ..., `<eoi>` included once it is revealed.
    """

    gap: Gap
    zero_id: int  # position id of rank 0
    last_id: int  # the highest position id the gap may use
    spelling: Spelling
    limits: Limits
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    stop: str | None = None

    def position_id(self, rank: int) -> int:
        return self.zero_id + rank

    def take(self, token_id: int, logprob: float) -> None:
        """Reveal the next token; sets `stop` if the gap ends with it."""
        self.ids.append(token_id)
        self.logprobs.append(logprob)
        if token_id == self.spelling.vocabulary.eoi_id:
            self.stop = "eoi"
            return
        self.spelling.push(token_id)
        if self._line_limit() is not None:
            self.stop = "lines"
        elif len(self.ids) - self._held_back_tokens() >= self.limits.max_tokens:
            self.stop = "tokens"
        elif self.position_id(len(self.ids)) >= self.last_id:
            self.stop = "context"

    def text(self) -> str:
        """Return the infill so far, up to the limit on lines."""
        return self.spelling.infill[: self._line_limit()]

    def result(self) -> GapInfill:
        """Return the gap as it is answered; one that was not ended ran out of time."""
        tokens = len(self.ids) - (self.stop == "eoi")
        return GapInfill(self.gap, self.text(), tokens, tuple(self.logprobs[:tokens]), self.stop or "time")

    def _line_limit(self) -> int | None:
        """Return where the infill's last allowed line ends, if it has gone beyond."""
        if self.limits.max_lines is None:
            return None
        breaks = [found.start() for found in _LINE_BREAK.finditer(self.spelling.infill)]
        return breaks[self.limits.max_lines - 1] if len(breaks) >= self.limits.max_lines else None

    def _held_back_tokens(self) -> int:
        """Return how many of the tokens spell nothing but the held-back piece."""
        spelled, count = 0, 0
        for token_id in self.ids:
            spelled += len(self.spelling.vocabulary.token_bytes[token_id])
            if spelled > len(self.spelling.held_back):
                break
            count += 1
        return count


def open_gaps(window: Window, vocabulary: Vocabulary, gaps: Sequence[Gap], limits: Limits) -> list[OpenGap]:
    """Return the gaps that `window` stands at, ready to be filled."""
    before_first = 0 if window.capabilities.infill else 1
    opened = []
    for index, gap in enumerate(gaps):
        first_id = window.gap_first_id(index)
        opened.append(
            OpenGap(
                gap,
                zero_id=first_id - before_first,
                last_id=first_id + window.gap_free_ids(index) - 1,
                spelling=Spelling(vocabulary, window.held_back[index]),
                limits=limits,
            )
        )
    return opened
