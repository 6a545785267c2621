"""A chart as SVG: static, without a script, readable on light and on dark paper."""

from __future__ import annotations

import html
import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from emoact.numbers import significant
from emoact.report.chart import Chart, Line, Panel, Span, finite, log_ticks, ticks
from emoact.views.plots.theme import INK, EmotionStyle, emotion_styles

Item = TypeVar("Item")

_WIDTH = 940.0
_PLOT_HEIGHT = 240.0
_LEFT, _RIGHT, _GAP = 62.0, 12.0, 62.0
_TITLE, _BELOW = 26.0, 46.0
_LEGEND_LINE = 22.0
_MARK_EVERY = 14
_DASHES = {"solid": "", "dash": "7 4", "dot": "2 3"}
_FONT = (
    "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Hiragino Sans', "
    "'Yu Gothic', 'Noto Sans CJK JP', 'Noto Sans JP', sans-serif"
)


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """A panel's place on the paper and its scales."""

    left: float
    top: float
    width: float
    height: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    log: bool

    def x(self, value: float) -> float:
        low, high = self.x_range
        return self.left + self.width * (value - low) / (high - low)

    def y(self, value: float) -> float:
        low, high = (math.log10(v) if self.log else v for v in self.y_range)
        value = math.log10(value) if self.log else value
        return self.top + self.height * (1 - (value - low) / (high - low))

    def shows(self, value: float) -> bool:
        return math.isfinite(value) and (value > 0 or not self.log)


def draw(chart: Chart, *, name: str, order: Sequence[str] = ()) -> str:
    """The chart as one `svg` element.

    Args:
        chart: What to draw.
        name: Letters, digits and hyphens; unique among the charts of a page.
        order: Every label that colours are given out for; those of the chart by default.
    """
    identifier = f"chart-{name}"
    labels = [*order, *(line.style for line in chart.entries().values())]
    light, dark = emotion_styles(labels, "light"), emotion_styles(labels, "dark")
    classes = {label: f"c{number}" for number, label in enumerate(light)}
    legend, legend_height = _legend(chart, light, classes)
    top = legend_height + _TITLE
    height = top + _PLOT_HEIGHT + _BELOW
    ranges = [_y_range(panel, chart) for panel in chart.panels]
    if chart.share_y:
        ranges = [(min(low for low, _ in ranges), max(high for _, high in ranges))] * len(ranges)
    count = len(chart.panels)
    width = (_WIDTH - _LEFT - _RIGHT - _GAP * (count - 1)) / count
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" id="{identifier}" class="chart" role="img" '
        f'viewBox="0 0 {_WIDTH:g} {height:g}" aria-label="{html.escape(chart.title)}">',
        f"<style>{_style(identifier, light, dark, classes)}</style>",
        *legend,
    ]
    for number, (panel, y_range) in enumerate(zip(chart.panels, ranges, strict=True)):
        frame = _Frame(
            left=_LEFT + number * (width + _GAP),
            top=top,
            width=width,
            height=_PLOT_HEIGHT,
            x_range=_x_range(panel),
            y_range=y_range,
            log=chart.log,
        )
        parts += _panel(panel, chart, frame, light, classes, first=number == 0)
    parts.append("</svg>")
    return "\n".join(parts)


def _panel(
    panel: Panel,
    chart: Chart,
    frame: _Frame,
    styles: Mapping[str, EmotionStyle],
    classes: Mapping[str, str],
    *,
    first: bool,
) -> Iterable[str]:
    yield _words(frame.left, frame.top - 10, panel.title, "title")
    yield from _axes(chart, frame, first=first)
    for span in panel.spans:
        yield from _areas(span.x, span.low, span.high, frame, "null")
    for line in panel.lines:
        if line.low:
            yield from _areas(line.x, line.low, line.high, frame, f"band {classes[line.style]}")
    for line in panel.lines:
        yield from _path(line, frame, classes[line.style])
    for line in panel.lines:
        yield from _marks(line, chart, frame, styles[line.style].symbol, classes[line.style])


def _axes(chart: Chart, frame: _Frame, *, first: bool) -> Iterable[str]:
    bottom, right = frame.top + frame.height, frame.left + frame.width
    low, high = frame.y_range
    for tick in log_ticks(low, high) if chart.log else ticks(low, high):
        y = frame.y(tick)
        kind = "zero" if tick == 0 and low < 0 else "grid"
        yield f'<path class="{kind}" d="M{frame.left:.1f} {y:.1f}H{right:.1f}"/>'
        yield _words(frame.left - 7, y + 4, f"{tick:,.10g}", "tick", anchor="end")
    last = int(frame.x_range[1])
    step = next((step for step in (1, 2, 5, 10) if last / step <= 12), 20)
    yield f'<path class="axis" d="M{frame.left:.1f} {bottom:.1f}H{right:.1f}"/>'
    for layer in range(0, last + 1, step):
        x = frame.x(float(layer))
        yield f'<path class="axis" d="M{x:.1f} {bottom:.1f}v4"/>'
        yield _words(x, bottom + 18, str(layer), "tick", anchor="middle")
    middle = frame.left + frame.width / 2
    yield _words(middle, bottom + 38, chart.x_title, "label", anchor="middle")
    if first:
        x, y = 14.0, frame.top + frame.height / 2
        turned = f' transform="rotate(-90 {x:g} {y:.1f})"'
        yield _words(x, y, chart.y_title, "label", anchor="middle", extra=turned)


def _areas(
    x: Sequence[float], low: Sequence[float], high: Sequence[float], frame: _Frame, kind: str
) -> Iterable[str]:
    known = [
        (at, under, over)
        if frame.shows(under) and frame.shows(over) and math.isfinite(at)
        else None
        for at, under, over in zip(x, low, high, strict=True)
    ]
    for stretch in _stretches(known):
        there = [f"{frame.x(at):.1f} {frame.y(over):.1f}" for at, _, over in stretch]
        back = [f"{frame.x(at):.1f} {frame.y(under):.1f}" for at, under, _ in reversed(stretch)]
        yield f'<path class="{kind}" d="M{"L".join([*there, *back])}Z"/>'


def _path(line: Line, frame: _Frame, kind: str) -> Iterable[str]:
    points = [
        (frame.x(x), frame.y(y)) if frame.shows(y) else None
        for x, y in zip(line.x, line.y, strict=True)
    ]
    dash = _DASHES[line.dash]
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    for stretch in _stretches(points):
        steps = "L".join(f"{x:.1f} {y:.1f}" for x, y in stretch)
        yield f'<path class="line {kind}"{dashed} d="M{steps}"/>'


def _marks(line: Line, chart: Chart, frame: _Frame, symbol: str, kind: str) -> Iterable[str]:
    every = math.ceil(len(line.x) / _MARK_EVERY)
    for number, (at, value) in enumerate(zip(line.x, line.y, strict=True)):
        if not frame.shows(value):
            continue
        x, y = frame.x(at), frame.y(value)
        words = f"{line.name} · {chart.x_title} {at:g} · {significant(value)}"
        if line.low:
            words += f" ({significant(line.low[number])} – {significant(line.high[number])})"
        shape = shape_of(symbol, x, y) if number % every == 0 else ""
        mark = f'<path class="mark {kind}" d="{shape}"/>' if shape else ""
        # A larger target than the mark, so that the value is easy to ask for.
        target = f'<circle class="target" cx="{x:.1f}" cy="{y:.1f}" r="6"/>'
        yield f"<g><title>{_plain(words)}</title>{mark}{target}</g>"


def shape_of(symbol: str, x: float, y: float, size: float = 4.2) -> str:
    """The outline of a mark; symbols that have none of their own share the simple ones."""
    if symbol == "circle":
        return (
            f"M{x - size:.1f} {y:.1f}a{size} {size} 0 1 0 {2 * size} 0"
            f"a{size} {size} 0 1 0 {-2 * size} 0Z"
        )
    corners = {
        "triangle-up": ((0, -1.2), (1.1, 0.9), (-1.1, 0.9)),
        "square": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
        "diamond": ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
        "triangle-down": ((0, 1.2), (1.1, -0.9), (-1.1, -0.9)),
        "triangle-right": ((1.2, 0), (-0.9, 1.1), (-0.9, -1.1)),
        "triangle-left": ((-1.2, 0), (0.9, 1.1), (0.9, -1.1)),
        "hourglass": ((-1, -1.1), (1, -1.1), (-1, 1.1), (1, 1.1)),
        "bowtie": ((-1.1, -1), (1.1, 1), (1.1, -1), (-1.1, 1)),
        "pentagon": _regular(5),
        "hexagon": _regular(6),
        "star": _star(5),
        "star-square": _star(4),
        "x": _star(4, turn=math.pi / 4, inner=0.35),
        "cross": _star(4, inner=0.35),
    }.get(symbol, _regular(7))
    return "M" + "L".join(f"{x + size * dx:.1f} {y + size * dy:.1f}" for dx, dy in corners) + "Z"


def _regular(corners: int) -> tuple[tuple[float, float], ...]:
    turns = [2 * math.pi * corner / corners for corner in range(corners)]
    return tuple((1.1 * math.sin(turn), -1.1 * math.cos(turn)) for turn in turns)


def _star(points: int, *, turn: float = 0.0, inner: float = 0.5) -> tuple[tuple[float, float], ...]:
    found = []
    for corner in range(2 * points):
        reach = 1.35 * (inner if corner % 2 else 1.0)
        angle = turn + math.pi * corner / points
        found.append((reach * math.sin(angle), -reach * math.cos(angle)))
    return tuple(found)


def _legend(
    chart: Chart, styles: Mapping[str, EmotionStyle], classes: Mapping[str, str]
) -> tuple[list[str], float]:
    """Its elements and its height; entries go on to the next line where one is full."""
    spans = dict.fromkeys(span.name for panel in chart.panels for span in panel.spans)
    entries = chart.entries()
    parts, x, y = [], _LEFT, 14.0
    for name in [*entries, *spans]:
        needed = 34 + _text_width(name)
        if x > _LEFT and x + needed > _WIDTH - _RIGHT:
            x, y = _LEFT, y + _LEGEND_LINE
        if name in spans:
            parts.append(f'<rect class="null" x="{x:.1f}" y="{y - 5:.1f}" width="22" height="10"/>')
        else:
            style = entries[name].style
            dash = _DASHES[_dash_of(chart, name)]
            dashed = f' stroke-dasharray="{dash}"' if dash else ""
            parts.append(f'<path class="line {classes[style]}"{dashed} d="M{x:.1f} {y:.1f}h22"/>')
            shape = shape_of(styles[style].symbol, x + 11, y)
            parts.append(f'<path class="mark {classes[style]}" d="{shape}"/>')
        parts.append(_words(x + 28, y + 4, name, "legend"))
        x += needed + 14
    return parts, y + 14


def _dash_of(chart: Chart, name: str) -> str:
    """How all lines of a name are dashed, solid where they differ."""
    found = {line.dash for panel in chart.panels for line in panel.lines if line.name == name}
    return found.pop() if len(found) == 1 else "solid"


def _words(
    x: float, y: float, text: str, kind: str, *, anchor: str = "start", extra: str = ""
) -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{extra}>'
        f"{_plain(text)}</text>"
    )


def _plain(text: str) -> str:
    return html.escape(text, quote=False)


def _text_width(text: str) -> float:
    """About how wide a text of 13 pixels is; Chinese and Japanese letters are twice as wide."""
    return sum(13.0 if unicodedata.east_asian_width(c) in "WF" else 7.2 for c in text)


def _stretches(items: Sequence[Item | None]) -> Iterable[list[Item]]:
    stretch: list[Item] = []
    for item in [*items, None]:
        if item is not None:
            stretch.append(item)
        elif stretch:
            yield stretch
            stretch = []


def _x_range(panel: Panel) -> tuple[float, float]:
    last = max((x for line in panel.lines for x in line.x), default=1.0)
    return -0.3, max(last, 1.0) + 0.3


def _y_range(panel: Panel, chart: Chart) -> tuple[float, float]:
    areas: list[Line | Span] = [*panel.lines, *panel.spans]
    values = finite([y for line in panel.lines for y in line.y])
    values += finite([edge for area in areas for edge in (*area.low, *area.high)])
    if chart.log:
        values = [value for value in values if value > 0] or [1.0]
        low, high = min(values), max(values)
        return low / 1.15, high * 1.15
    values = values or [0.0, 1.0]
    low, high = min(values), max(values)
    if chart.zero:
        low, high = min(low, 0.0), max(high, 0.0)
    margin = 0.05 * ((high - low) or abs(high) or 1.0)
    return (low if low == 0 else low - margin), (high if high == 0 else high + margin)


def _style(
    identifier: str,
    light: Mapping[str, EmotionStyle],
    dark: Mapping[str, EmotionStyle],
    classes: Mapping[str, str],
) -> str:
    me = f"#{identifier}"
    fixed = (
        f"{me} text{{font:12px {_FONT}}}{me} .title{{font-size:13px;font-weight:600}}"
        f"{me} .legend,{me} .label{{font-size:13px}}"
        f"{me} .line{{fill:none;stroke-width:2;stroke-linejoin:round}}"
        f"{me} .mark,{me} .band{{stroke:none}}{me} .band{{opacity:.16}}"
        f"{me} .target{{fill:transparent}}{me} .null{{opacity:.22;stroke:none}}"
        f"{me} .grid,{me} .axis,{me} .zero{{fill:none;stroke-width:1}}"
    )
    shades = _shades(me, light, classes, scheme="light")
    night = _shades(me, dark, classes, scheme="dark")
    return f"{fixed}{shades}@media screen and (prefers-color-scheme:dark){{{night}}}"


def _shades(
    me: str, styles: Mapping[str, EmotionStyle], classes: Mapping[str, str], *, scheme: str
) -> str:
    ink = INK["dark" if scheme == "dark" else "light"]
    colours = "".join(
        f"{me} .line.{classes[name]}{{stroke:{style.colour}}}"
        f"{me} .mark.{classes[name]},{me} .band.{classes[name]}{{fill:{style.colour}}}"
        for name, style in styles.items()
    )
    return (
        f"{me} text{{fill:{ink.muted}}}{me} .title,{me} .legend{{fill:{ink.text}}}"
        f"{me} .grid{{stroke:{ink.grid}}}{me} .axis,{me} .zero{{stroke:{ink.axis}}}"
        f"{me} .null{{fill:{ink.muted}}}{colours}"
    )
