"""Reviewdog's diagnostics, one JSON object a line. Columns are bytes of UTF-8, from 1, and ends stand behind."""

from __future__ import annotations

import json
from typing import Any

from lint.formats.columns import Lines, lines_of, utf8_columns
from lint.formats.phrases import HOMEPAGE, help_page, told
from lint.records import Finding, Level, Report
from model.api.visible_text import visible_line

_SEVERITIES = {Level.ERROR: "ERROR", Level.WARNING: "WARNING", Level.NOTE: "INFO"}


def render_rdjsonl(report: Report) -> str:
    """Return a diagnostic for each finding that is shown."""
    lines = lines_of(report)
    return "".join(json.dumps(_diagnostic(finding, lines)) + "\n" for finding in report.findings)


def _diagnostic(finding: Finding, lines: Lines) -> dict[str, Any]:
    start, end = utf8_columns(finding.span, lines, finding.path)
    range_ = {
        "start": {"line": finding.span.line, "column": start},
        "end": {"line": finding.span.end_line, "column": end},
    }
    diagnostic: dict[str, Any] = {
        "message": "\n".join(visible_line(line) for line in told(finding)),
        "location": {"path": finding.path, "range": range_},
        "severity": _SEVERITIES[finding.level],
        "source": {"name": "setfill", "url": HOMEPAGE},
        "code": {"value": finding.rule.id, "url": help_page(finding.rule)},
    }
    if finding.is_fix and finding.expected is not None:
        diagnostic["suggestions"] = [{"range": range_, "text": finding.expected}]
    return diagnostic
