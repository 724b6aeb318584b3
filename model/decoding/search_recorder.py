"""Writes down a beam search as it runs, for `TraceSearch`. The search never reads it.

A beginning is known by its tokens, so that the search need not number them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from model.api.types import TraceBeginning, TraceEnding, TraceSearch, TraceStep
from model.decoding.beam import LENGTH_REWARD_NATS, TEXT_WEIGHT, Beam, Ending, JudgedInfill
from model.decoding.open_gap import OpenGap
from model.decoding.recorder import Recorder
from model.decoding.row_tree import TreeRow

_PASSED_OVER = 4  # so many of the beginnings that found no room are told, those nearest to it


class SearchRecorder:
    """The forwards of one search so far, among the steps of `recorder`."""

    def __init__(self, recorder: Recorder, gap: OpenGap, width: int) -> None:
        self._recorder, self._gap, self._width = recorder, recorder.first_gap + gap.index, width
        self._numbers: dict[tuple[int, ...], int] = {tuple(gap.known_ids()): 0}
        self._judged: list[TraceEnding] = []
        self._beginnings: list[TraceBeginning] = []
        self._endings: list[TraceEnding] = []
        self._passed_over = 0

    def beginning(self, beam: Beam, fate: str, best_score: float | None = None) -> None:
        """Note a beam of one token more, and what is made of it."""
        *parent, token_id = beam.gap.known_ids()
        self._beginnings.append(
            TraceBeginning(
                self._numbers.setdefault((*parent, token_id), len(self._numbers)),
                self._numbers[tuple(parent)],
                self._recorder.text(token_id),
                beam.gap_logprob,
                sum(beam.text_logprobs),
                beam.score,
                best_score,
                beam.is_greedy,
                fate,
            )
        )

    def passed_over(self, beams: Sequence[Beam]) -> None:
        """Note beams that are not followed as others were better, the best first."""
        for beam in beams[:_PASSED_OVER]:
            self.beginning(beam, "width")
        self._passed_over += len(beams[_PASSED_OVER:])

    def ending(self, ending: Ending, fate: str, best_score: float | None = None) -> None:
        """Note that a beam may end, and whether it is asked how well the text behind follows then."""
        beam = ending.beam
        self._endings.append(
            TraceEnding(
                self._number(beam.gap),
                beam.gap_logprob,
                sum(beam.text_logprobs),
                ending.first_logprob,
                ending.score,
                best_score,
                beam.is_greedy,
                fate,
            )
        )

    def judged(self, infill: JudgedInfill) -> None:
        """Note an infill of which it is known now how well the text behind follows."""
        self._judged.append(
            TraceEnding(
                self._number(infill.gap),
                infill.gap_logprob,
                infill.text_logprob,
                infill.behind_logprob,
                infill.score,
                infill.score,
                infill.is_greedy,
                "judged",
            )
        )

    def forward(self, rows: Sequence[TreeRow], behind_rows: int, rows_kept: int, seconds: float) -> None:
        """Note that a forward of `rows` told all that was noted since the one before.

        The last `behind_rows` of them are text behind the gap. Without any rows nothing was fed: the forward before
        has told it already.
        """
        steps = self._recorder.steps
        if not rows and steps and (before := steps[-1].search) is not None:
            known = replace(before, judged=(*before.judged, *self._judged), rows_kept=rows_kept)
            steps[-1] = replace(steps[-1], search=known)
        else:
            steps.append(TraceStep(seconds * 1000, (), (), self._told(rows, behind_rows, rows_kept)))
        self._judged, self._beginnings, self._endings, self._passed_over = [], [], [], 0

    def read_on(self, text: str, rows: int, seconds: float) -> None:
        """Note that the infills noted since were judged by `text` too, which came behind, with so many rows."""
        told = replace(self._told([], 0, 0), behind_rows=rows, read_on=text)
        self._recorder.steps.append(TraceStep(seconds * 1000, (), (), told))

    def answer(self, gap: OpenGap) -> None:
        """Note what the search came to."""
        steps = self._recorder.steps
        if steps and steps[-1].search is not None:
            steps[-1] = replace(steps[-1], search=replace(steps[-1].search, answer=self._number(gap)))

    def _told(self, rows: Sequence[TreeRow], behind_rows: int, rows_kept: int) -> TraceSearch:
        gap_rows = sum(not row.follows_left for row in rows)
        return TraceSearch(
            self._gap,
            self._width,
            TEXT_WEIGHT,
            LENGTH_REWARD_NATS,
            gap_rows,
            len(rows) - gap_rows - behind_rows,
            behind_rows,
            rows_kept,
            tuple(self._judged),
            tuple(sorted(self._beginnings, key=lambda each: -each.score)),
            tuple(sorted(self._endings, key=lambda each: -each.score)),
            self._passed_over,
        )

    def _number(self, gap: OpenGap) -> int:
        return self._numbers[tuple(gap.known_ids())]
