"""Points against linear axes as SVG, so that a straight line looks straight."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from emoact.report.chart import ticks

WIDTH, HEIGHT = 860, 300
_TOP, _BOTTOM, _LEFT, _GAP, _RIGHT = 34, 52, 62, 84, 18


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One line in a pair of axes that begin at zero.

    Attributes:
        title: Above it.
        x_title: With its unit.
        y_title: With its unit.
        points: Of x and y.
    """

    title: str
    x_title: str
    y_title: str
    points: Sequence[tuple[float, float]]


def plain_chart(panels: Sequence[Panel], *, title: str) -> str:
    """Panels side by side on white paper.

    Args:
        panels: At least one.
        title: For whoever cannot see it.
    """
    width = (WIDTH - _LEFT - _RIGHT - _GAP * (len(panels) - 1)) / len(panels)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{html.escape(title)}" font-family="sans-serif" font-size="12" '
        'fill="#1f2937">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    for number, panel in enumerate(panels):
        parts += _panel(panel, _LEFT + number * (width + _GAP), width)
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel, left: float, width: float) -> Iterable[str]:
    bottom = HEIGHT - _BOTTOM
    x_most, y_most = (1.08 * max(values) for values in zip(*panel.points, strict=True))
    places = [
        (left + width * x / x_most, bottom - (bottom - _TOP) * y / y_most) for x, y in panel.points
    ]
    yield _words(left, _TOP - 14, panel.title, "start", bold=True)
    for tick in ticks(0.0, y_most):
        y = bottom - (bottom - _TOP) * tick / y_most
        yield f'<path d="M{left:.1f} {y:.1f}h{width:.1f}" stroke="#e5e7eb"/>'
        yield _words(left - 8, y + 4, f"{tick:,g}", "end")
    for tick in ticks(0.0, x_most, 4):
        x = left + width * tick / x_most
        yield f'<path d="M{x:.1f} {bottom}v5" stroke="#6b7280"/>'
        yield _words(x, bottom + 19, f"{tick:,g}", "middle")
    yield f'<path d="M{left:.1f} {bottom}h{width:.1f}" stroke="#6b7280"/>'
    yield _words(left + width / 2, bottom + 40, panel.x_title, "middle")
    middle = (_TOP + bottom) / 2
    yield (
        f'<text x="{left - 44:.1f}" y="{middle:.1f}" text-anchor="middle" '
        f'transform="rotate(-90 {left - 44:.1f} {middle:.1f})">{html.escape(panel.y_title)}</text>'
    )
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    yield f'<polyline points="{line}" fill="none" stroke="#0072b2" stroke-width="2"/>'
    for (x, y), (x_value, y_value) in zip(places, panel.points, strict=True):
        yield (
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#0072b2">'
            f"<title>{x_value:,g}: {y_value:,.3g}</title></circle>"
        )


def _words(x: float, y: float, text: str, anchor: str, *, bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{weight}>{html.escape(text)}</text>'
    )
