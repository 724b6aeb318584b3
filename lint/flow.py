"""From a patch to a report: who is asked, what counts, and in which order it is told.

Asks the rules about each file, keeps what is on wanted lines and not silenced, and
ranks it. The same patch and settings give the same report. Knows no diffs, no git
and no formats.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from lint.baseline import Baseline
from lint.records import ChangedFile, Check, Finding, Patch, Progress, Report, Rule
from lint.settings import Filter, Settings
from lint.suppressions import Suppression, suppressions_in
from lint.work_tree import shown_path
from model.api.client import WorkerClient

_EXPECTED_FINDINGS = 5  # of a patch: each costs a decode by beams


def wanted_lines(file: ChangedFile, lines: Filter) -> frozenset[int]:
    """Return the numbers of the lines that findings may begin on, or reach."""
    if lines is Filter.ADDED:
        return file.added
    if lines is Filter.DIFF_CONTEXT:
        return file.shown
    return frozenset(range(1, len(file.lines) + 1))


def lines_to_score(file: ChangedFile, lines: Filter) -> frozenset[int]:
    """Return the numbers of the lines that the model is asked about: the wanted ones that say something."""
    return frozenset(line for line in wanted_lines(file, lines) if file.lines[line - 1].strip())


@dataclass
class _Sieve:
    """What keeps findings of one file silent. `silenced` counts them."""

    file: ChangedFile
    lines: frozenset[int]
    suppressions: Sequence[Suppression]
    baseline: Baseline
    settings: Settings
    silenced: int = 0

    def pass_on(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        for finding in findings:
            level = self.settings.rules.get(finding.rule.id, finding.level)
            if level is None or not self._is_wanted(finding):
                continue
            if any(each.covers(finding) for each in self.suppressions) or self.baseline.take(finding, self.file):
                self.silenced += 1
            else:
                yield replace(finding, level=level)

    def _is_wanted(self, finding: Finding) -> bool:
        touched = range(finding.span.line, finding.span.end_line + 1)
        return finding.rule.is_unfiltered or any(line in self.lines for line in touched)


async def look(
    patch: Patch,
    settings: Settings,
    client: WorkerClient | None = None,
    progress: Progress = lambda lines: None,
    *,
    baseline: Baseline | None = None,
    model: str | None = None,
    may_see: Callable[[ChangedFile], bool] = lambda file: True,
) -> Report:
    """Return what rules find in a patch, those with the model only with a `client`, which runs `model`.

    `progress` is told of lines that the model has scored. The client is asked about
    those files only that it `may_see`. Errors of the client's as
    for its questions. Where the task is cancelled while the client is asked, the report
    `is_partial`: it has what was found until then, and what rules find without the model.
    """
    baseline = baseline or Baseline()
    findings: list[Finding] = []
    silenced = scored = to_score = 0
    is_partial = False
    notes = list(patch.notes)
    for file in patch.files:
        suppressions, note = _counting(file, settings)
        notes += [note] if note else []
        seen = replace(file, before=None) if settings.filter is Filter.ALL else file
        sieve = _Sieve(file, wanted_lines(file, settings.filter), suppressions, baseline, settings)
        found = [finding for check in _checks(settings) for finding in check(seen)]
        if client and may_see(file):
            lines = lines_to_score(file, settings.filter)
            to_score += len(lines)
            surprising = None if is_partial else await _unless_cancelled(_surprising(client, file, lines, progress))
            is_partial = surprising is None
            found += surprising or []
            scored += 0 if is_partial else len(lines)
        findings += sieve.pass_on(sorted(dict.fromkeys(found), key=_place))
        silenced += sieve.silenced
    findings.sort(key=lambda finding: (-finding.level, -finding.rank, *_place(finding)))
    most = settings.max_findings
    shown = findings[:most]
    if client and not is_partial:
        shown = await _unless_cancelled(_with_expected(client, patch, shown)) or shown
    if is_partial:
        notes.append(f"interrupted: {scored} of {to_score} lines were scored")
    return Report(
        replace(patch, notes=tuple(notes)),
        tuple(shown),
        held_back=tuple(findings[most:]),
        suppressed=silenced,
        model=model,
        lines_scored=scored,
        is_partial=is_partial,
    )


async def _unless_cancelled(asking: Awaitable[list[Finding]]) -> list[Finding] | None:
    """Return what is found, or None where this task is cancelled meanwhile: it goes on then, with what it has."""
    try:
        return await asking
    except asyncio.CancelledError:
        task = asyncio.current_task()
        assert task is not None
        task.uncancel()
        return None


def _checks(settings: Settings) -> Iterator[Check]:
    from lint.rules import RULES

    return (check for rule, check in RULES if settings.level_of(rule) is not None)


async def _surprising(
    client: WorkerClient, file: ChangedFile, lines: frozenset[int], progress: Progress
) -> list[Finding]:
    from lint.surprise import surprising_lines

    return await surprising_lines(client, file, lines, progress) if lines else []


async def _with_expected(client: WorkerClient, patch: Patch, findings: Sequence[Finding]) -> list[Finding]:
    """Return `findings`, the first few that came of asking the model with what it would have written there."""
    from lint.expected import with_expected

    files = {file.path: file for file in patch.files}
    asked = [finding for finding in findings if finding.rule.needs_model][:_EXPECTED_FINDINGS]
    return [
        await with_expected(client, files[finding.path], finding) if finding in asked else finding
        for finding in findings
    ]


def _counting(file: ChangedFile, settings: Settings) -> tuple[list[Suppression], str]:
    """Return the comments that may silence findings, and a note about those that may not: the patch added them."""
    every = suppressions_in(file)
    if settings.patch_suppressions:
        return list(every), ""
    counting = [each for each in every if each.line not in file.added]
    added = len(every) - len(counting)
    note = f"{shown_path(file.path)}: `setfill: ignore` in lines that the patch adds counts with --trust-patch only"
    return counting, note if added else ""


def _place(finding: Finding) -> tuple[str, int, int, str, str]:
    return finding.path, finding.span.line, finding.span.column, finding.rule.id, finding.message


def known_rules() -> tuple[Rule, ...]:
    """Return every rule there is, also those that need the model."""
    from lint.rules import all_rules

    return tuple(all_rules())
