"""Findings for programs: one JSON object, or one a line. docs/lint.md explains the fields.

Whatever is not ASCII is escaped, so that no terminal obeys what stands in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from lint.baseline import fingerprint
from lint.formats.columns import file_of
from lint.formats.phrases import level_name, rounded
from lint.records import Finding, Report

VERSION = 1
"""Counts up when a field changes its meaning or goes away."""


def render_json(report: Report) -> str:
    """Return the report as one object."""
    shown = {
        **_summary(report),
        "findings": [_finding(report, finding) for finding in report.findings],
        "held_back": [_finding(report, finding) for finding in report.held_back],
    }
    return json.dumps(shown, indent=2) + "\n"


def render_jsonl(report: Report) -> str:
    """Return one object a line: every finding that is shown, last the summary, which counts those held back."""
    return "".join(json.dumps(line) + "\n" for line in _lines(report))


def _lines(report: Report) -> Iterator[dict[str, Any]]:
    for finding in report.findings:
        yield {"type": "finding", **_finding(report, finding)}
    yield {"type": "summary", **_summary(report), "findings": len(report.findings), "held_back": len(report.held_back)}


def _summary(report: Report) -> dict[str, Any]:
    return {
        "version": VERSION,
        "model": report.model,
        "files": len(report.patch.files),
        "lines_scored": report.lines_scored,
        "suppressed": report.suppressed,
        "notes": list(report.patch.notes),
    }


def _finding(report: Report, finding: Finding) -> dict[str, Any]:
    span, file = finding.span, file_of(report, finding.path)
    return {
        "rule": finding.rule.id,
        "level": level_name(finding.level),
        "path": finding.path,
        "line": span.line,
        "column": span.column + 1,
        "end_line": span.end_line,
        "end_column": span.end_column + 1,
        "message": finding.message,
        "rank": rounded(finding.rank),
        "one_in": None if finding.odds is None else rounded(finding.odds.one_in),
        "expected": finding.expected,
        "is_fix": finding.is_fix,
        "shades": [
            {
                "line": shade.line,
                "column": shade.column + 1,
                "end_column": shade.end_column + 1,
                "surprise": rounded(shade.surprise),
            }
            for shade in finding.shades
        ],
        "fingerprint": None if file is None else fingerprint(finding, file),
    }
