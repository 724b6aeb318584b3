"""Another system's suggestions that programmers took or not, judged by the shipped chance. Never trained on."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from grammars import language_named, snapshot_of
from lsp_server.shaping import damage_of
from lsp_server.worth import Standard, Verdict, judged
from model.api.types import Gap, GapInfill, ScoreRequest
from model.evaluation.answer_log import AnswerLog
from model.worker.engine import Engine

_FILE = "write_code_here.py"  # what the programmers wrote in
_HEADER = f"#!/usr/bin/env python3\n# Path: {_FILE}\n"  # that the other system put above it
_PARSE_SECONDS = 5.0
_ANYTHING = Standard("eager", 0.0)


@dataclass(frozen=True)
class Decision:
    """A suggestion behind a text, and whether the user took it."""

    user: int
    before: str
    suggestion: str
    accepted: bool


def decisions(path: Path) -> list[Decision]:
    """Return the decisions in a file, in its order."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    return [
        Decision(each["user"], each["prompt"].removeprefix(_HEADER), each["suggestion"], each["accepted"])
        for each in records
    ]


def judged_decisions(engine: Engine, found: Sequence[Decision], path: Path) -> list[Verdict]:
    """Return a verdict on each suggestion as if the model had said it. Scores are kept in `path` as they come."""
    with AnswerLog(path, {"decisions": len(found)}) as kept:
        for number in range(len(kept.answers), len(found)):
            kept.add({"logprobs": _logprobs(engine, found[number])})
        scored = [tuple(answer["logprobs"]) for answer in kept.answers]
    return [_verdict(decision, logprobs) for decision, logprobs in zip(found, scored, strict=True)]


def _verdict(decision: Decision, logprobs: tuple[float, ...]) -> Verdict:
    python = language_named("python")
    assert python
    syntax = snapshot_of(decision.before, python, _PARSE_SECONDS)
    gap = Gap(len(decision.before), len(decision.before))
    said = GapInfill(gap, decision.suggestion, len(logprobs), logprobs, "eoi")
    return judged(said, damage_of(syntax, gap, decision.suggestion), _ANYTHING)


def _logprobs(engine: Engine, decision: Decision) -> list[float]:
    end = len(decision.before)
    engine.open(_FILE, _FILE, decision.before, 1)
    (score,) = engine.score(ScoreRequest(_FILE, 1, (Gap(end, end),), (decision.suggestion,))).gaps
    return [round(token.logprob, 4) for token in score.tokens]
