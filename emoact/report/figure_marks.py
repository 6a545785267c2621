"""Marks and axes of one panel of a `Chart`, drawn by matplotlib."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize, TwoSlopeNorm
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from emoact.numbers import significant
from emoact.views.chart import (
    Axis,
    Band,
    Box,
    Cells,
    Chart,
    Level,
    Line,
    Mark,
    Number,
    Panel,
    Points,
)
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
    """One figure in the making: its colours and the texts that its points show on hovering."""

    def __init__(self, chart: Chart, labels: Sequence[str], say: Callable[[str], str]) -> None:
        self.chart = chart
        self.say = say
        self.styles: Mapping[Scheme, Mapping[str, EmotionStyle]] = {
            "light": emotion_styles(labels, "light"),
            "dark": emotion_styles(labels, "dark"),
        }
        self.hovers: dict[str, list[str]] = {}

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


def draw_panel(panel: Panel, axes: Axes, drawing: Drawing) -> Any:
    """Marks and axes of one panel; its grid of colours where it has one."""
    grid = None
    for mark in panel.marks:
        drawn = _draw(mark, panel, axes, drawing)
        grid = drawn if drawn is not None else grid
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
        names = categories(panel, vertical=axis is axes.yaxis)
        _scale(axis, own, [drawing.say(name) for name in names])
    if grid is None:
        low, high = axes.get_ylim()
        if panel.y.scale == "linear" and low < 0 < high:
            axes.axhline(0.0, color=drawing.colour("axis"), linewidth=1, zorder=0.9)
        axes.grid(visible=True, axis="y", color=drawing.colour("grid"), linewidth=1)
    axes.set_xlabel(drawing.axis_title(panel.x), parse_math=False)
    return grid


def _draw(mark: Mark, panel: Panel, axes: Axes, drawing: Drawing) -> Any:
    colour = drawing.colour(getattr(mark, "colour", "text"))
    if isinstance(mark, Line):
        _draw_line(mark, panel, axes, drawing, colour)
    elif isinstance(mark, Band):
        low, high = _floats(mark.low), _floats(mark.high)
        alpha = 0.22 if mark.colour == "null" else 0.16
        seen = np.isfinite(low) & np.isfinite(high)
        xs = _placed(mark.x, panel, vertical=False)
        axes.fill_between(xs, low, high, where=list(seen), color=colour, alpha=alpha, linewidth=0)
    elif isinstance(mark, Level):
        axes.axhline(mark.at, color=colour, linestyle=DASHES[mark.dash], linewidth=1.2)
    elif isinstance(mark, Points):
        _draw_points(mark, panel, axes, drawing, colour)
    elif isinstance(mark, Box):
        place = categories(panel, vertical=True).index(mark.name)
        values = _floats(mark.values)
        dress = {"color": colour, "linewidth": 1.4}
        axes.boxplot(
            [values[np.isfinite(values)]],
            positions=[place],
            orientation="horizontal",
            widths=0.5,
            boxprops=dress,
            whiskerprops=dress,
            capprops=dress,
            medianprops={**dress, "linewidth": 2.2},
            flierprops={"markeredgecolor": colour, "marker": drawing.symbol(mark.symbol)},
        )
    else:
        return _draw_cells(mark, panel, axes)
    return None


def _draw_line(mark: Line, panel: Panel, axes: Axes, drawing: Drawing, colour: str) -> None:
    xs, ys = _placed(mark.x, panel, vertical=False), _floats(mark.y)
    names = [f"{x:g}" if isinstance(x, float) else str(x) for x in mark.x]
    axes.plot(xs, ys, color=colour, linewidth=mark.width, linestyle=DASHES[mark.dash])
    if mark.symbol is None:
        return
    # Markers at all layers of a deep model would hide the dashes; open ones say something.
    every = 1 if mark.filled else math.ceil(len(ys) / _MARKERS)
    kinds: dict[tuple[bool, bool], list[int]] = {}
    for at, y in enumerate(ys.tolist()):
        if math.isfinite(y) and _within(y, panel.y):
            filled = mark.filled[at] if mark.filled else True
            kinds.setdefault((filled, at % every == 0), []).append(at)
    for (filled, seen), shown in kinds.items():
        said = [
            _said(mark, drawing, at, f"{drawing.say(panel.x.title)} {names[at]}", y=ys[at])
            for at in shown
        ]
        size = (5.2 if filled else 4.2) if seen else 9.0
        places = [xs[at] for at in shown], ys[shown]
        _scatter(mark, axes, drawing, places, said, size=size, filled=filled, seen=seen)


def _draw_points(mark: Points, panel: Panel, axes: Axes, drawing: Drawing, colour: str) -> None:
    xs = _floats(_placed(mark.x, panel, vertical=False))
    ys = _floats(_placed(mark.y, panel, vertical=True))
    for (low, high), y in zip(mark.error, ys, strict=False):
        axes.plot(_floats([low, high]), [y, y], color=colour, linewidth=1.6)
    shown = [int(at) for at in np.flatnonzero(np.isfinite(xs) & np.isfinite(ys))]
    said = []
    for at in shown:
        text = mark.text[at] if mark.text else ""
        hover = mark.hovertexts[at].replace("<br>", " ") if mark.hovertexts else ""
        said.append(_said(mark, drawing, at, text, hover, x=xs[at], y=ys[at]))
        if text:
            axes.annotate(
                drawing.say(text),
                (xs[at], ys[at]),
                xytext=(6, 4),
                textcoords="offset points",
                color=drawing.colour("text"),
                fontsize=11,
                parse_math=False,
            )
    places = xs[shown], ys[shown]
    _scatter(mark, axes, drawing, places, said, size=mark.size - 1, filled=mark.filled)


def _said(
    mark: Line | Points, drawing: Drawing, at: int, *parts: str, y: float, x: float = math.nan
) -> str:
    """Text of one value on hovering: its name, these parts, and the words of its mark."""
    row = mark.data[at] if mark.data else ()
    hover = _filled_in(drawing.say(mark.hover), x=x, y=y, row=row)
    return " · ".join(part for part in (drawing.say(mark.name), *parts, hover) if part)


def _scatter(
    mark: Line | Points,
    axes: Axes,
    drawing: Drawing,
    places: tuple[Any, Any],
    said: list[str],
    *,
    size: float,
    filled: bool,
    seen: bool = True,
) -> None:
    """Markers that show a text on hovering; where they are not to be seen, the text alone."""
    if not said:
        return
    colour, group = drawing.colour(mark.colour), f"values{len(drawing.hovers)}"
    drawing.hovers[group] = said
    axes.plot(
        *places,
        linestyle="",
        marker=drawing.symbol(mark.symbol or ""),
        markersize=size,
        markerfacecolor=colour if filled else drawing.colour("page"),
        markeredgecolor=colour,
        markeredgewidth=1.1,
        alpha=None if seen else 0.0,
        gid=group,
    )


def _draw_cells(mark: Cells, panel: Panel, axes: Axes) -> Any:
    values = np.ma.masked_invalid([_floats(row) for row in mark.values])
    low, high = (0.0, 1.0) if not values.count() else (float(values.min()), float(values.max()))
    low, high = low if mark.low is None else mark.low, high if mark.high is None else mark.high
    norm: Normalize = Normalize(low, high)
    if mark.diverging:
        reach = max(abs(low), abs(high)) or 1.0
        norm = TwoSlopeNorm(0.0, -reach, reach)
    elif mark.log and high > low > 0:
        norm = LogNorm(low, high)
    colours = mpl.colormaps["RdBu_r" if mark.diverging else "viridis"].with_extremes(bad="#9a9a9a")
    xs, ys = _placed(mark.x, panel, vertical=False), _placed(mark.y, panel, vertical=True)
    edges = [np.array([*places, places[-1] + 1]) - 0.5 for places in (xs, ys)]
    grid = axes.pcolormesh(*edges, values, cmap=colours, norm=norm)
    for row, texts in enumerate(mark.text):
        for column, text in enumerate(texts):
            if text:
                shade = colours(norm(values[row, column]))
                bright = 0.3 * shade[0] + 0.59 * shade[1] + 0.11 * shade[2]
                # The cell keeps its colour on dark paper, so its text has to do so too.
                ink = "#101010" if bright > 0.55 else "#fefefe"
                axes.text(
                    xs[column],
                    ys[row],
                    text,
                    color=ink,
                    fontsize=12,
                    ha="center",
                    va="center",
                    parse_math=False,
                )
    return grid


def _scale(axis: Any, own: Axis, names: list[str]) -> None:
    """Scale, range and ticks of one axis of a panel."""
    vertical = axis.axis_name == "y"
    axes = axis.axes
    get, put = (axes.get_ylim, axes.set_ylim) if vertical else (axes.get_xlim, axes.set_xlim)
    if names:
        axis.set_major_locator(FixedLocator(list(range(len(names)))))
        slanted = not vertical and max(map(len, names)) > 3 and own.ticks
        axis.set_ticklabels(names, parse_math=False, rotation=60 if slanted else 0)
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


def categories(panel: Panel, *, vertical: bool) -> list[str]:
    """Names along an axis, as it says or in the order of the marks; empty for numbers."""
    axis = panel.y if vertical else panel.x
    if axis.ticks:
        return list(axis.ticks)
    if axis.scale != "category":
        return []
    found: list[str] = [*axis.categories]
    for mark in panel.marks:
        if isinstance(mark, Box) and vertical:
            found.append(mark.name)
        elif isinstance(mark, Cells):
            found += map(str, mark.y if vertical else mark.x)
        elif isinstance(mark, Line | Band | Points):
            found += map(str, mark.y if vertical and isinstance(mark, Points) else mark.x)
    return list(dict.fromkeys(found))


def _placed(values: Iterable[Any], panel: Panel, *, vertical: bool) -> list[float]:
    """Numbers of an axis, or the places of its names."""
    axis = panel.y if vertical else panel.x
    if axis.scale != "category" or axis.ticks:
        return [float(value) for value in _floats(values)]
    names = categories(panel, vertical=vertical)
    places = {name: float(at) for at, name in enumerate(names)}
    return [places[str(value)] for value in values]


def _filled_in(template: str, *, y: float, x: float = math.nan, row: Sequence[Any] = ()) -> str:
    """A plotly hover template with its values; the formats of d3 become three digits."""

    def value(found: re.Match[str]) -> str:
        column = re.fullmatch(r"customdata\[(\d+)\]", found[1])
        known: Mapping[str, Any] = {"x": x, "y": y, "hovertext": ""}
        got = row[int(column[1])] if column else known.get(found[1], "")
        if isinstance(got, str) or got is None:
            return got or "–"
        form = found[2] or ""
        return f"{got:.0%}" if form.endswith("%") else significant(got)

    return re.sub(r"%\{([^:}]+)(?::([^}]*))?\}", value, template)


def _floats(values: Iterable[Number | Any]) -> np.ndarray:
    return np.array([math.nan if v is None else float(v) for v in values], dtype=np.float64)


def _within(value: float, axis: Axis) -> bool:
    return axis.range is None or min(axis.range) <= value <= max(axis.range)
