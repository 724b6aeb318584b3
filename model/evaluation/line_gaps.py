"""Gaps cut out of source files, filled: how near the infills come to what stood there, and what they cost.

There are no tests to pass, so what stood there is the only right answer. Knows engines and cut gaps; how syntax
errors are counted, and what else of the tree is shown, it is told.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from rapidfuzz.distance import Levenshtein

from model.api.policy import VERIFIED
from model.api.types import Infill, InfillRequest, Limits, ScoreRequest, Snippet
from model.checkpoint.record import Checkpoint
from model.evaluation.answer_log import AnswerLog
from model.evaluation.cutting import CutGap, GapKind
from model.evaluation.infilling import rounded, usable_policies
from model.evaluation.statistics import clustered_mean, clustered_ratio
from model.network.linear import choose_precision
from model.sessions.seams import common_prefix
from model.worker.engine import Engine

CountFlaws = Callable[[str, str], int | None]
"""Given a language and a text, how many syntax errors it has; None where that cannot be told."""
Show = Callable[[CutGap], Sequence[Snippet]]
"""Given a gap, what of the rest of its tree the model is shown, the most useful last."""

_LINE_LIMITS = Limits(max_tokens=64, max_lines=1)  # as an editor asks inside a line
_ONE_LINE = (GapKind.REST, GapKind.WORD, GapKind.JOINT)


@dataclass(frozen=True)
class LineSettings:
    """What to run. Policies that the model cannot follow are left out and noted."""

    policies: tuple[str, ...] = (VERIFIED,)
    precision: str | None = None  # None: the one chosen for this machine
    max_tokens: int = 160  # of a gap of whole lines
    seed: int = 0  # of the intervals; and what the gaps were cut with
    copies: bool = True  # as `InfillRequest` has it


@dataclass(frozen=True)
class LineAnswer:
    """What one policy put into one gap, or into two jointly."""

    task_id: str
    problem: str  # the file: results are clustered by it
    language: str
    kind: str
    policy: str
    length: str  # self: the model ends the infill
    golds: list[str]
    texts: list[str]
    stops: list[str]
    logprobs: list[list[float]]
    tokens: int
    forwards: int
    ms: float
    context_chars: int  # of other files, that the model was given
    exact: bool
    gold_chars: int
    right_chars: int  # of the golds, before the first that is wrong in each
    right_share: float  # of the golds' characters
    similarity: float  # 1 - edits over the longer text's length
    parses: bool | None  # no more syntax errors than with what stood there; None where that cannot be told
    empty_parses: bool | None  # the same with nothing in the gaps
    nats: float | None  # what stood there and its ending cost, read by the model; None of joint gaps
    nats_tokens: int


def evaluate_lines(
    checkpoint: Checkpoint,
    cuts: Sequence[CutGap],
    settings: LineSettings,
    count_flaws: CountFlaws,
    contexts: Mapping[str, Show] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    log: Path | None = None,
) -> dict[str, Any]:
    """Return the report: settings, notes, summaries by policy, and every answer.

    Each gap is filled with nothing else to be seen, then with each of `contexts`; then "verified" is "verified, NAME".
    Answers are kept in `log` as they come, and those that an interrupted run left there are taken from it.
    """
    engine = Engine(checkpoint, *choose_precision(settings.precision))
    adapted = engine.describe().adapted
    policies, notes = usable_policies(settings.policies, adapted)
    arms = [_Arm("", lambda cut: (), policies)] + [
        _Arm(f", {k}", show, policies) for k, show in (contexts or {}).items()
    ]
    labels = [label for arm in arms for label in arm.labels]
    facts = {
        "model": asdict(engine.describe()),
        "settings": asdict(settings) | {"policies": labels, "tasks": len(cuts)},
    }
    identity = sha256(repr([(cut.task_id, cut.ranges, cut.source.text) for cut in cuts]).encode()).hexdigest()
    with AnswerLog(log, facts | {"data": identity}) as kept:
        done_before = {(answer["task_id"], answer["policy"]) for answer in kept.answers}
        for done, cut in enumerate(cuts):
            progress(done, len(cuts))
            asked = [label for label in labels if (cut.task_id, label) not in done_before]
            if not asked:
                continue
            judge = _Judge(cut, count_flaws)
            with _open(engine, cut) as file_id:
                for arm in arms:
                    wanted = {label: policy for label, policy in arm.labels.items() if label in asked}
                    for answer in _answers(engine, file_id, judge, arm.show, wanted, settings) if wanted else ():
                        kept.add(asdict(answer))
        answers = [LineAnswer(**answer) for answer in kept.answers]
    progress(len(cuts), len(cuts))
    return {
        "kind": "lines",
        **facts,
        "notes": notes + _notes(cuts, adapted),
        "summary": summarise_lines(answers, settings.seed),
        "answers": [asdict(answer) for answer in answers],
    }


def summarise_lines(answers: Sequence[LineAnswer], seed: int = 0) -> list[dict[str, Any]]:
    """Return the measures with intervals for each policy, over all gaps, by kind and by language."""
    groups: dict[str, list[LineAnswer]] = {}
    for answer in answers:
        groups.setdefault(answer.policy, []).append(answer)

    def by(group: Sequence[LineAnswer], name: str) -> dict[str, Any]:
        values = sorted({getattr(answer, name) for answer in group})
        return {value: _measures([a for a in group if getattr(a, name) == value], seed) for value in values}

    return [
        {
            "policy": policy,
            **_measures(group, seed),
            "ms_median": round(statistics.median(answer.ms for answer in group), 1),
            "by_kind": by(group, "kind"),
            "by_language": by(group, "language"),
        }
        for policy, group in groups.items()
    ]


def _measures(group: Sequence[LineAnswer], seed: int) -> dict[str, Any]:
    def mean(pairs: Sequence[tuple[float | None, str]]) -> dict[str, float] | None:
        known = [(value, cluster) for value, cluster in pairs if value is not None]
        if not known:
            return None
        return rounded(clustered_mean([value for value, _ in known], [cluster for _, cluster in known], seed))

    def ratio(above: Sequence[float], below: Sequence[float]) -> dict[str, float]:
        return rounded(clustered_ratio(above, below, [answer.problem for answer in group], seed))

    scored = [answer for answer in group if answer.nats is not None]
    nats = None
    if scored:
        losses, tokens = [answer.nats or 0.0 for answer in scored], [answer.nats_tokens for answer in scored]
        nats = rounded(clustered_ratio(losses, tokens, [answer.problem for answer in scored], seed))
    return {
        "gaps": len(group),
        "problems": len({answer.problem for answer in group}),
        "exact": mean([(answer.exact, answer.problem) for answer in group]),
        "right_chars": ratio([a.right_chars for a in group], [a.gold_chars for a in group]),
        "similarity": mean([(answer.similarity, answer.problem) for answer in group]),
        "parses": mean([(answer.parses, answer.problem) for answer in group]),
        "empty_parses": mean([(answer.empty_parses, answer.problem) for answer in group]),
        "nats_per_token": nats,
        "tokens_per_forward": ratio([a.tokens for a in group], [a.forwards for a in group]),
        "ms": mean([(answer.ms, answer.problem) for answer in group]),
    }


# -- one gap ----------------------------------------------------------------------------------


class _Arm:
    """What is shown beside a gap, and what answers are called that have seen it, with their policies."""

    def __init__(self, suffix: str, show: Show, policies: Sequence[str]) -> None:
        self.show = show
        self.labels = {policy + suffix: policy for policy in policies}


@contextmanager
def _open(engine: Engine, cut: CutGap) -> Iterator[str]:
    """The text with its gaps open, in the engine."""
    engine.open(cut.task_id, cut.source.path, cut.text, 1)
    try:
        yield cut.task_id
    finally:
        engine.close(cut.task_id)


def _answers(
    engine: Engine, file_id: str, judge: _Judge, show: Show, wanted: Mapping[str, str], settings: LineSettings
) -> Iterator[LineAnswer]:
    """Yield an answer for each of `wanted`, encoded beforehand: what is measured is decoding."""
    cut, snippets = judge.cut, show(judge.cut)
    engine.set_context(file_id, snippets)
    engine.prepare(file_id, cut.cursors[0].start)
    while engine.idle_slice():
        pass
    nats = _nats(engine, file_id, cut)
    context_chars = sum(len(snippet.text) for snippet in snippets)
    for label, policy in wanted.items():
        infill = engine.infill(_request(file_id, cut, policy, settings, engine.describe().adapted))
        yield judge.answer(label, infill, nats, context_chars)


def _nats(engine: Engine, file_id: str, cut: CutGap) -> tuple[float | None, int]:
    """Return what the gold and its ending cost, and over how many tokens. Joint gaps would need each other's."""
    if cut.kind is GapKind.JOINT:
        return None, 0
    (score,) = engine.score(ScoreRequest(file_id, 1, cut.cursors, cut.golds)).gaps
    endings = 0 if score.stop_logprob is None else 1
    return round(-score.logprob - (score.stop_logprob or 0.0), 4), len(score.tokens) + endings


class _Judge:
    """Compares infills of one gap with what stood there."""

    def __init__(self, cut: CutGap, count_flaws: CountFlaws) -> None:
        self.cut, self._count_flaws = cut, count_flaws
        self._flaws = count_flaws(cut.source.language, cut.source.text)
        self._empty_parses = self._parses([""] * len(cut.ranges))

    def answer(self, label: str, infill: Infill, nats: tuple[float | None, int], context_chars: int) -> LineAnswer:
        """Return an infill as the report has it; `nats` are those of what stood there."""
        cut, golds = self.cut, self.cut.golds
        texts = [gap.text for gap in infill.gaps]
        if cut.kind is GapKind.LINE and infill.gaps[0].stop == "lines" and texts[0][-1:] != "\n":
            texts[0] += golds[0][len(golds[0].rstrip("\r\n")) :]  # it ends before the break, as it was told to
        right_chars = sum(common_prefix(text, gold) for text, gold in zip(texts, golds, strict=True))
        gold_chars = sum(map(len, golds))
        return LineAnswer(
            cut.task_id, cut.source.name, cut.source.language, cut.kind.value, label, "self", list(golds), texts,
            [gap.stop for gap in infill.gaps], [[round(value, 4) for value in gap.logprobs] for gap in infill.gaps],
            sum(gap.tokens for gap in infill.gaps), infill.forwards, round(infill.ms, 1), context_chars,
            tuple(texts) == golds, gold_chars, right_chars, round(right_chars / gold_chars, 4),
            round(_similarity(texts, golds), 4), self._parses(texts), self._empty_parses, *nats,
        )  # fmt: skip

    def _parses(self, infills: Sequence[str]) -> bool | None:
        flaws = None if self._flaws is None else self._count_flaws(self.cut.source.language, self.cut.filled(infills))
        return None if self._flaws is None or flaws is None else flaws <= self._flaws


def _similarity(texts: Sequence[str], golds: Sequence[str]) -> float:
    """Return 1 - edits over characters of the longer texts, over all gaps together."""
    pairs = list(zip(texts, golds, strict=True))
    longest = sum(max(len(text), len(gold)) for text, gold in pairs)
    return 1 - sum(Levenshtein.distance(text, gold) for text, gold in pairs) / max(1, longest)


def _request(file_id: str, cut: CutGap, policy: str, settings: LineSettings, adapted: bool) -> InfillRequest:
    one_line = cut.kind in _ONE_LINE or (cut.kind is GapKind.LINE and not adapted)
    limits = _LINE_LIMITS if one_line else Limits(settings.max_tokens)
    return InfillRequest(file_id, 1, cut.cursors, policy, limits=limits, copies=settings.copies)


def _notes(cuts: Sequence[CutGap], adapted: bool) -> list[str]:
    found = []
    if not adapted:
        found.append("The model is not adapted to infilling: it sees the text before the gap only.")
        if any(cut.kind is GapKind.LINE for cut in cuts):
            found.append("Infills of whole lines end after one line, because they were told to.")
    return found
