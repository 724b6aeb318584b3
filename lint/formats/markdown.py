"""A summary in Markdown, for a step of continuous integration or a comment: findings, and what was held back.

Every sign of a path or message that Markdown or HTML could take for its own is escaped.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from lint.formats.phrases import (
    NO_FINDINGS,
    count,
    counts_by_level,
    help_page,
    level_name,
    odds_sentence,
    scope_sentence,
)
from lint.records import Finding, Report
from model.api.visible_text import visible_line

_MOST_ROWS = 100
_MOST_CHAR = 500  # of a message: a step's summary may have a megabyte
_MARKS = re.compile(r"([!-/:-@\[-`{-~])")


def render_markdown(report: Report) -> str:
    """Return the summary."""
    return "".join(f"{line}\n" for line in _lines(report))


def _lines(report: Report) -> Iterator[str]:
    yield "### setfill lint"
    yield ""
    if report.findings:
        yield f"{count(len(report.findings), 'finding')}: {counts_by_level(report.findings)}."
    else:
        yield f"{NO_FINDINGS.capitalize()}."
    yield ""
    if report.findings:
        yield "| level | where | rule | what |"
        yield "|---|---|---|---|"
        yield from (_row(finding) for finding in report.findings[:_MOST_ROWS])
        yield ""
    if len(report.findings) > _MOST_ROWS:
        yield f"{len(report.findings) - _MOST_ROWS:,} more are in the full report."
        yield ""
    yield from _held_back(report)
    if any(finding.odds for finding in report.findings):
        yield (
            "The odds were measured on lines in which a fault was planted: of those that ranked like a line here, so "
            "many were the wrong one. Suspicious is all that a line can be called."
        )
        yield ""
    yield f"{_sentence(scope_sentence(report))}"
    if report.patch.notes:
        yield ""
        yield from (f"- {_text(note)}" for note in report.patch.notes[:_MOST_ROWS])


def _held_back(report: Report) -> Iterator[str]:
    if report.held_back:
        rules = Counter(finding.rule.id for finding in report.held_back)
        shown = ", ".join(f"{number:,} {rule}" for rule, number in rules.most_common())
        yield f"{count(len(report.held_back), 'finding')} more held back: {shown}."
        yield ""
    if report.suppressed:
        yield f"{report.suppressed:,} suppressed by comments, settings or the baseline."
        yield ""


def _row(finding: Finding) -> str:
    what = _text(finding.message)
    if finding.odds is not None:
        what += f" \\({odds_sentence(finding.odds)}\\)"
    rule = f"[{finding.rule.id}]({help_page(finding.rule)})"
    return f"| {level_name(finding.level)} | {_text(finding.path)}:{finding.span.line} | {rule} | {what} |"


def _text(text: str) -> str:
    """Any text as Markdown that shows it as it is, on one line."""
    cut = text if len(text) <= _MOST_CHAR else text[:_MOST_CHAR] + "…"
    return _MARKS.sub(r"\\\1", visible_line(cut))


def _sentence(text: str) -> str:
    return f"{_text(text[:1].upper() + text[1:])}."
