"""Writes down a decode as it runs, for `Trace`. Decoding never reads it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from model.api.types import TraceReveal, TraceRow, TraceStep
from model.checkpoint.tokenization import ByteTokenizer
from model.decoding.gap_row import GapRow

_ALTERNATIVES = 3


class Recorder:
    """The steps of one decode so far. `first_gap` is added to the gap numbers of the rows."""

    def __init__(self, tokenizer: ByteTokenizer, names: dict[int, str], first_gap: int = 0) -> None:
        self._token_bytes, self._names, self.first_gap = tokenizer.token_bytes, names, first_gap
        self.steps: list[TraceStep] = []
        self._reveals: list[TraceReveal] = []

    def reveal(self, gap: int, rank: int, token_id: int, log_probs: Tensor, head: str) -> None:
        """Note that `token_id` became known, drawn from `log_probs` [V]; belongs to the forward recorded next."""
        likeliest = log_probs.topk(_ALTERNATIVES + 1)
        others = [
            (self.text(index), value)
            for index, value in zip(likeliest.indices.tolist(), likeliest.values.exp().tolist(), strict=True)
            if index != token_id and value > 0
        ]
        self._reveals.append(
            TraceReveal(
                self.first_gap + gap,
                rank,
                self.text(token_id),
                float(log_probs[token_id].exp()),
                head,
                tuple(others[:_ALTERNATIVES]),
            )
        )

    def reveal_end(self, gap: int, rank: int, logprob: float) -> None:
        """Note that a gap was drawn to end at `rank`."""
        self._reveals.append(TraceReveal(self.first_gap + gap, rank, "<eoi>", math.exp(logprob), "mask", ()))

    def forward(self, rows: Sequence[GapRow], committed: Sequence[int], seconds: float) -> None:
        """Note a forward of `rows`, of which those at the indices `committed` were kept."""
        traced = tuple(self._row(row, index in committed) for index, row in enumerate(rows) if not row.branch)
        self.steps.append(TraceStep(seconds * 1000, traced, tuple(self._reveals)))
        self._reveals = []

    def _row(self, row: GapRow, committed: bool) -> TraceRow:
        if row.key is None:
            kind, outcome, text = "mask", "predicted", ""
        else:
            text = self.text(row.token_id)
            if row.source is not None:
                kind, outcome = "draft", "verified" if committed else "dropped"
            else:
                kind, outcome = "infill" if row.rank == 0 else "clean", "committed"
        return TraceRow(self.first_gap + row.gap, row.rank, kind, text, row.source, outcome)

    def text(self, token_id: int) -> str:
        """Return what a token spells, or its name."""
        return self._names.get(token_id) or self._token_bytes[token_id].decode(errors="replace")
