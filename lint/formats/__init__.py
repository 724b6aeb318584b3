"""The forms that a report is written in. Each module knows one of them; none knows what is looked for."""

from __future__ import annotations

from collections.abc import Callable

from lint.formats.as_json import render_json, render_jsonl
from lint.formats.github import render_github
from lint.formats.markdown import render_markdown
from lint.formats.rdjsonl import render_rdjsonl
from lint.formats.sarif import render_sarif
from lint.formats.text import render_text
from lint.records import Report

_RENDERERS: dict[str, Callable[[Report], str]] = {
    "json": render_json,
    "jsonl": render_jsonl,
    "github": render_github,
    "sarif": render_sarif,
    "rdjsonl": render_rdjsonl,
    "markdown": render_markdown,
}
FORMATS: tuple[str, ...] = ("text", *_RENDERERS)
"""The names of the formats."""


def render(report: Report, format: str, *, color: bool = False) -> str:
    """Return the report in a format of `FORMATS`, ending with a line break. Only text has colour.

    Raises KeyError for a format that there is none of.
    """
    if format == "text":
        return render_text(report, color=color)
    return _RENDERERS[format](report)
