"""The engine: all sessions of one model, and the requests that touch them.

Single-threaded; the worker calls it from its compute thread. Knows requests
and sessions; knows no sockets, frames or processes.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from model.api.policy import parse_policy
from model.api.types import (
    Edit,
    Gap,
    GapScore,
    Infill,
    InfillRequest,
    ModelDescription,
    PartialInfill,
    Score,
    ScoreRequest,
    Snippet,
)
from model.checkpoint.loading import load_checkpoint
from model.checkpoint.record import Checkpoint, expected_shapes
from model.decoding.infill import InfillRun
from model.decoding.likelihood import score_as_text, score_in_orders, score_left_to_right
from model.decoding.packed import PackedScorer
from model.decoding.spelling import Vocabulary
from model.decoding.widths import WidthPlanner
from model.errors import Cancelled, InputError, UnknownFileError, VersionError
from model.network.linear import Precision, choose_precision
from model.sessions.geometry import FULL, NEAR, WindowLimits
from model.sessions.session import IDLE_SLICE_ROWS, SHORT_IDLE_SLICE_ROWS, Session, SessionParts, check_gaps
from model.sessions.window import Window

DEFAULT_MEMORY_BUDGET_MB = 512
ISLAND_SHARE = 0.25  # of the memory budget, for context islands
ASKED_SECONDS = 2.0  # so long after an infill was asked for the next one is near
SHORT_IDLE_SLICE_MS = 50.0  # a slice of idle work until then, where its fewest rows do not take longer


class Engine:
    """The sessions of one model."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        precision: Precision,
        reason: str = "asked for",
        memory_budget_mb: int = DEFAULT_MEMORY_BUDGET_MB,
        full: WindowLimits = FULL,
        near: WindowLimits = NEAR,
    ) -> None:
        capabilities = checkpoint.capabilities
        self._name, self._reason, self._precision = checkpoint.name, reason, precision
        self._budget_bytes = memory_budget_mb * 2**20
        self._parts = SessionParts.of(checkpoint, precision, int(self._budget_bytes * ISLAND_SHARE), full, near)
        self._vocabulary = Vocabulary(self._parts.tokenizer, self._parts.eoi_id)
        self._planner = WidthPlanner(adapted=capabilities.adapted)
        self._parameters = sum(math.prod(shape) for shape in expected_shapes(checkpoint.config).values())
        self._sessions: OrderedDict[str, Session] = OrderedDict()  # the least recently used first
        self._versions: dict[str, int] = {}
        self._infills = self._forwards = self._rows_computed = self._rows_reused = self._evictions = 0
        self._cancelled = self._rows_cancelled = self._rows_idle = 0
        self._asked_at = -math.inf  # on the monotonic clock

    @classmethod
    def load(
        cls,
        path: Path,
        precision: str | None = None,
        threads: int | None = None,
        memory_budget_mb: int = DEFAULT_MEMORY_BUDGET_MB,
    ) -> Engine:
        """Load the checkpoint at `path`. Raises CheckpointError, and InputError for an unknown precision."""
        if threads is not None:
            torch.set_num_threads(threads)
        chosen = choose_precision(precision)
        return cls(load_checkpoint(path), *chosen, memory_budget_mb)

    def describe(self) -> ModelDescription:
        """Return what runs here."""
        return ModelDescription(
            name=self._name,
            adapted=self._parts.capabilities.adapted,
            fim=self._parts.capabilities.fim,
            precision=str(self._precision),
            precision_reason=self._reason,
            parameters=self._parameters,
            context_length=self._parts.network.config.context_length,
        )

    # -- files ------------------------------------------------------------------------------

    def open(self, file_id: str, path: str, text: str, version: int) -> None:
        """Hold a file; one that is open already is replaced."""
        self._sessions[file_id] = Session(self._parts, path, text)
        self._sessions.move_to_end(file_id)
        self._versions[file_id] = version

    def edit(self, file_id: str, edits: Sequence[Edit], version: int) -> None:
        """Apply `edits` one after the other.

        Raises UnknownFileError, VersionError, RangeError; then nothing changed.
        """
        session = self._session(file_id)
        if version <= self._versions[file_id]:
            held = self._versions[file_id]
            raise VersionError(f"an edit to version {version} of a file that is at version {held}: versions must grow")
        session.edit(edits)
        self._versions[file_id] = version

    def close(self, file_id: str) -> None:
        """Forget a file. Raises UnknownFileError."""
        self._session(file_id)
        del self._sessions[file_id], self._versions[file_id]

    def set_context(self, file_id: str, snippets: Sequence[Snippet]) -> None:
        """Let the gaps of a file see `snippets`, the most useful last."""
        self._session(file_id).set_context(snippets)

    def prepare(self, file_id: str, cursor: int) -> None:
        """Let idle work get ready for an infill at `cursor`."""
        self._session(file_id).prepare((Gap(cursor, cursor),))

    # -- requests ---------------------------------------------------------------------------

    def infill(
        self,
        request: InfillRequest,
        on_partial: Callable[[PartialInfill], None] | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Infill:
        """Fill the gaps of `request`; partial texts go to `on_partial`, `cancelled` is looked at between layers.

        Raises Cancelled, RangeError, VersionError, UnknownFileError, InputError.
        """
        started = self._asked_at = time.monotonic()
        session = self._checked(request.file_id, request.version, request.gaps)
        before = session.rows_computed
        run = InfillRun(request, session, self._vocabulary, self._planner, on_partial, cancelled)
        try:
            gaps = run.run()
        except Cancelled:
            self._cancelled += 1
            self._rows_cancelled += session.rows_computed - before + run.rows_fed
            raise
        computed = session.rows_computed - before + run.rows_fed
        self._infills += 1
        self._forwards += run.forwards
        self._rows_computed += computed
        self._rows_reused += run.rows_reused
        self._evict()
        ms = (time.monotonic() - started) * 1000
        return Infill(
            request.version, tuple(gaps), run.forwards, computed, run.rows_reused, ms, run.trace, run.encode_ms
        )

    def score(self, request: ScoreRequest, cancelled: Callable[[], bool] = lambda: False) -> Score:
        """Return the likelihood of given texts in given gaps, each gap by itself.

        Left to right, gaps near each other share one encoding. Raises
        Cancelled, RangeError, VersionError, UnknownFileError, InputError.
        """
        started = time.monotonic()
        session = self._checked(request.file_id, request.version, request.gaps)
        if len(request.texts) != len(request.gaps):
            raise InputError(f"{len(request.gaps)} gaps but {len(request.texts)} texts: give one text for each gap")
        if request.orders < 1:
            raise InputError(f"orders is {request.orders}: it must be at least 1")
        policy, _ = parse_policy(request.policy)
        if request.as_text and policy.kind != "left_to_right":
            raise InputError("texts are read as text from left to right only: score them by left_to_right")
        if policy.kind == "beam":
            raise InputError("beam is a way to search, not an order to score in: score by left_to_right")
        if policy.kind == "left_to_right":
            scores = self._score_left_to_right(session, request, cancelled)
        else:
            generator = torch.Generator().manual_seed(request.seed)
            scores = []
            for gap, text in zip(request.gaps, request.texts, strict=True):
                window = session.window_at((gap,), cancelled)
                scores.append(
                    score_in_orders(window, self._vocabulary, text, policy, request.orders, generator, cancelled)
                )
        self._evict()
        return Score(tuple(scores), (time.monotonic() - started) * 1000)

    def _score_left_to_right(
        self, session: Session, request: ScoreRequest, cancelled: Callable[[], bool]
    ) -> list[GapScore]:
        scorer = PackedScorer(self._parts, self._vocabulary, session.path, request.as_text)
        packed: list[GapScore | None] = [None] * len(request.gaps)
        fills_by_markers = self._parts.fim is not None  # then each gap has an order of its own, and none is shared
        if request.as_text if fills_by_markers else len(request.gaps) > 1:
            packed = scorer.score(session.readable, request.gaps, request.texts, cancelled)
        self._rows_computed += scorer.rows_computed
        if fills_by_markers:
            return self._score_by_markers(session, request, packed, cancelled)
        return [
            score or self._score_alone(session.window_at((gap,), cancelled), text, request.as_text)
            for score, gap, text in zip(packed, request.gaps, request.texts, strict=True)
        ]

    def _score_by_markers(
        self,
        session: Session,
        request: ScoreRequest,
        read_on: Sequence[GapScore | None],
        cancelled: Callable[[], bool],
    ) -> list[GapScore]:
        """Score each gap in its own order; `read_on` are scores by rows that know no gap, as far as there are any."""
        scores = []
        for gap, text, as_text in zip(request.gaps, request.texts, read_on, strict=True):
            score = score_left_to_right(session.window_at((gap,), cancelled), self._vocabulary, text)
            if request.as_text:
                as_text = as_text or score_left_to_right(session.window_before(gap), self._vocabulary, text)
                score = replace(score, as_text=as_text.tokens)
            scores.append(score)
        return scores

    def _score_alone(self, window: Window, text: str, as_text: bool) -> GapScore:
        score = score_left_to_right(window, self._vocabulary, text)
        if not as_text:
            return score
        knows_gaps = self._parts.capabilities.adapted  # others read on, whatever they are asked
        return replace(score, as_text=score_as_text(window, self._vocabulary, text) if knows_gaps else score.tokens)

    def idle_slice(self) -> bool:
        """Do one slice of at most about 64 rows for the file used last; return whether there may be more to do.

        It is shorter while infills are asked for, which wait for it. None is given up in its middle: who types without
        pause would never have the whole window read.
        """
        rows = self._idle_rows()
        for session in reversed(self._sessions.values()):
            before = session.rows_computed
            more = session.idle_slice(rows)
            self._rows_idle += session.rows_computed - before
            if more:
                self._evict()
                return True
        return False

    def stats(self) -> dict[str, int | float | str]:
        """Return counters since the start and what is held now."""
        return {
            "model": self._name,
            "precision": str(self._precision),
            "files": len(self._sessions),
            "cached_bytes": self._cached_bytes(),
            "island_bytes": self._parts.islands.bytes,
            "budget_bytes": self._budget_bytes,
            "evictions": self._evictions,
            "infills": self._infills,
            "forwards": self._forwards,
            "rows_computed": self._rows_computed,
            "rows_reused": self._rows_reused,
            "cancelled": self._cancelled,
            # Computed for infills that were withdrawn, or of which enough was there, in forwards that were not ended.
            "rows_cancelled": self._rows_cancelled,
            "rows_idle": self._rows_idle,  # computed ahead of need, islands not counted
            "cpu_ms": int(1000 * time.process_time()),  # of the whole process, all threads
        }

    # -- within -----------------------------------------------------------------------------

    def _idle_rows(self) -> int:
        if time.monotonic() - self._asked_at >= ASKED_SECONDS:
            return IDLE_SLICE_ROWS
        counts = (rows for rows in (IDLE_SLICE_ROWS, 32) if self._planner.forward_ms(rows) <= SHORT_IDLE_SLICE_MS)
        return next(counts, SHORT_IDLE_SLICE_ROWS)

    def _session(self, file_id: str) -> Session:
        session = self._sessions.get(file_id)
        if session is None:
            raise UnknownFileError("this file is not open: open it before editing it or asking for infills")
        self._sessions.move_to_end(file_id)
        return session

    def _checked(self, file_id: str, version: int, gaps: Sequence[Gap]) -> Session:
        session = self._session(file_id)
        if version != self._versions[file_id]:
            raise VersionError(f"asked about version {version} of a file that is at version {self._versions[file_id]}")
        check_gaps(gaps, len(session.text))
        return session

    def _cached_bytes(self) -> int:
        return sum(session.cached_bytes for session in self._sessions.values())

    def _evict(self) -> None:
        """Let go of the least recently used sessions' rows while all together hold more than the budget."""
        for session in list(self._sessions.values())[:-1]:
            if self._cached_bytes() <= self._budget_bytes:
                return
            if session.cached_bytes:
                session.evict()
                self._evictions += 1
