"""Line charts as SVG, and the frame of other pictures, without a plotting library. Knows numbers, not their meaning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

Points = Sequence[tuple[float, float]]

_WIDTH, _HEIGHT = 460, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 30, 34
# Okabe and Ito's colours, which colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999933")


@dataclass(frozen=True)
class Panel:
    """One chart: curves by name. `x_label` says what the horizontal axis counts."""

    title: str
    curves: Mapping[str, Points]
    x_label: str = "update"
    y_range: tuple[float, float] | None = None  # None: that of the points


def svg(panels: Sequence[Panel], columns: int = 2) -> str:
    """Return all panels in one SVG image."""
    rows = -(-len(panels) // columns)
    width, height = columns * _WIDTH, rows * _HEIGHT
    drawn = []
    for index, panel in enumerate(panels):
        x, y = index % columns * _WIDTH, index // columns * _HEIGHT
        drawn.append(f'<g transform="translate({x},{y})">{_panel(panel)}</g>')
    return picture(width, height, drawn)


def picture(width: int, height: int, parts: Iterable[str]) -> str:
    """Return SVG elements on white ground, as an image of so many pixels."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
        f'font-size="11"><rect width="{width}" height="{height}" fill="white"/>{"".join(parts)}</svg>\n'
    )


def _panel(panel: Panel) -> str:
    points = [point for curve in panel.curves.values() for point in curve]
    if not points:
        return f'<text x="{_LEFT}" y="20">{escape(panel.title)}: nothing yet</text>'
    x_low, x_high = min(x for x, _ in points), max(x for x, _ in points)
    y_low, y_high = panel.y_range or (min(y for _, y in points), max(y for _, y in points))
    x_high, y_high = max(x_high, x_low + 1e-9), max(y_high, y_low + 1e-9)
    plot_width, plot_height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def place(x: float, y: float) -> tuple[float, float]:
        inside = min(max(y, y_low), y_high)
        return (
            _LEFT + (x - x_low) / (x_high - x_low) * plot_width,
            _TOP + (y_high - inside) / (y_high - y_low) * plot_height,
        )

    parts = [f'<text x="{_LEFT}" y="16" font-weight="bold">{escape(panel.title)}</text>']
    parts.append(f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 4}" text-anchor="end">{escape(panel.x_label)}</text>')
    for step in range(5):
        y = y_low + (y_high - y_low) * step / 4
        _, at = place(x_low, y)
        parts.append(f'<path d="M{_LEFT} {at:.1f}H{_WIDTH - _RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 4}" y="{at + 4:.1f}" text-anchor="end">{y:.3g}</text>')
    for x, anchor in ((x_low, "start"), (x_high, "end")):
        parts.append(f'<text x="{place(x, y_low)[0]:.1f}" y="{_HEIGHT - 18}" text-anchor="{anchor}">{x:g}</text>')
    for index, (name, curve) in enumerate(panel.curves.items()):
        colour = COLOURS[index % len(COLOURS)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in curve))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.4"/>')
        x = _LEFT + 8 + index % 4 * 100
        y = _TOP + 12 + index // 4 * 14
        parts.append(f'<text x="{x}" y="{y}" fill="{colour}">{escape(name)}</text>')
    return "".join(parts)
