"""What the model would rather have written in place of a line, and whether it is sure enough to offer that as a fix.

Knows findings and the worker's infills; does not rank.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from lint.records import ChangedFile, Finding
from model.api.client import WorkerClient
from model.api.policy import best_policy
from model.api.types import Gap, InfillRequest, Limits

MOST_TOKENS = 48  # of a line; longer infills are cut off, and then not told
# A fix is offered where the model gives its own line at least this probability, and the line that stands there so
# many nats less. docs/lint-evaluation.md says how often that is the right line.
FIX_LOGPROB = -1.5
FIX_GAIN = 6.0


@dataclass(frozen=True)
class ExpectedLine:
    """A line that the model wrote itself. `gain` is how much likelier it is than what stands there, both in nats."""

    text: str
    logprob: float
    gain: float

    @property
    def is_sure(self) -> bool:
        """Whether the model is sure enough of the line to offer it as a fix."""
        return self.logprob >= FIX_LOGPROB and self.gain >= FIX_GAIN


async def with_expected(client: WorkerClient, file: ChangedFile, finding: Finding) -> Finding:
    """Return `finding` about a line with what the model expected there; as it is where the model expects nothing else.

    Errors as for `WorkerClient.infill`. The same file, finding and worker give the same answer.
    """
    expected = await expected_line(client, file, finding)
    return replace(finding, expected=expected.text, is_fix=expected.is_sure) if expected else finding


async def expected_line(client: WorkerClient, file: ChangedFile, finding: Finding) -> ExpectedLine | None:
    """Return the model's own line for that of `finding`.

    None where it writes the same, but for what formatters change, or nothing
    whole, and for a model that does not see what stands behind.
    """
    if not (await client.describe()).infill:
        return None
    begin = sum(len(line) + 1 for line in file.text.split("\n")[: finding.span.line - 1])
    gap = Gap(begin + finding.span.column, begin + finding.span.end_column)
    file_id = f"lint {file.path} {finding.span.line}"  # a session of its own: what another left would decide the answer
    client.open(file_id, file.path, file.text, version=1)
    try:
        limits = Limits(max_tokens=MOST_TOKENS, max_lines=1)
        request = InfillRequest(file_id, 1, (gap,), best_policy(1, infill=True), limits=limits)
        (infill,) = (await client.infill(request)).gaps
    finally:
        client.close(file_id)
    text = infill.text.strip()
    if infill.stop in ("tokens", "context") or _squeezed(text) in ("", _squeezed(file.text[gap.start : gap.end])):
        return None
    logprob = sum(infill.logprobs)
    return ExpectedLine(text, logprob, logprob + sum(shade.surprise for shade in finding.shades))


def _squeezed(line: str) -> str:
    """Return a line without what formatters change: white space, kinds of quotes, commas and semicolons at its end."""
    return "".join(line.split()).replace("'", '"').rstrip(",;")
