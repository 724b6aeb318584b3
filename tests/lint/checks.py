"""One way to ask a rule: the file's text, with the lines of the change, and the findings as short strings."""

from __future__ import annotations

from lint.records import ChangedFile, Finding, split_lines
from lint.rules import RULES

CHECKS = {rule.id: check for rule, check in RULES}


def changed(path: str, text: str, before: str | None = None, added: frozenset[int] | None = None) -> ChangedFile:
    """A changed file. Without `added` its lines are all new where there is no `before`, else those it did not have."""
    if added is None:
        old = set() if before is None else set(split_lines(before))
        added = frozenset(number for number, line in enumerate(split_lines(text), 1) if line not in old)
    return ChangedFile(path, text, before, added, added)


def found(rule_id: str, file: ChangedFile) -> list[Finding]:
    """The findings of one rule."""
    return list(CHECKS[rule_id](file))


def lines_found(rule_id: str, path: str, text: str, before: str | None = None) -> list[int]:
    """The lines in which one rule finds something."""
    return [finding.span.line for finding in found(rule_id, changed(path, text, before))]
