"""One infill request while it runs: gaps are opened, a decoder is chosen by policy, answers are collected."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from model.api.edits import applied, grown
from model.api.policy import VERIFIED, OrderPolicy, RevealRule, parse_policy
from model.api.types import Alternative, Edit, Gap, GapInfill, InfillRequest, PartialInfill, Trace
from model.decoding.copying import Copying
from model.decoding.decode import Decode
from model.decoding.decoders import DECODERS
from model.decoding.drafts import TextDrafts
from model.decoding.file_tokens import FileTokens
from model.decoding.gap_rows import GapRows
from model.decoding.open_gap import OpenGap, open_gaps
from model.decoding.recorder import Recorder
from model.decoding.spelling import Vocabulary
from model.decoding.widths import WidthPlanner
from model.errors import Cancelled, InputError
from model.sessions.session import Session
from model.sessions.window import Window

MAX_CANDIDATES = 16  # each adds rows to every forward, and keeps some in the cache


class InfillRun:
    """Carries out one request on a session. Raises InputError at once for settings that no decode can follow."""

    def __init__(
        self,
        request: InfillRequest,
        session: Session,
        vocabulary: Vocabulary,
        planner: WidthPlanner,
        on_partial: Callable[[PartialInfill], None] | None,
        cancelled: Callable[[], bool],
    ) -> None:
        self._policy, self._rule = parse_policy(request.policy, request.reveal)
        self._adapted = session.capabilities.adapted
        _check_settings(request, self._adapted, self._policy.kind)
        self._request, self._session, self._vocabulary = request, session, vocabulary
        # Widths decide how random numbers are used up: a draw that is to be repeatable must not depend on the clock.
        repeatable = request.sampling.temperature > 0
        self._planner = WidthPlanner(adapted=self._adapted, learns=False) if repeatable else planner
        self._on_partial, self._cancelled = on_partial, cancelled
        max_ms = request.limits.max_ms
        self._deadline = None if max_ms is None else time.monotonic() + max_ms / 1000
        self._generator = torch.Generator().manual_seed(request.sampling.seed % 2**64)
        self._recorder: Recorder | None = None
        self._held_back: list[str] = []
        self.trace: Trace | None = None
        self.forwards = self.rows_fed = self.rows_reused = self._rows_encoded = 0
        self.encode_ms = 0.0

    def run(self) -> list[GapInfill]:
        """Fill the gaps and return them in the order of the request. Raises Cancelled."""
        gaps = self._request.gaps
        computed, started = self._session.rows_computed, time.monotonic()
        if self._adapted:
            window = self._session.window_at(gaps, self._cancelled)
        else:
            self._session.prepare(gaps[:1])
            window = self._window_on_first(self._session.text, gaps)
        self.encode_ms = (time.monotonic() - started) * 1000
        encoded = self._rows_encoded = self._session.rows_computed - computed
        self.rows_reused = max(0, window.rows - encoded)
        if self._request.trace:
            self._begin_trace(window, encoded)
        if not self._adapted:
            results = self._one_after_another(window)
        elif self._policy.kind == "beam" and len(gaps) > 1:
            results = self._each_by_beams(window)
        else:
            results = self._fill(window, gaps, first_index=0)
        if self.trace is not None and self._recorder is not None:
            held_back = tuple(self._held_back)
            self.trace = replace(self.trace, held_back=held_back, steps=tuple(self._recorder.steps))
        return results

    def _one_after_another(self, window: Window) -> list[GapInfill]:
        """Fill the gaps with a model that cannot fill them jointly, each seeing the infills before it."""
        text, shift, results = self._session.text, 0, []
        for index, asked in enumerate(self._request.gaps):
            gap, *later = [Gap(each.start + shift, each.end + shift) for each in self._request.gaps[index:]]
            if index:
                window = self._window_on_first(text, (gap, *later))
            (result,) = self._fill(window, (gap,), first_index=index)
            filled = Edit(gap.start, gap.end, result.text)
            text, shift = applied(text, filled), shift + grown(filled)
            results.append(replace(result, gap=asked))
        return results

    def _each_by_beams(self, window: Window) -> list[GapInfill]:
        """Fill the gaps jointly and greedily, then search each in turn, with what the others hold as text around it.

        When time runs out, those not searched to the end keep what they had.
        """
        gaps = self._request.gaps
        results = self._fill(window, gaps, 0, parse_policy(VERIFIED))
        for index, asked in enumerate(gaps):
            if not self._time_is_left():
                break
            text, gap = _others_filled(self._session.text, results, index)
            (found,) = self._fill(self._session.window_on(text, gap, self._cancelled), (gap,), first_index=index)
            if found.stop != "time":
                results[index] = replace(found, gap=asked)
        return results

    def _window_on_first(self, text: str, gaps: Sequence[Gap]) -> Window:
        """Return a window at the first of `gaps` that does not show the old text of the others."""
        if self._session.capabilities.sees_suffix:
            for later in reversed(gaps[1:]):
                text = applied(text, Edit(later.start, later.end, ""))
        return self._session.window_on(text, gaps[0], self._cancelled)

    def _fill(
        self,
        window: Window,
        gaps: Sequence[Gap],
        first_index: int,
        how: tuple[OrderPolicy, RevealRule] | None = None,
    ) -> list[GapInfill]:
        """Fill gaps that follow `first_index` others of the request, as it says or as `how` does."""
        request = self._request
        policy, rule = how or (self._policy, self._rule)
        selected = slice(first_index, first_index + len(gaps))
        file = FileTokens.of(window)
        copying = (
            Copying(file, self._vocabulary, request.limits.max_lines) if request.copies and self._adapted else None
        )
        opened = open_gaps(window, self._vocabulary, gaps, request.limits, request.lengths_tok[selected], copying)
        self._held_back[selected] = window.layout.held_back
        if self._recorder is not None:
            self._recorder.first_gap = first_index
        drafts = None
        if rule.kind == "verified":
            drafts = TextDrafts(window, self._vocabulary.eoi_id, request.drafts[selected], file)
        rows = GapRows(window, self._recorder)
        decode = Decode(
            rows, opened, policy, rule, self._planner, drafts,
            request.candidates - 1, request.sampling, self._generator, self._watch(rows, opened, first_index),
        )  # fmt: skip
        try:
            with window.network.interruptible(self._cancelled):
                others = DECODERS[policy.kind](decode)
        finally:
            self.forwards += rows.forwards
            self.rows_fed += rows.rows_fed
        first, *rest = [gap.result() for gap in opened]
        return [_with_alternatives(first, others), *rest]

    def _watch(self, rows: GapRows, opened: Sequence[OpenGap], first_index: int) -> Callable[[], bool]:
        """Return what a decoder calls after each forward: it tells of new text and says whether to go on."""
        shown = [""] * len(opened)

        def after_forward() -> bool:
            if self._cancelled():
                raise Cancelled("the request was cancelled")
            if self._on_partial is not None:
                for index, gap in enumerate(opened):
                    if (text := gap.text()) != shown[index]:
                        shown[index] = text
                        self._on_partial(self._partial(rows, gap, first_index + index))
            return self._time_is_left()

        return after_forward

    def _partial(self, rows: GapRows, gap: OpenGap, index: int) -> PartialInfill:
        forwards, computed = self.forwards + rows.forwards, self._rows_encoded + self.rows_fed + rows.rows_fed
        known = gap.known_logprobs(), gap.line_tokens()
        return PartialInfill(index, gap.text(), *known, forwards, computed, self.rows_reused, self.encode_ms)

    def _time_is_left(self) -> bool:
        return self._deadline is None or time.monotonic() < self._deadline

    def _begin_trace(self, window: Window, encoded: int) -> None:
        capabilities = window.capabilities
        names = {capabilities.infill_id: "<infill>", self._vocabulary.eoi_id: "<eoi>"}
        self._recorder = Recorder(
            window.tokenizer, {token_id: name for token_id, name in names.items() if token_id is not None}
        )
        self.trace = Trace(
            policy=str(self._policy),
            reveal=str(self._rule),
            left_rows=window.cache.left_rows,
            right_rows=window.cache.right_rows,
            island_rows=window.cache.island_rows,
            rows_encoded=min(encoded, window.rows),
            held_back=(),
            steps=(),
            is_joint=self._adapted,
        )


def _others_filled(text: str, infills: Sequence[GapInfill], index: int) -> tuple[str, Gap]:
    """Return the text with all infills in their gaps but for that of gap `index`, and where that gap is then."""
    asked, shift = infills[index].gap, 0
    for other in reversed(infills):
        if other is not infills[index]:
            edit = Edit(other.gap.start, other.gap.end, other.text)
            text, shift = applied(text, edit), shift + grown(edit) * (other.gap.start < asked.start)
    return text, Gap(asked.start + shift, asked.end + shift)


def _with_alternatives(infill: GapInfill, others: Sequence[OpenGap]) -> GapInfill:
    found = [gap.result() for gap in others]
    alternatives = tuple(Alternative(other.text, other.tokens, other.logprobs, other.stop) for other in found)
    return replace(infill, alternatives=alternatives)


def _check_settings(request: InfillRequest, adapted: bool, policy: str) -> None:
    limits, sampling, gaps = request.limits, request.sampling, len(request.gaps)
    if limits.max_tokens < 1:
        raise InputError(f"max_tokens is {limits.max_tokens}: it must be at least 1")
    if limits.max_lines is not None and limits.max_lines < 1:
        raise InputError(f"max_lines is {limits.max_lines}: it must be at least 1")
    if limits.max_ms is not None and not limits.max_ms > 0:
        raise InputError(f"max_ms is {limits.max_ms}: it must be positive")
    if not 0 <= sampling.temperature < float("inf"):
        raise InputError(f"temperature is {sampling.temperature}: it must be 0 (greedy) or positive")
    if not 0 < sampling.top_p <= 1:
        raise InputError(f"top_p is {sampling.top_p}: it must be above 0 and at most 1")
    if not adapted and policy != "left_to_right":
        raise InputError(
            f"policy {request.policy} needs a model adapted to infilling, and this one is not: use left_to_right"
        )
    if request.candidates < 1 or (request.candidates > 1 and (gaps > 1 or policy not in ("left_to_right", "beam"))):
        raise InputError("candidates must be 1, or more for a single gap filled left to right or by beam search")
    if request.candidates > MAX_CANDIDATES:
        raise InputError(f"candidates is {request.candidates}: it must be at most {MAX_CANDIDATES}")
    if policy == "beam" and sampling.temperature > 0:
        raise InputError("policy beam looks for the likeliest infill: use temperature 0 with it")
    for name, given in (("drafts", request.drafts), ("lengths_tok", request.lengths_tok)):
        if given and len(given) != gaps:
            raise InputError(f"{len(given)} {name} for {gaps} gaps: give one for each gap, or none")
    if any(length < 0 for length in request.lengths_tok):
        raise InputError("lengths_tok must not be negative")
