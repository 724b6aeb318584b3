"""How often the line that the model would have written is the right one. Kept in a cache, as scores are."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.line_cases import ScoredCase
from lint.expected import FIX_GAIN, FIX_LOGPROB, ExpectedLine, expected_line
from lint.records import ChangedFile
from lint.surprise import LEAST_PROBABILITY, finding_of, probabilities
from model.api.client import WorkerClient

LOGPROBS, GAINS = (-1.0, -3.0, -99.0), (3.0, 6.0)  # rules that are compared


@dataclass(frozen=True)
class Asked:
    """The most suspicious line of a file, and what the model wrote instead: None where that was the same."""

    key: str
    line: int
    probability: float
    stands: str
    right: str | None  # None where the line is right, or where more than one line is wrong
    is_wrong: bool
    expected: str | None
    logprob: float = 0.0
    gain: float = 0.0

    @property
    def told(self) -> ExpectedLine | None:
        """What is told of it: a version of the line."""
        expected = ExpectedLine(self.expected or "", self.stands, self.logprob, self.gain)
        return expected if self.expected and expected.is_version else None

    @property
    def is_right(self) -> bool:
        return self.right is not None and self.told is not None and _same(self.right, self.told.text)


async def expected_lines(
    client: WorkerClient, cases: Sequence[ScoredCase], cache: Path, seconds: float | None
) -> AsyncIterator[Asked]:
    """Yield what the model would have written for the most suspicious line of each case."""
    known = {}
    if cache.is_file():
        known = {asked.key: asked for asked in (Asked(**json.loads(line)) for line in cache.read_text().splitlines())}
    begun = time.monotonic()
    for scored in cases:
        if scored.case.key in known:
            yield known[scored.case.key]
        elif seconds is None or time.monotonic() - begun < seconds:
            asked = await _ask(client, scored)
            with cache.open("a", encoding="utf-8") as output:
                output.write(json.dumps(asdict(asked)) + "\n")
            yield asked


async def _ask(client: WorkerClient, scored: ScoredCase) -> Asked:
    case = scored.case
    file = ChangedFile(case.path, case.text, None, frozenset(), frozenset())
    likely = probabilities(file, scored.scores)
    line = max(likely, key=lambda number: likely[number])
    expected = await expected_line(client, file, finding_of(file, scored.scores[line], likely[line]))
    asked = Asked(
        case.key, line, likely[line], file.lines[line - 1].strip(), case.right.get(line), line in case.kinds, None
    )
    if expected is None:
        return asked
    return Asked(**{**asdict(asked), "expected": expected.text, "logprob": expected.logprob, "gain": expected.gain})


def print_fixes(asked: Sequence[Asked]) -> None:
    """Print, for rules of different strictness, how many fixes they offer and how many are right."""
    asked = [each for each in asked if each.probability >= LEAST_PROBABILITY]
    print("| suspicious lines | of these wrong | another version told | of wrong lines | the right line |")
    print("|---|---|---|---|---|")
    _print_counts(f"{len(asked)} | {sum(each.is_wrong for each in asked)}", [each for each in asked if each.told])
    print("\n| least log-probability | least gain | fixes offered | on wrong lines | the right line |")
    print("|---|---|---|---|---|")
    for logprob in sorted({*LOGPROBS, FIX_LOGPROB}):
        for gain in sorted({*GAINS, FIX_GAIN}):
            sure = [each for each in asked if each.logprob >= logprob and each.gain >= gain]
            _print_counts(
                f"{logprob} | {gain}",
                [each for each in sure if each.told and replace(each.told, logprob=0.0, gain=99.0).is_fix],
            )


def _print_counts(of: str, asked: Sequence[Asked]) -> None:
    on_wrong, right = sum(each.is_wrong for each in asked), sum(each.is_right for each in asked)
    print(f"| {of} | {len(asked)} | {on_wrong} | {right} |")


def _same(line: str, other: str) -> bool:
    return "".join(line.split()) == "".join(other.split())
