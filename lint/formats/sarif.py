"""SARIF 2.1.0, which code scanning reads: https://docs.oasis-open.org/sarif/sarif/v2.1.0/.

Written by hand: of Python's libraries for it none that builds logs is kept up. Columns are UTF-16 units, SARIF's own
default, since not every reader asks `columnKind`. The tests check the result against the schema.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any
from urllib.parse import quote

from lint.baseline import fingerprint
from lint.formats.columns import Lines, file_of, lines_of, utf16_columns
from lint.formats.phrases import HOMEPAGE, help_page, level_name, odds_sentence, rounded, scope_sentence
from lint.records import Finding, Report, Rule, Span
from model.api.runtime import package_version
from model.api.visible_text import visible, visible_line

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_ROOT = "SRCROOT"
_SEVERITIES = {"error": "error", "warning": "warning", "note": "recommendation"}


def render_sarif(report: Report) -> str:
    """Return a log of one run."""
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(report)]}, indent=2) + "\n"


def _run(report: Report) -> dict[str, Any]:
    from lint.rules import all_rules

    rules = list(dict.fromkeys([*all_rules(), *(finding.rule for finding in report.findings)]))
    lines, seen = lines_of(report), Counter[str]()
    return {
        "tool": {
            "driver": {
                "name": "setfill",
                "informationUri": HOMEPAGE,
                "version": package_version(),
                "rules": [_rule(rule) for rule in rules],
            }
        },
        "columnKind": "utf16CodeUnits",
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The root of the repository."}}},
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": [
                    {"level": "note", "message": {"text": visible_line(note)}} for note in report.patch.notes
                ],
            }
        ],
        "results": [_result(report, finding, rules.index(finding.rule), lines, seen) for finding in report.findings],
        "properties": {
            "scope": scope_sentence(report),
            "heldBack": len(report.held_back),
            "suppressed": report.suppressed,
        },
    }


def _rule(rule: Rule) -> dict[str, Any]:
    level = level_name(rule.level)
    return {
        "id": rule.id,
        "name": "".join(word.capitalize() for word in rule.id.split("-")),
        "shortDescription": {"text": f"{rule.title}."},
        "fullDescription": {"text": f"{rule.title}. {rule.explanation}"},
        "help": {"text": rule.explanation, "markdown": rule.explanation},
        "helpUri": help_page(rule),
        "defaultConfiguration": {"level": level},
        "properties": {
            "precision": "low" if rule.needs_model else "high" if level == "error" else "medium",
            "problem.severity": _SEVERITIES[level],
            "tags": ["maintainability", "model" if rule.needs_model else "syntax"],
        },
    }


def _result(report: Report, finding: Finding, index: int, lines: Lines, seen: Counter[str]) -> dict[str, Any]:
    region = _region(finding.span, lines, finding.path)
    location = {"artifactLocation": _artifact(finding.path), "region": region}
    message = visible_line(finding.message) + "."
    if finding.expected is not None:
        message += f" Expected something like: `{visible(finding.expected)}`."
    if finding.odds is not None:
        message += f" {odds_sentence(finding.odds)}."
    result: dict[str, Any] = {
        "ruleId": finding.rule.id,
        "ruleIndex": index,
        "level": level_name(finding.level),
        "message": {"text": message},
        "locations": [{"physicalLocation": location}],
        "properties": {"rank": rounded(finding.rank)},
    }
    if finding.odds is not None:
        result["properties"]["oneIn"] = rounded(finding.odds.one_in)
    file = file_of(report, finding.path)
    if file is not None:
        known = fingerprint(finding, file)
        seen[known] += 1  # equal lines between equal neighbours are told apart by their order
        result["partialFingerprints"] = {"setfillLines/v1": f"{known}:{seen[known]}"}
    if finding.is_fix and finding.expected is not None:
        result["fixes"] = [_fix(finding, region)]
    return result


def _fix(finding: Finding, region: dict[str, int]) -> dict[str, Any]:
    replacement = {"deletedRegion": region, "insertedContent": {"text": finding.expected}}
    return {
        "description": {"text": "What the model would rather have written."},
        "artifactChanges": [{"artifactLocation": _artifact(finding.path), "replacements": [replacement]}],
    }


def _artifact(path: str) -> dict[str, str]:
    return {"uri": quote(path.encode("utf-8", "surrogateescape"), safe="/"), "uriBaseId": _ROOT}


def _region(span: Span, lines: Lines, path: str) -> dict[str, int]:
    start, end = utf16_columns(span, lines, path)
    return {"startLine": span.line, "startColumn": start, "endLine": span.end_line, "endColumn": end}
