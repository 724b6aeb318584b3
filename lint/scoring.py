"""What the model says of the lines of a file, each seen as a gap between what stands before and behind it.

Knows lines and the worker's score requests; does not judge.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lint.records import ChangedFile
from model.api.client import WorkerClient
from model.api.types import Gap, GapScore, ScoreRequest, TokenScore

LONGEST_LINE_CHARS = 400  # longer ones are data or generated: a score of them costs much and says little
# Lines are compared with each other: so many at least, and so many unchanged ones of the file among them. More of
# either cost as much as changed lines, and tell no better (docs/lint-evaluation.md).
COMPARED_LINES, LEAST_SAMPLE = 24, 8
_REQUEST_LINES = 128  # lines of one request: progress is told, and a cancel heard, between requests


@dataclass(frozen=True)
class LineScore:
    """What the model says of one line.

    `column` is where the line's text begins, behind its indentation. `tokens`
    are those of the text, seen from both sides, and `starts` the columns at
    which they begin: what belongs to the indentation begins at `column`.
    `as_text` has the same tokens by rows that know nothing behind them.
    """

    line: int
    column: int
    starts: tuple[int, ...]
    tokens: tuple[TokenScore, ...]
    as_text: tuple[TokenScore, ...]
    stop_logprob: float | None


def is_scored(line: str) -> bool:
    """Whether the model is asked about a line: not if it is blank or too long."""
    return bool(line.strip()) and len(line) <= LONGEST_LINE_CHARS


def next_scored(lines: Sequence[str], line: int) -> int | None:
    """Return the number of the next line behind `line` that has a score, None if a line without one comes first."""
    for number in range(line + 1, len(lines) + 1):
        if lines[number - 1].strip():
            return number if is_scored(lines[number - 1]) else None
    return None


def sampled_lines(file: ChangedFile, wanted: frozenset[int]) -> frozenset[int]:
    """Return unchanged lines to compare `wanted` with: as many as `COMPARED_LINES` lacks, and those nearest to it.

    The nearest ones are most like it, and share its encoding.
    """
    most = max(LEAST_SAMPLE, COMPARED_LINES - len(wanted))
    changed = sorted(wanted | file.added)

    def distance(line: int) -> int:
        place = bisect_left(changed, line)
        return min((abs(line - other) for other in changed[max(0, place - 1) : place + 1]), default=0)

    others = [line for line, text in enumerate(file.lines, start=1) if is_scored(text) and distance(line)]
    return frozenset(sorted(others, key=lambda line: (distance(line), line))[:most])


async def score_lines(
    client: WorkerClient,
    file: ChangedFile,
    lines: Iterable[int],
    tell_scored: Callable[[list[int]], None] = lambda lines: None,
) -> dict[int, LineScore]:
    """Return the score of each of `lines` that is neither blank nor too long; `tell_scored` hears which have one.

    Errors as for `WorkerClient.score`.
    """
    gaps = _gaps(file.text, sorted(lines))
    file_id = f"lint {file.path}"
    client.open(file_id, file.path, file.text, version=1)
    try:
        scores: dict[int, LineScore] = {}
        for begin in range(0, len(gaps), _REQUEST_LINES):
            asked = gaps[begin : begin + _REQUEST_LINES]
            given = tuple(file.text[gap.start : gap.end] for _, _, gap in asked)
            request = ScoreRequest(file_id, 1, tuple(gap for _, _, gap in asked), given, as_text=True)
            answer = await client.score(request)
            for (number, column, _), text, score in zip(asked, given, answer.gaps, strict=True):
                scores[number] = _line_score(number, column, text, score)
            tell_scored([number for number, _, _ in asked])
        return scores
    finally:
        client.close(file_id)


def _gaps(text: str, lines: Sequence[int]) -> list[tuple[int, int, Gap]]:
    """Return (line, column, gap) of those of `lines` that are scored: from the first character that is no space."""
    raw, wanted = text.split("\n"), set(lines)
    found, start = [], 0
    for number, line in enumerate(raw, start=1):
        if number in wanted and is_scored(line):
            column = len(line) - len(line.lstrip())
            found.append((number, column, Gap(start + column, start + len(line.rstrip()))))
        start += len(line) + 1
    return found


def _line_score(line: int, column: int, text: str, score: GapScore) -> LineScore:
    """Return the score of a line's `text`, its tokens placed in the line.

    Tokens that are parts of a character stand for one character each, so that
    those behind it may be placed a little off; none is placed outside.
    """
    spelled = sum(len(token.text) for token in score.tokens)
    starts, begin = [], column + len(text) - spelled
    for token in score.tokens:
        starts.append(min(max(begin, column), column + len(text)))
        begin += len(token.text)
    return LineScore(line, column, tuple(starts), score.tokens, score.as_text, score.stop_logprob)
