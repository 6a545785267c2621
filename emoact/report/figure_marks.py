"""Marks and axes of one panel of a `Chart`, drawn by matplotlib."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from emoact.views.chart import Axis, Band, Chart, Level, Line, Mark, Panel, Points, Values
from emoact.views.theme import INK, EmotionStyle, Scheme, emotion_styles

_MARKERS = 14
"""Markers of a line at most, where they say nothing."""
DASHES: Mapping[str, Any] = {
    "solid": "-",
    "dash": (0, (3.5, 2)),
    "dot": (0, (1, 1.5)),
    "dashdot": (0, (3.5, 1.5, 1, 1.5)),
    "longdashdot": (0, (5, 1.5, 1, 1.5)),
}
_SYMBOLS: Mapping[str, Any] = {
    "circle": "o",
    "triangle-up": "^",
    "square": "s",
    "diamond": "D",
    "diamond-tall": "d",
    "cross": "P",
    "star": "*",
    "pentagon": "p",
    "hexagon": "h",
    "triangle-down": "v",
    "x": "X",
    "bowtie": [(-1, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)],
    "hourglass": [(-1, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)],
    "star-square": (4, 1, 45),
    "triangle-right": ">",
    "triangle-left": "<",
}


class Drawing:
    """One figure in the making: its colours, its shapes and the language of its words."""

    def __init__(self, chart: Chart, labels: Sequence[str], say: Callable[[str], str]) -> None:
        self.chart = chart
        self.say = say
        self.styles: Mapping[Scheme, Mapping[str, EmotionStyle]] = {
            "light": emotion_styles(labels, "light"),
            "dark": emotion_styles(labels, "dark"),
        }

    def colour(self, role: str, scheme: Scheme = "light") -> str:
        """Hexadecimal colour of a role or an emotion."""
        if role.startswith("emotion:"):
            return self.styles[scheme][role.removeprefix("emotion:")].colour
        return str(getattr(INK[scheme], "muted" if role == "null" else role))

    def axis_title(self, axis: Axis) -> str:
        """Quantity and unit, and the scale where it is logarithmic."""
        scale = ", log scale" if axis.scale == "log" and axis.title else ""
        return self.say(axis.title) + self.say(scale)

    def symbol(self, name: str) -> Any:
        """Marker of a shape or of an emotion."""
        if name.startswith("emotion:"):
            name = self.styles["light"][name.removeprefix("emotion:")].symbol
        return _SYMBOLS.get(name.removesuffix("-open"), "o")

    def pairs(self) -> dict[str, str]:
        """Colour on dark paper of each colour on light paper."""
        emotions = [f"emotion:{label}" for label in self.styles["light"]]
        roles = ["text", "muted", "grid", "axis", "accent", "page", *emotions]
        return {self.colour(role): self.colour(role, "dark") for role in roles}


def draw_panel(panel: Panel, axes: Axes, drawing: Drawing) -> None:
    """Marks and axes of one panel."""
    for mark in panel.marks:
        _draw(mark, panel, axes, drawing)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(drawing.colour("axis"))
    axes.set_axisbelow(True)
    axes.tick_params(
        color=drawing.colour("axis"), labelcolor=drawing.colour("muted"), labelsize=12, length=4
    )
    for axis, own in ((axes.xaxis, panel.x), (axes.yaxis, panel.y)):
        axis.label.set(color=drawing.colour("muted"), fontsize=13)
        _scale(axis, own, [drawing.say(name) for name in own.ticks or own.categories])
    low, high = axes.get_ylim()
    if panel.y.scale == "linear" and low < 0 < high:
        axes.axhline(0.0, color=drawing.colour("axis"), linewidth=1, zorder=0.9)
    axes.grid(visible=True, axis="y", color=drawing.colour("grid"), linewidth=1)
    axes.set_xlabel(drawing.axis_title(panel.x), parse_math=False)


def _draw(mark: Mark, panel: Panel, axes: Axes, drawing: Drawing) -> None:
    if isinstance(mark, Line):
        _draw_line(mark, panel, axes, drawing)
    elif isinstance(mark, Points):
        _draw_points(mark, panel, axes, drawing)
    elif isinstance(mark, Band):
        low, high = (_placed(values, panel.y) for values in (mark.low, mark.high))
        axes.fill_between(
            _placed(mark.x, panel.x),
            low,
            high,
            where=list(np.isfinite(low) & np.isfinite(high)),
            color=drawing.colour(mark.colour),
            alpha=0.22 if mark.colour == "null" else 0.16,
            linewidth=0,
        )
    elif isinstance(mark, Level):
        colour = drawing.colour(mark.colour)
        axes.axhline(mark.at, color=colour, linestyle=DASHES[mark.dash], linewidth=1.2)


def _draw_line(mark: Line, panel: Panel, axes: Axes, drawing: Drawing) -> None:
    xs, ys = _placed(mark.x, panel.x), _placed(mark.y, panel.y)
    colour = drawing.colour(mark.colour)
    axes.plot(xs, ys, color=colour, linewidth=mark.width, linestyle=DASHES[mark.dash])
    if mark.symbol is None:
        return
    low, high = sorted(panel.y.range or (-math.inf, math.inf))
    shown = np.isfinite(ys) & (ys >= low) & (ys <= high)
    if mark.filled:
        filled = np.array(mark.filled, dtype=bool)
        _scatter(mark, axes, drawing, xs, ys, shown & ~filled, size=4.2, filled=False)
        shown &= filled
    else:
        # Markers at all layers of a deep model would hide the dashes.
        shown &= np.arange(len(ys)) % math.ceil(len(ys) / _MARKERS) == 0
    _scatter(mark, axes, drawing, xs, ys, shown, size=5.2)


def _draw_points(mark: Points, panel: Panel, axes: Axes, drawing: Drawing) -> None:
    xs, ys = _placed(mark.x, panel.x), _placed(mark.y, panel.y)
    for ends, y in zip(mark.error, ys, strict=False):
        colour = drawing.colour(mark.colour)
        axes.plot(_placed(ends, panel.x), [y, y], color=colour, linewidth=1.6)
    shown = np.isfinite(xs) & np.isfinite(ys)
    for x, y, text, drawn in zip(xs, ys, mark.text, shown, strict=False):
        if text and drawn:
            axes.annotate(
                drawing.say(text),
                (x, y),
                xytext=(6, 4),
                textcoords="offset points",
                color=drawing.colour("text"),
                fontsize=11,
                parse_math=False,
            )
    _scatter(mark, axes, drawing, xs, ys, shown, size=mark.size - 1, filled=mark.filled)


def _scatter(
    mark: Line | Points,
    axes: Axes,
    drawing: Drawing,
    xs: np.ndarray,
    ys: np.ndarray,
    shown: np.ndarray,
    *,
    size: float,
    filled: bool = True,
) -> None:
    """Markers at the values that are shown."""
    colour = drawing.colour(mark.colour)
    axes.plot(
        xs[shown],
        ys[shown],
        linestyle="",
        marker=drawing.symbol(mark.symbol or ""),
        markersize=size,
        markerfacecolor=colour if filled else drawing.colour("page"),
        markeredgecolor=colour,
        markeredgewidth=1.1,
    )


def _scale(axis: Any, own: Axis, names: list[str]) -> None:
    """Scale, range and ticks of one axis of a panel."""
    vertical = axis.axis_name == "y"
    axes = axis.axes
    get, put = (axes.get_ylim, axes.set_ylim) if vertical else (axes.get_xlim, axes.set_xlim)
    if names:
        axis.set_major_locator(FixedLocator(list(range(len(names)))))
        axis.set_ticklabels(names, parse_math=False)
        # Names run from left to right, and from top to bottom.
        ends = (-0.5, len(names) - 0.5)
        put(*(ends[::-1] if vertical and not own.ticks else ends))
    elif own.scale == "layer":
        bounds = axes.dataLim.intervaly if vertical else axes.dataLim.intervalx
        last = max(int(own.range[1] if own.range else bounds[1]), 1) if axes.has_data() else 1
        step = next((step for step in (1, 2, 5, 10) if last / step <= 12), 20)
        axis.set_major_locator(FixedLocator(list(range(0, last + 1, step))))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
        put(*(own.range or (min(bounds[0], -0.3), max(bounds[1], last + 0.3))))
    elif own.scale == "log":
        (axes.set_yscale if vertical else axes.set_xscale)("log")
        low, high = own.range or get()
        decades = math.log10(high / low) if high > low > 0 else 1.0
        steps = (1, 2, 5) if decades <= 1.8 else (1, 3) if decades <= 3.5 else (1,)
        axis.set_major_locator(LogLocator(subs=steps))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
        put(low, high)
    else:
        low, high = own.range or get()
        put(*((min(low, 0.0), max(high, 0.0)) if own.zero else (low, high)))
        percent = own.format.endswith("%")
        axis.set_major_formatter(
            FuncFormatter(lambda value, _: f"{value:.0%}" if percent else f"{value:,.10g}")
        )


def _placed(values: Values, axis: Axis) -> np.ndarray:
    """Numbers of an axis, or the places of its names."""
    if axis.scale == "category":
        values = [axis.categories.index(str(value)) for value in values]
    return np.array([math.nan if v is None else float(v) for v in values], dtype=np.float64)
