"""Reports for people: Markdown tables and one SVG plot out of what a run measured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from model.errors import InputError, cannot_read
from model.evaluation.comparison import MEASURES
from model.plots import COLOURS, picture

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 640, 400, 60, 130, 40, 50


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    """Write `path` (.json), and beside it a Markdown page, and for infilling a plot. Raises InputError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        plot = path.with_suffix(".svg")
        page = lines_page(report) if report["kind"] == "lines" else infilling_page(report, plot.name)
        path.with_suffix(".md").write_text(page, encoding="utf-8")
        if report["kind"] != "lines":
            plot.write_text(speed_quality_plot(report["summary"]), encoding="utf-8")
    except (OSError, UnicodeEncodeError) as error:
        raise InputError(f"cannot write {path}: {error}") from error


def read_report(path: Path) -> dict[str, Any]:
    """Return a report of `setfill eval infilling` or `setfill eval lines`. Raises InputError."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise cannot_read(path, error) from None
    except ValueError as error:
        raise InputError(f"{path} is not a report of setfill eval infilling or lines: {error}") from error
    if not isinstance(report, dict) or report.get("kind") not in MEASURES:
        raise InputError(f"{path} is not a report of setfill eval infilling or lines")
    return report


def infilling_page(report: Mapping[str, Any], plot: str) -> str:
    """Return the report as Markdown."""
    model, settings, summary = report["model"], report["settings"], report["summary"]
    data = report.get("data", {})
    lines = [
        f"# Infilling: {model['name']}",
        "",
        f"{settings['tasks']} gaps of {data.get('name', 'a task file')} (sha256 {data.get('sha256', '?')[:12]}), "
        f"{summary[0]['problems']} problems, {model['precision']}, greedy. "
        "In brackets: 95 % intervals, drawn by problem. Percentages but for tokens per forward.",
        "",
        *(f"- {note}" for note in report["notes"]),
        "",
        summary_table(summary),
        "",
        f"![Speed and quality by policy]({plot})",
        "",
        "`self`: the length is the infill's own. `gold`: the model is told how many tokens stood there.",
        "",
        "## By boundary",
        "",
        _table(
            ("policy", "length", "gap", "gaps", "exact match", "pass@1", "parses", "parses empty"),
            [
                (row["policy"], row["length"], kind, str(part["gaps"]), *_percentages(part))
                for row in summary
                for kind, part in row["by_boundary"].items()
            ],
        ),
    ]
    return "\n".join(lines) + "\n"


def lines_page(report: Mapping[str, Any]) -> str:
    """Return a report of `setfill eval lines` as Markdown."""
    model, settings, summary = report["model"], report["settings"], report["summary"]
    parts = [
        f"# Cut gaps: {model['name']}",
        f"{summary[0]['gaps']} gaps of {summary[0]['problems']} files, seed {settings['seed']}, {model['precision']}. "
        "In brackets: 95 % intervals, drawn by file. Percentages but for nats, tokens per forward and milliseconds.",
        "\n".join(f"- {note}" for note in report["notes"]),
        lines_table(summary),
        "## By language",
        _lines_parts(summary, "language"),
        "## By kind",
        _lines_parts(summary, "kind"),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def lines_table(summary: Sequence[Mapping[str, Any]]) -> str:
    """Return the measures of cut gaps by policy."""
    return _table(("policy", *_LINES_HEADS), [(row["policy"], *_lines_cells(row)) for row in summary])


_LINES_HEADS = (
    "gaps", "exact match", "characters right", "edit similarity", "parses", "parses empty", "nats/token",
    "tokens/forward", "ms/gap",
)  # fmt: skip


def _lines_parts(summary: Sequence[Mapping[str, Any]], name: str) -> str:
    rows = [(row["policy"], value, *_lines_cells(part)) for row in summary for value, part in row[f"by_{name}"].items()]
    return _table(("policy", name, *_LINES_HEADS), rows)


def _lines_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    shares = [row[name] for name in ("exact", "right_chars", "similarity", "parses", "empty_parses")]
    return (
        str(row["gaps"]),
        *(_number(share, 100, 1) if share else "" for share in shares),
        _number(row["nats_per_token"]) if row["nats_per_token"] else "",
        _number(row["tokens_per_forward"]),
        _number(row["ms"], digits=0),
    )


def summary_table(summary: Sequence[Mapping[str, Any]]) -> str:
    """Return the speed-quality table."""
    heads = ("policy", "length", "exact match", "pass@1", "parses", "parses empty", "tokens/forward", "ms/gap")
    rows = [
        (row["policy"], row["length"], *_percentages(row), _number(row["tokens_per_forward"]), f"{row['ms_median']:g}")
        for row in summary
    ]
    return _table(heads, rows)


def comparison_table(pairs: Sequence[Mapping[str, Any]]) -> str:
    """Return paired differences, in points but for nats, with the gaps at which either run has the greater value."""
    rows = []
    for pair in pairs:
        one, other = pair["policies"]
        names = one if one == other else f"{one}, then {other}"
        for measure in dict.fromkeys(name for measures in MEASURES.values() for name in measures if pair.get(name)):
            part = pair[measure]
            digits, factor = (3, 1) if measure == "nats" else (1, 100)
            value, low, high = (f"{factor * part[name]:+.{digits}f}" for name in ("value", "low", "high"))
            difference = f"{value} [{low}, {high}]"
            only = (str(part["only_first"]), str(part["only_second"]))
            rows.append((names, pair["length"], measure, str(pair["gaps"]), difference, *only))
    return _table(("policy", "length", "measure", "gaps", "second - first", "first greater", "second greater"), rows)


def speed_quality_plot(summary: Sequence[Mapping[str, Any]]) -> str:
    """Return pass@1 over tokens per forward as SVG, a point with its interval for each policy and length."""
    x_max = max(1.5, *(row["tokens_per_forward"]["high"] for row in summary)) * 1.05
    y_max = min(1.0, max(0.1, *(row["passed"]["high"] for row in summary)) * 1.1)
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def at_x(value: float) -> float:
        return _LEFT + value / x_max * width

    def at_y(value: float) -> float:
        return _TOP + (1 - value / y_max) * height

    parts = [f'<text x="{_LEFT}" y="22" font-weight="bold">pass@1 (%) over tokens per forward</text>']
    for step in range(6):
        x, y = x_max * step / 5, y_max * step / 5
        parts.append(f'<path d="M{_LEFT} {at_y(y):.1f}h{width}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{at_y(y) + 4:.1f}" text-anchor="end">{100 * y:.0f}</text>')
        parts.append(f'<text x="{at_x(x):.1f}" y="{_HEIGHT - 30}" text-anchor="middle">{x:.1f}</text>')
    for index, row in enumerate(summary):
        colour = COLOURS[index // 2 % len(COLOURS)]
        x, y, passed = at_x(row["tokens_per_forward"]["value"]), at_y(row["passed"]["value"]), row["passed"]
        parts.append(f'<path d="M{x:.1f} {at_y(passed["low"]):.1f}V{at_y(passed["high"]):.1f}" stroke="{colour}"/>')
        fill = colour if row["length"] == "self" else "white"
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" stroke="{colour}" fill="{fill}"/>')
        label, line = escape(f"{row['policy']}, {row['length']}"), _TOP + 14 * index
        parts.append(f'<circle cx="{_WIDTH - _RIGHT + 8}" cy="{line}" r="4" stroke="{colour}" fill="{fill}"/>')
        parts.append(f'<text x="{_WIDTH - _RIGHT + 16}" y="{line + 4}">{label}</text>')
    return picture(_WIDTH, _HEIGHT, parts)


def _percentages(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(_number(row[name], 100, 1) for name in ("exact", "passed", "parses", "empty_parses"))


def _number(estimate: Mapping[str, float], factor: float = 1, digits: int = 2) -> str:
    value, low, high = (f"{factor * estimate[name]:.{digits}f}" for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
