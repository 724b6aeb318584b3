"""Infilling benchmarks: fills the gap of every task, runs its tests, and sums up by policy and kind of length.

Two lengths are told apart. `self`: the model ends the infill, as in an editor.
`gold`: it is told how many tokens stood there, as in most published numbers.
"""

from __future__ import annotations

import ast
import statistics
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from model.api.policy import parse_policy
from model.api.types import Gap, InfillRequest, Limits
from model.checkpoint.record import Checkpoint
from model.checkpoint.tokenization import ByteTokenizer
from model.errors import InputError
from model.evaluation.answer_log import AnswerLog
from model.evaluation.sandbox import Outcome, Sandbox
from model.evaluation.statistics import Estimate, clustered_mean, clustered_ratio
from model.evaluation.tasks import Task
from model.network.linear import choose_precision
from model.sessions.seams import lay_out
from model.worker.engine import Engine

LENGTHS = ("self", "gold")
_FILE = "solution.py"  # what the model is told the file is called


@dataclass(frozen=True)
class Settings:
    """What to run. Policies that the model cannot follow are left out and noted."""

    policies: tuple[str, ...] = ("verified",)
    lengths: tuple[str, ...] = LENGTHS
    precision: str | None = None  # None: the one chosen for this machine
    max_tokens: int = 256  # an infill ends here at the latest, unless the gold length is more
    seed: int = 0  # of the intervals
    copies: bool = True  # as `InfillRequest` has it


@dataclass(frozen=True)
class Answer:
    """What one policy put into one gap."""

    task_id: str
    problem: str
    boundary: str
    policy: str
    length: str  # self or gold
    text: str
    stop: str
    tokens: int
    forwards: int
    ms: float
    exact: bool
    passed: bool
    ending: str  # of the tests
    parses: bool
    empty_parses: bool  # the same program with nothing in the gap


def evaluate(
    checkpoint: Checkpoint,
    tasks: Sequence[Task],
    sandbox: Sandbox,
    settings: Settings,
    progress: Callable[[int, int], None] = lambda done, total: None,
    log: Path | None = None,
) -> dict[str, Any]:
    """Return the report: settings, notes, a summary for each policy and length, and every answer.

    Answers are kept in `log` as they come, and those that an interrupted run left there are taken from it.
    """
    engine = Engine(checkpoint, *choose_precision(settings.precision))
    tokenizer = ByteTokenizer(checkpoint.tokenizer, checkpoint.config.vocab_size)
    policies, notes = usable_policies(settings.policies, engine.describe().adapted)
    one_line = not engine.describe().sees_suffix and all(task.is_single_line for task in tasks)
    notes += _notes(engine.describe().sees_suffix, one_line, sandbox.isolated)
    run = lru_cache(maxsize=None)(sandbox.run)
    facts = {
        "model": asdict(engine.describe()),
        "settings": asdict(settings) | {"policies": policies, "tasks": len(tasks), "isolated": sandbox.isolated},
    }
    with AnswerLog(log, facts | {"data": sha256(repr(tasks).encode()).hexdigest()}) as kept:
        answers = [Answer(**answer) for answer in kept.answers]
        done_before = {(answer.task_id, answer.policy, answer.length) for answer in answers}
        for done, task in enumerate(tasks):
            progress(done, len(tasks))
            asked = [(policy, length) for policy in policies for length in settings.lengths]
            asked = [each for each in asked if (task.task_id, *each) not in done_before]
            if not asked:
                continue
            with _open(engine, task):
                for policy, length in asked:
                    request = _request(task, policy, length, one_line, settings.max_tokens, tokenizer)
                    request = replace(request, copies=settings.copies)
                    answers.append(_answer(engine, task, request, length, one_line, run))
                    kept.add(asdict(answers[-1]))
    progress(len(tasks), len(tasks))
    return {
        "kind": "infilling",
        **facts,
        "notes": notes,
        "summary": summarise(answers, settings.seed),
        "answers": [asdict(answer) for answer in answers],
    }


def parses(text: str) -> bool:
    """Whether `text` is syntactically Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in what was generated
            ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def summarise(answers: Sequence[Answer], seed: int = 0) -> list[dict[str, Any]]:
    """Return rates with intervals for each policy and length, over all gaps and by boundary kind."""
    groups: dict[tuple[str, str], list[Answer]] = {}
    for answer in answers:
        groups.setdefault((answer.policy, answer.length), []).append(answer)
    return [
        {
            "policy": policy,
            "length": length,
            **_rates(group, seed),
            "tokens": sum(answer.tokens for answer in group),
            "forwards": sum(answer.forwards for answer in group),
            "ms_median": round(statistics.median(answer.ms for answer in group), 1),
            "stops": {stop: [a.stop for a in group].count(stop) for stop in sorted({a.stop for a in group})},
            "endings": {end: [a.ending for a in group].count(end) for end in sorted({a.ending for a in group})},
            "by_boundary": {
                kind: _rates([answer for answer in group if answer.boundary == kind], seed)
                for kind in sorted({answer.boundary for answer in group})
            },
        }
        for (policy, length), group in groups.items()
    ]


def _rates(group: Sequence[Answer], seed: int) -> dict[str, Any]:
    clusters = [answer.problem for answer in group]

    def rate(values: Sequence[float]) -> dict[str, float]:
        return rounded(clustered_mean(values, clusters, seed))

    tokens, forwards = [answer.tokens for answer in group], [answer.forwards for answer in group]
    return {
        "gaps": len(group),
        "problems": len(set(clusters)),
        "exact": rate([answer.exact for answer in group]),
        "passed": rate([answer.passed for answer in group]),
        "parses": rate([answer.parses for answer in group]),
        "empty_parses": rate([answer.empty_parses for answer in group]),
        "tokens_per_forward": rounded(clustered_ratio(tokens, forwards, clusters, seed)),
    }


def rounded(estimate: Estimate) -> dict[str, float]:
    """Return an estimate as reports have it."""
    return {name: round(value, 4) for name, value in asdict(estimate).items()}


# -- one gap ----------------------------------------------------------------------------------


@contextmanager
def _open(engine: Engine, task: Task) -> Iterator[None]:
    """The task's text with its gap open, in the engine, encoded beforehand: what is measured is decoding."""
    engine.open(_FILE, _FILE, task.prefix + task.suffix, 1)
    engine.prepare(_FILE, len(task.prefix))
    while engine.idle_slice():
        pass
    try:
        yield
    finally:
        engine.close(_FILE)


def _request(
    task: Task, policy: str, length: str, one_line: bool, max_tokens: int, tokenizer: ByteTokenizer
) -> InfillRequest:
    cursor = len(task.prefix)
    request = InfillRequest(
        _FILE, 1, (Gap(cursor, cursor),), policy, limits=Limits(max_tokens, 1 if one_line else None)
    )
    if length == "self":
        return request
    layout = lay_out(tokenizer, tokenizer.readable(task.prefix + task.suffix), [(cursor, cursor)])
    count = len(layout.gap_ids(tokenizer, 0, task.gold.rstrip("\n") if one_line else task.gold))
    return InfillRequest(_FILE, 1, request.gaps, policy, limits=Limits(max(count, max_tokens)), lengths_tok=(count,))


def _answer(
    engine: Engine, task: Task, request: InfillRequest, length: str, one_line: bool, run: Callable[[str], Outcome]
) -> Answer:
    infill = engine.infill(request)
    gap = infill.gaps[0]
    # An infill that ends after one line ends before the line break, which still belongs to the gap.
    ended = gap.text.endswith("\n") or not (one_line and task.gold.endswith("\n"))
    text = gap.text if ended else gap.text + "\n"
    program = task.program(text)
    readable = parses(task.prefix + text + task.suffix)
    outcome = run(program)
    return Answer(
        task.task_id, task.problem, str(task.boundary), request.policy, length, text, gap.stop, gap.tokens,
        infill.forwards, round(infill.ms, 1), text == task.gold, outcome.passed, str(outcome.ending), readable,
        parses(task.prefix + task.suffix),
    )  # fmt: skip


# -- what to say of a run -----------------------------------------------------------------------


def usable_policies(policies: Sequence[str], adapted: bool) -> tuple[list[str], list[str]]:
    """Return those that a model can follow which is adapted or not, and notes on the others. InputError for none."""
    usable = [policy for policy in policies if adapted or parse_policy(policy)[0].kind == "left_to_right"]
    left_out = [policy for policy in policies if policy not in usable]
    if not usable:
        raise InputError("this model is not adapted to infilling: it only knows left_to_right and verified")
    if not left_out:
        return usable, []
    return usable, [f"Left out, as the model is not adapted to infilling: {', '.join(left_out)}."]


def _notes(sees_suffix: bool, one_line: bool, isolated: bool) -> list[str]:
    found = []
    if not sees_suffix:
        found.append("The model is not adapted to infilling: it sees the text before the gap only.")
        if one_line:
            found.append(
                "Every infill ends after one line, because it was told to: the model did not choose its length."
            )
        else:
            found.append("Left to itself it goes on to the end of a file, or until it has used up its tokens.")
    if not isolated:
        found.append("The tests were run WITHOUT isolation.")
    return found
