"""Findings for a person at a terminal: each with the lines around it, what surprised the model shaded.

Whatever comes from the code, a path or a message is made visible first, so that no terminal obeys it.
"""

from __future__ import annotations

from io import StringIO
from itertools import pairwise

from rich.cells import cell_len
from rich.console import Console
from rich.style import Style
from rich.text import Text

from lint.formats.phrases import (
    NO_FINDINGS,
    count,
    counts_by_level,
    held_back_sentence,
    level_name,
    odds_sentence,
    scope_sentence,
)
from lint.records import Finding, Level, Report, Shade
from model.api.visible_text import visible, visible_line

_CONTEXT_LINES = 1  # shown before and after
_MOST_LINES = 12  # of a finding's own
_MOST_CHAR = 200  # of a line
_LEVEL_STYLES = {Level.ERROR: "bold red", Level.WARNING: "bold yellow", Level.NOTE: "bold cyan"}
# From which surprise in nats a piece has which background: probabilities below 1/7, 1/55, 1/1000.
_SHADES = ((7.0, "on #8c2f1f"), (4.0, "on #6b3a1a"), (2.0, "on #4a3a1a"))


def render_text(report: Report, *, color: bool = False) -> str:
    """Return the report as text, with colours of a terminal where `color` is true."""
    written = StringIO()
    out = Console(
        file=written,
        force_terminal=color,
        color_system="truecolor" if color else None,
        no_color=None if color else True,
        highlight=False,
        soft_wrap=True,
        width=100,
        legacy_windows=False,
        _environ={},
    )
    lines = {file.path: file.lines for file in report.patch.files}
    for finding in report.findings:
        _print_finding(out, finding, lines.get(finding.path, ()), color)
        out.print()
    _print_end(out, report)
    return written.getvalue()


def _print_finding(out: Console, finding: Finding, lines: tuple[str, ...], color: bool) -> None:
    span = finding.span
    head = Text(f"{visible_line(finding.path)}:{span.line}:{span.column + 1}: ", style="bold")
    head.append(level_name(finding.level), style=_LEVEL_STYLES[finding.level])
    head.append(f": {visible_line(finding.message)} ", style="not bold")
    head.append(f"[{finding.rule.id}]", style="dim not bold")
    out.print(head)
    last = min(max(span.end_line, span.line), span.line + _MOST_LINES - 1)
    for number in range(max(1, span.line - _CONTEXT_LINES), min(last + _CONTEXT_LINES, len(lines)) + 1):
        is_own = span.line <= number <= last
        text = (
            _shown_line(finding, number, lines[number - 1], color) if is_own else Text(_cut(lines[number - 1]), "dim")
        )
        _print_line(out, f"{number:5} {'┃' if is_own and last > span.line else '│'}", text)
        if is_own and not color and last == span.line:
            _print_line(out, "      │", Text(_underline(finding, number, lines[number - 1])))
    if finding.expected is not None:
        expected = Text("expected something like: ", style="italic")
        for line in finding.expected.split("\n")[:_MOST_LINES]:
            _print_line(out, "      =", expected.append(_cut(line), style="not italic green"))
            expected = Text()
    if finding.odds is not None:
        _print_line(out, "      =", Text(odds_sentence(finding.odds), style="italic"))


def _print_line(out: Console, margin: str, text: Text) -> None:
    text.rstrip()
    out.print(Text.assemble((margin, "cyan"), " " if text else "", text))


def _shown_line(finding: Finding, number: int, line: str, color: bool) -> Text:
    """One of the finding's own lines: its pieces shaded, else the span underlined."""
    shades = [shade for shade in finding.shades if shade.line == number]
    if not color:
        return Text(_cut(line))
    start, end = _columns(finding, number, line)
    shown = Text()
    edges = {0, len(line), start, end, *(edge for shade in shades for edge in (shade.column, shade.end_column))}
    cuts = sorted({min(max(edge, 0), len(line), _MOST_CHAR) for edge in edges})
    for begin, stop in pairwise(cuts):
        is_within = start <= begin < end and finding.span.line == finding.span.end_line
        style = Style.parse(_background(shades, begin)) if shades else Style(underline=is_within)
        shown.append(visible(line[begin:stop]), style=style)
    return shown.append("…") if len(line) > _MOST_CHAR else shown


def _background(shades: list[Shade], column: int) -> str:
    surprise = max((shade.surprise for shade in shades if shade.column <= column < shade.end_column), default=0.0)
    return next((style for floor, style in _SHADES if surprise >= floor), "none")


def _underline(finding: Finding, number: int, line: str) -> str:
    """Signs under a line without colour: `^` for the span, `~` for what surprised within it."""
    start, end = _columns(finding, number, line)
    signs = [
        "^" if start <= column < max(end, start + 1) else " " for column in range(min(max(end, start + 1), _MOST_CHAR))
    ]
    for shade in finding.shades:
        if shade.line == number and shade.surprise >= _SHADES[-1][0]:
            signs[shade.column : shade.end_column] = "~" * len(signs[shade.column : shade.end_column])
    pieces = []
    for column, sign in enumerate(signs):
        character = line[column : column + 1]
        pieces.append("\t" if character == "\t" else sign * max(1, cell_len(visible(character))))
    return "".join(pieces).rstrip()


def _columns(finding: Finding, number: int, line: str) -> tuple[int, int]:
    """The columns of the span in one of its lines."""
    span = finding.span
    start = span.column if number == span.line else len(line) - len(line.lstrip())
    end = span.end_column if number == span.end_line else len(line.rstrip())
    return min(start, len(line)), min(max(start, end), len(line))


def _cut(line: str) -> str:
    return visible(line if len(line) <= _MOST_CHAR else line[:_MOST_CHAR] + "…")


def _print_end(out: Console, report: Report) -> None:
    if report.findings:
        out.print(Text(f"{count(len(report.findings), 'finding')}: {counts_by_level(report.findings)}", style="bold"))
    else:
        out.print(Text(NO_FINDINGS, style="bold green"))
    for sentence in (held_back_sentence(report), scope_sentence(report)):
        if sentence:
            out.print(Text(sentence, style="dim"))
    for note in report.patch.notes:
        out.print(Text(f"note: {visible_line(note)}", style="dim"))
