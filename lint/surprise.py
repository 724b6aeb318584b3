"""Lines that surprise the model, judged against the file's own: the rule that asks it.

A changed line is a gap: how likely is what stands there, between what stands
before and behind? It is ranked by that, and by what kind of line it is.
Suspicious is all that a line can be called here; whether it is wrong is for
people to say.
"""

from __future__ import annotations

from lint.features import FileWords, score_features
from lint.records import ChangedFile, Finding, Level, Progress, Rule, Shade, Span
from lint.scoring import LineScore, next_scored, sampled_lines, score_lines
from model.api.client import WorkerClient

SURPRISING_LINE = Rule(
    id="surprising-line",
    level=Level.NOTE,
    title="The model finds this line surprising between its neighbours",
    explanation=(
        "The model that fills gaps was asked how likely this line is, given what stands before and behind it. It finds "
        "others of its kind much likelier. That is no proof of anything: unusual code is often right."
    ),
    needs_model=True,
)
_LEAST_RANK = 4.0  # nats
_DIGITS = 3  # scores are rounded: the last bits are the machine's


async def surprising_lines(
    client: WorkerClient, file: ChangedFile, lines: frozenset[int], progress: Progress = lambda lines: None
) -> list[Finding]:
    """Return findings about those of `lines` (numbers) that surprise the model, ranked, the most surprising first.

    `progress` is told of every line of `lines`, also of those that are blank or
    too long to be asked about. Errors as for the client's questions.
    """
    told: set[int] = set()

    def tell(scored: list[int]) -> None:
        new = lines.intersection(scored) - told
        told.update(new)
        progress(len(new))

    following = {following for line in lines if (following := next_scored(file.lines, line))}
    asked = lines | following | sampled_lines(file, lines)
    scores = await score_lines(client, file, asked, tell)
    progress(len(lines - told))
    words = FileWords.of(file.lines)
    findings = []
    for number in sorted(lines & scores.keys()):
        score, behind = scores[number], scores.get(next_scored(file.lines, number) or 0)
        rank = score_features(file.lines[number - 1], score, behind, words)["loud_margin"]
        if rank >= _LEAST_RANK:
            findings.append(_finding(file, score, rank))
    return sorted(findings, key=lambda finding: (-finding.rank, finding.span.line))


def _finding(file: ChangedFile, score: LineScore, rank: float) -> Finding:
    line = file.lines[score.line - 1]
    span = Span(score.line, score.column, score.line, len(line.rstrip()))
    shades = _shades(score, span.end_column)
    worst = max(shades, key=lambda shade: shade.surprise)
    piece = line[worst.column : worst.end_column].strip()
    message = "This line is unlikely between its neighbours" + (f", most of all `{piece}`" if piece else "")
    return Finding(
        SURPRISING_LINE, file.path, span, message, SURPRISING_LINE.level, round(rank, _DIGITS), shades=shades
    )


def _shades(score: LineScore, end: int) -> tuple[Shade, ...]:
    """Return how surprising each piece of a line is; `end` is where its text ends."""
    ends = [*score.starts[1:], end]
    return tuple(
        Shade(score.line, start, stop, round(max(0.0, -token.logprob), _DIGITS))
        for start, stop, token in zip(score.starts, ends, score.tokens, strict=True)
        if stop > start
    )
