"""What the model would rather have written in a line, and whether it is sure enough to offer that as a fix.

The line is kept up to the piece that surprises most, and the model writes on from
there: asked for a whole line it mostly begins another statement. Knows findings
and the worker's infills; does not rank.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from lint.features import QUIET, FileWords, classes
from lint.records import ChangedFile, Finding
from model.api.client import WorkerClient
from model.api.policy import best_policy
from model.api.types import Gap, InfillRequest, Limits

MOST_TOKENS = 48  # of a line; longer infills are cut off, and then not told
# What is told is another version of the line: so much of its pieces is the same, else something else would begin there.
ALIKE = 0.5
# A fix changes one place and closes what it opens; the model gives what it wrote at least this probability, and what
# stands there so many nats less.
# docs/lint-evaluation.md says how often that is the right line.
FIX_LOGPROB = -1.0
FIX_GAIN = 6.0
_WORD = re.compile(r"\w+")
_PIECE = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class ExpectedLine:
    """A line that the model wrote on itself. `gain` is how much likelier it is than what stands there, both in nats."""

    text: str
    stands: str
    logprob: float
    gain: float

    @property
    def is_version(self) -> bool:
        """Whether it is a version of the line that stands there, and no other statement."""
        return _changes(self.stands, self.text).ratio() >= ALIKE

    @property
    def changes_one_place(self) -> bool:
        return sum(tag != "equal" for tag, *_ in _changes(self.stands, self.text).get_opcodes()) == 1

    @property
    def is_fix(self) -> bool:
        """Whether the model is sure enough of the line to offer it as a fix."""
        is_sure = self.logprob >= FIX_LOGPROB and self.gain >= FIX_GAIN
        return is_sure and self.is_version and self.changes_one_place and _shape(self.text) == _shape(self.stands)


async def with_expected(client: WorkerClient, file: ChangedFile, finding: Finding) -> Finding:
    """Return `finding` about a line with what the model expected there; as it is where the model expects nothing else.

    Errors as for `WorkerClient.infill`. The same file, finding and worker give the same answer.
    """
    expected = await expected_line(client, file, finding)
    if expected is None or not expected.is_version:
        return finding
    return replace(finding, expected=expected.text, is_fix=expected.is_fix)


async def expected_line(client: WorkerClient, file: ChangedFile, finding: Finding) -> ExpectedLine | None:
    """Return the model's own version of the line of `finding`.

    None where it writes the same, but for what formatters change, or nothing
    whole, or where only a string or comment surprises, and for a model that does
    not see what stands behind.
    """
    column = _worst_column(file, finding)
    if column is None:
        return None
    description = await client.describe()
    if not description.sees_suffix:
        return None
    begin = sum(len(line) + 1 for line in file.text.split("\n")[: finding.span.line - 1])
    gap = Gap(begin + column, begin + finding.span.end_column)
    file_id = f"lint {file.path} {finding.span.line}"  # a session of its own: what another left would decide the answer
    client.open(file_id, file.path, file.text, version=1)
    try:
        limits = Limits(max_tokens=MOST_TOKENS, max_lines=1)
        request = InfillRequest(file_id, 1, (gap,), best_policy(1, adapted=description.adapted), limits=limits)
        (infill,) = (await client.infill(request)).gaps
    finally:
        client.close(file_id)
    line = file.lines[finding.span.line - 1]
    text = (line[finding.span.column : column] + infill.text).strip()
    stands = line[finding.span.column : finding.span.end_column]
    if infill.stop in ("tokens", "context") or _squeezed(text) in ("", _squeezed(stands)):
        return None
    logprob = sum(infill.logprobs)
    gain = logprob + sum(shade.surprise for shade in finding.shades if shade.end_column > column)
    return ExpectedLine(text, stands, logprob, gain)


def _worst_column(file: ChangedFile, finding: Finding) -> int | None:
    """Return where the word begins that surprises most, outside of strings and comments."""
    line = file.lines[finding.span.line - 1]
    kinds = classes(line, FileWords.of(file.lines))
    loud = [shade for shade in finding.shades if kinds[shade.column] != QUIET]
    if not loud:
        return None
    worst = max(loud, key=lambda shade: shade.surprise)
    column = worst.column
    while column < worst.end_column - 1 and line[column].isspace():
        column += 1
    while column > finding.span.column and _WORD.fullmatch(line[column - 1 : column + 1]):
        column -= 1
    return column


def _changes(line: str, other: str) -> SequenceMatcher[str]:
    return SequenceMatcher(None, _PIECE.findall(line), _PIECE.findall(other), autojunk=False)


def _shape(line: str) -> tuple[list[int], str]:
    """Return how many brackets of each kind a line leaves open, and the mark that it ends with, if any."""
    opened = [line.count(opening) - line.count(closing) for opening, closing in ("()", "[]", "{}")]
    return opened, line[-1] if line[-1] in ";,:{}" else ""


def _squeezed(line: str) -> str:
    """Return a line without what formatters change: white space, kinds of quotes, commas and semicolons at its end."""
    return "".join(line.split()).replace("'", '"').rstrip(",;")
