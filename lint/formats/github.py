"""Annotations of GitHub Actions: workflow commands, and a line for each finding that there is no annotation left for.

A step may make ten annotations of each kind, the runner drops the others without a word. A runner takes any line that
begins with two colons for a command, and `##[` anywhere in it; here only our own lines may do that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lint.formats.phrases import held_back_sentence, level_name, scope_sentence, told
from lint.records import Finding, Level, Report
from model.api.visible_text import visible, visible_line

MOST_OF_A_LEVEL = 10
_COMMANDS = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTE: "notice"}
_MESSAGE = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A", ":": "%3A", ",": "%2C"})


def render_github(report: Report) -> str:
    """Return the annotations, then what has none, then the summary."""
    return "".join(f"{line}\n" for line in _lines(report))


def _lines(report: Report) -> Iterator[str]:
    made: Counter[Level] = Counter()
    left: list[Finding] = []
    for finding in report.findings:
        if made[finding.level] < MOST_OF_A_LEVEL:
            made[finding.level] += 1
            yield _annotation(finding)
        else:
            left.append(finding)
    for finding in left:
        where = f"{finding.path}:{finding.span.line}"
        yield _plain(f"{level_name(finding.level)} in {where}: {finding.message} [{finding.rule.id}]")
    for sentence in (held_back_sentence(report), scope_sentence(report), *report.patch.notes):
        if sentence:
            yield _plain(f"setfill lint: {sentence}")


def _annotation(finding: Finding) -> str:
    span = finding.span
    properties = {"file": finding.path, "line": str(span.line), "endLine": str(span.end_line)}
    if span.line == span.end_line:
        properties |= {"col": str(span.column + 1), "endColumn": str(span.end_column + 1)}
    properties["title"] = f"setfill {finding.rule.id}"
    shown = ",".join(f"{name}={_escaped_property(value)}" for name, value in properties.items())
    # The runner keeps line feeds of a message that are escaped; each line is made visible by itself.
    message = "\n".join(visible_line(line) for line in told(finding))
    return f"::{_COMMANDS[finding.level]} {shown}::{_without_old_commands(message).translate(_MESSAGE)}"


def _escaped_property(value: str) -> str:
    """A path must stay the file's name: a line feed in it is escaped, not shown as a sign."""
    return visible(_without_old_commands(value).translate(_PROPERTY))


def _plain(text: str) -> str:
    return _without_old_commands(visible_line(text))


def _without_old_commands(text: str) -> str:
    return text.replace("##[", "## [")
