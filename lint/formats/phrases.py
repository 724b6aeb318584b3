"""What several formats say in the same words: counts, odds, what was expected.

Odds come of a measurement, never of a single line: nothing here calls a line wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from lint.records import Finding, Level, Odds, Report, Rule

HOMEPAGE = "https://github.com/setfill/setfill"
NO_FINDINGS = "nothing found"
_DIGITS = 3  # of scores: the last bits are the machine's


def level_name(level: Level) -> str:
    """The level as SARIF and people write it: note, warning, error."""
    return level.name.lower()


def help_page(rule: Rule) -> str:
    """Where the rule is explained."""
    return f"{HOMEPAGE}/blob/main/docs/lint.md#{rule.id}"


def rounded(score: float) -> float:
    """A score as it is written."""
    return round(score, _DIGITS)


def told(finding: Finding) -> list[str]:
    """What a finding says where there is no room for an excerpt: lines, which may hold anything."""
    lines = [finding.message]
    if finding.expected is not None:
        lines += ["expected something like:", *finding.expected.split("\n")]
    if finding.odds is not None:
        lines.append(odds_sentence(finding.odds))
    return lines


def count(number: int, noun: str) -> str:
    """Return `1 finding`, `2 findings`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def odds_sentence(odds: Odds) -> str:
    """How often lines that ranked like this one were wrong."""
    return f"1 line in {round(max(1.0, odds.one_in)):,} ranked like this was wrong"


def counts_by_level(findings: Iterable[Finding]) -> str:
    """Return `1 error, 2 warnings`; levels that there are none of are left out."""
    counts = Counter(finding.level for finding in findings)
    return ", ".join(count(counts[level], level_name(level)) for level in sorted(counts, reverse=True))


def held_back_sentence(report: Report) -> str:
    """What is not shown and why; empty when all is."""
    parts = []
    if report.held_back:
        parts.append(f"{count(len(report.held_back), 'finding')} more held back ({counts_by_level(report.held_back)})")
    if report.suppressed:
        parts.append(f"{report.suppressed:,} suppressed by comments, settings or the baseline")
    return "; ".join(parts)


def scope_sentence(report: Report) -> str:
    """What was looked at, and with what."""
    files = count(len(report.patch.files), "file")
    if report.model is None:
        return f"looked at {files} without a model"
    return f"looked at {files} and scored {count(report.lines_scored, 'line')} with {report.model}"
