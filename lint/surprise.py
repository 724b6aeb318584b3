"""Lines that surprise the model, judged against the file's own: the rule that asks it.

A changed line is a gap: how likely is what stands there, between what stands
before and behind? A small classifier weighs that; it was fitted to planted
faults and gives odds. Suspicious is all that a line can be called here; whether
it is wrong is for people to say.
"""

from __future__ import annotations

from grammars import detect_language
from lint.classifier import line_classifier
from lint.features import line_features
from lint.records import ChangedFile, Finding, Level, Odds, Progress, Rule, Shade, Span
from lint.scoring import LineScore, next_scored, sampled_lines, score_lines
from model.api.client import WorkerClient

SURPRISING_LINE = Rule(
    id="surprising-line",
    level=Level.NOTE,
    title="The model finds this line surprising between its neighbours",
    explanation=(
        "The model that fills gaps was asked how likely this line is, given what stands before and behind it, and "
        "finds it less likely than other lines of the file. The odds say how often lines that surprised it as much "
        "were wrong, among lines of which one in 25 was: they were measured on faults planted in real code. That is "
        "no proof of anything: unusual code is often right."
    ),
    needs_model=True,
)
LEAST_PROBABILITY = 0.15  # of being wrong, for a line to be told: about one right line in 20 has as much
_DATA = frozenset({"json", "yaml", "toml", "html", "css"})  # languages in which nothing was measured, like prose
_DIGITS = 3  # scores are rounded: the last bits are the machine's


async def surprising_lines(
    client: WorkerClient, file: ChangedFile, lines: frozenset[int], progress: Progress = lambda lines: None
) -> list[Finding]:
    """Return findings about those of `lines` (numbers) that surprise the model, the most suspicious first.

    `progress` is told of every line of `lines`, also of those that are blank or
    too long to be asked about. Of files that are no code nothing is said.
    Errors as for the client's questions.
    """
    if not _is_code(file):
        progress(len(lines))
        return []
    told: set[int] = set()

    def tell(scored: list[int]) -> None:
        new = lines.intersection(scored) - told
        told.update(new)
        progress(len(new))

    following = {following for line in lines if (following := next_scored(file.lines, line))}
    asked = lines | following | sampled_lines(file, lines)
    scores = await score_lines(client, file, asked, tell)
    progress(len(lines - told))
    findings = [
        finding_of(file, scores[line], probability)
        for line, probability in probabilities(file, scores).items()
        if line in lines and probability >= LEAST_PROBABILITY
    ]
    return sorted(findings, key=lambda finding: (-finding.rank, finding.span.line))


def probabilities(file: ChangedFile, scores: dict[int, LineScore]) -> dict[int, float]:
    """Return how often lines like each of those scored were wrong, by number; they are compared with each other."""
    classifier = line_classifier()
    text, surprise = line_features(file.lines, scores)
    found = classifier.scores([text[line] | surprise[line] for line in text])
    return {line: classifier.probability(score) for line, score in zip(text, found, strict=True)}


def _is_code(file: ChangedFile) -> bool:
    language = detect_language(file.path, text=file.text)
    return language.has_syntax and language.name not in _DATA


def finding_of(file: ChangedFile, score: LineScore, probability: float) -> Finding:
    """Return the finding about a line that is wrong with `probability`."""
    line = file.lines[score.line - 1]
    span = Span(score.line, score.column, score.line, len(line.rstrip()))
    shades = _shades(score, span.end_column)
    worst = max(shades, key=lambda shade: shade.surprise)
    piece = line[worst.column : worst.end_column].strip()
    return Finding(
        SURPRISING_LINE,
        file.path,
        span,
        "This line is unlikely between its neighbours" + (f", most of all `{piece}`" if piece else ""),
        SURPRISING_LINE.level,
        rank=round(probability, _DIGITS),
        odds=Odds(round(1 / probability, 1)),
        shades=shades,
    )


def _shades(score: LineScore, end: int) -> tuple[Shade, ...]:
    """Return how surprising each piece of a line is; `end` is where its text ends."""
    ends = [*score.starts[1:], end]
    return tuple(
        Shade(score.line, start, stop, round(max(0.0, -token.logprob), _DIGITS))
        for start, stop, token in zip(score.starts, ends, score.tokens, strict=True)
        if stop > start
    )
