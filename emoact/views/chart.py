"""Charts as values: panels of marks, before a library draws them.

A view makes one `Chart`. Pages draw it with plotly, the report and papers with matplotlib. Colours
are roles, so that one chart serves light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from emoact.numbers import plural

Scale = Literal["linear", "log", "category", "layer"]
Dash = Literal["solid", "dash", "dot", "dashdot", "longdashdot"]
Colour = str
"""An emotion label as `emotion:<label>`, or a role, such as `text`, `muted`, `accent`, `null`."""

COLUMNS = 4
"""Panels side by side at most; more begin a new row."""

Number = float | int | None
Values = Iterable[Any]
"""A list, a column of a data frame or an array; NaN and None are missing."""


def of_emotion(label: str) -> Colour:
    """Colour of an emotion on every page."""
    return f"emotion:{label}"


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line over `x`; NaN and None leave a gap.

    Attributes:
        name: Legend and hover text.
        symbol: Marker at every value: `emotion:<label>` for that emotion's shape, a shape such as
            `circle`, or None.
        filled: One flag for each value; open markers are smaller. All filled when empty.
        hover: plotly hover template of one value; `%{customdata[i]}` names columns of `data`.
        data: One row for each value, for the hover.
        legend: List the name in the legend; lines with one name share an entry.
    """

    x: Values
    y: Values
    colour: Colour
    name: str = ""
    dash: Dash = "solid"
    width: float | int = 2.0
    symbol: str | None = None
    filled: Sequence[bool] = ()
    hover: str = "%{y:,.3~r}"
    data: Sequence[Sequence[Any]] = ()
    legend: bool = False


@dataclass(frozen=True, kw_only=True)
class Band:
    """The area between two bounds; gaps where either is missing. `null` is the grey of nulls."""

    x: Values
    low: Values
    high: Values
    colour: Colour
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Level:
    """A horizontal line across the panel, such as chance."""

    at: float | int
    colour: Colour = "muted"
    dash: Dash = "dot"


@dataclass(frozen=True, kw_only=True)
class Points:
    """Single points in two or three dimensions; `z` is empty in two.

    Attributes:
        symbol: `emotion:<label>` for that emotion's shape, or a shape such as `circle`.
        error: (low, high) bounds of horizontal intervals, empty without.
        text: One label for each point, empty without.
        hover: plotly hover template; `%{hovertext}` is the line of `hovertexts`.
        hovertexts: One text for each point; may hold line breaks (`<br>`), else `plain`.
        data: One row for each point, for hover and selection.
    """

    x: Values
    y: Values
    colour: Colour
    name: str = ""
    z: Sequence[Number] = ()
    symbol: str = "circle"
    size: float | int = 7.0
    filled: bool = True
    error: Sequence[tuple[Number, Number]] = ()
    text: Sequence[str] = ()
    hover: str = ""
    hovertexts: Sequence[str] = ()
    data: Sequence[Sequence[Any]] = ()
    legend: bool = False
    opacity: float | int = 0.85


@dataclass(frozen=True, kw_only=True)
class Cells:
    """A grid of values as colours; all grids of a chart share one colour bar.

    Attributes:
        values: `[row][column]`; NaN is a grey cell.
        diverging: Colours about 0 instead of from small to large.
        low: Value of the first colour; from the data when None.
        log: Colours by logarithm.
        title: Of the colour bar, with unit.
        text: Words to write into the cells of a diverging grid, empty without.
        hover: plotly hover template; `%{customdata[0]}` is the value, `%{customdata[1]}` its cell
            of `data`.
        data: One text for each cell, empty without.
    """

    values: Iterable[Values]
    x: Values
    y: Values
    title: str
    diverging: bool = False
    low: Number = None
    high: Number = None
    log: bool = False
    text: Sequence[Sequence[str]] = ()
    hover: str = "%{y}, %{x}: %{customdata[0]:.3f}"
    data: Sequence[Sequence[str]] = ()


@dataclass(frozen=True, kw_only=True)
class Box:
    """Horizontal box plot of one group: quartiles, whiskers to 1.5 interquartile ranges, points.

    Attributes:
        texts: One text for each value, for the hover.
    """

    values: Values
    name: str
    colour: Colour
    symbol: str = "circle"
    texts: Sequence[str] = ()


Mark = Line | Band | Level | Points | Cells | Box


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis of a panel.

    Attributes:
        scale: `layer` shows whole layers from 0; `category` names.
        range: First and last value; from the data when None.
        format: d3 format of the ticks, such as `.0%`.
        categories: Of a scale `category`, from left to right or from top to bottom.
        ticks: Words at whole positions 0, 1, 2, ... in place of numbers, such as tokens.
    """

    title: str = ""
    scale: Scale = "linear"
    range: tuple[float | int, float | int] | None = None
    format: str = ""
    zero: bool = False
    categories: Sequence[str] = ()
    ticks: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One pair of axes.

    Attributes:
        title: Plain text.
        lead: Bold words before the title.
        emotions: Labels with which the title begins, bold and each after its own marker.
        marks: Drawn in this order.
        z: Third axis; the panel is a cube where it is given.
    """

    marks: Sequence[Mark]
    title: str = ""
    lead: str = ""
    emotions: Sequence[str] = ()
    x: Axis = field(default_factory=Axis)
    y: Axis = field(default_factory=Axis)
    z: Axis | None = None


@dataclass(frozen=True, kw_only=True)
class Key:
    """An entry of the legend that explains a mark; a `symbol` ends in `-open` for an open one."""

    name: str
    kind: Literal["line", "marker", "band"]
    colour: Colour = "text"
    dash: Dash = "solid"
    symbol: str = ""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Rows of panels with one legend.

    Attributes:
        rows: Panels from left to right, top to bottom; a short row leaves places empty.
        key: Entries of the legend beside those of the lines that ask for one.
        share_y: The panels of a row have one vertical axis, named at the first.
        gap: Space between columns, as a share of the width.
        unified: One hover box for all lines at an `x`.
    """

    rows: Sequence[Sequence[Panel]]
    key: Sequence[Key] = ()
    heights: Sequence[int] = ()
    share_y: bool = True
    gap: float | int = 0.035
    unified: bool = True

    @property
    def solid(self) -> bool:
        """True with a third axis; points in three dimensions cannot be selected."""
        return any(panel.z is not None for row in self.rows for panel in row)

    @property
    def on_paper(self) -> bool:
        """True where a report draws it: grids of colours, boxes and cubes are for pages."""
        marks = (mark for row in self.rows for panel in row for mark in panel.marks)
        return not (self.solid or any(isinstance(mark, Cells | Box) for mark in marks))


def wrapped(panels: Sequence[Panel], columns: int = COLUMNS) -> list[list[Panel]]:
    """The panels in rows of at most `columns`."""
    return [list(panels[start : start + columns]) for start in range(0, len(panels), columns)]


def span(
    *columns: Iterable[Any], at_least: tuple[float, float] | None = None
) -> tuple[float, float]:
    """Range of an axis that shows every finite value of these columns, with 6 % of room."""
    values = [float(v) for column in columns for v in column if v is not None and math.isfinite(v)]
    values += list(at_least or ())
    if not values:
        return (0.0, 1.0)
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return (low - room, high + room)


def beyond_one(x: Iterable[Any], y: Iterable[Any]) -> list[Points]:
    """A cross at 1 or -1 for every value beyond it, which no correlation can be."""
    far = [
        (float(a), float(b))
        for a, b in zip(x, y, strict=True)
        if b is not None and math.isfinite(b) and abs(b) > 1
    ]
    if not far:
        return []
    return [
        Points(
            x=[place for place, _ in far],
            y=[math.copysign(1.0, value) for _, value in far],
            colour="text",
            name="estimate beyond 1",
            symbol="x",
            data=[[value] for _, value in far],
            hover="%{customdata[0]:.2f}, more than a correlation can be",
        )
    ]


BEYOND_ONE = Key(name="estimate beyond 1, drawn at 1", kind="marker", symbol="x")


def beyond_sentence(values: Iterable[Any]) -> str:
    """A sentence for a caption where a value lies beyond 1; empty elsewhere."""
    n = sum(bool(abs(value) > 1) for value in values)
    if not n:
        return ""
    return (
        f" {plural(n, 'estimate lies', 'estimates lie')} beyond 1, where no correlation can, "
        "because what it is divided by is uncertain; such values are crosses at 1, and the table "
        "holds them."
    )


def values_of(panel: Panel, side: str) -> list[float]:
    """Finite numbers of the marks of a panel along one axis."""
    values: list[Any] = []
    for mark in panel.marks:
        if isinstance(mark, Box):
            values += list(mark.values) if side == "x" else []
        elif isinstance(mark, Level):
            values += [mark.at] if side == "y" else []
        elif isinstance(mark, Band) and side == "y":
            values += [*mark.low, *mark.high]
        else:
            values += list(getattr(mark, side))
    numbers = (float(v) for v in values if isinstance(v, int | float) or hasattr(v, "__float__"))
    return [value for value in numbers if math.isfinite(value)]


def last_of(panel: Panel, side: str) -> int:
    """The last layer of a panel along one axis."""
    return int(max(values_of(panel, side), default=0))


Marked = tuple[str, str]
"""Emotion and id of a prompt."""
_SELECTED = Key(name="selected prompt", kind="marker", symbol="circle-open")


def ringed(chart: Chart, marked: Marked) -> Chart:
    """The chart with a ring around the prompt, and the chart itself where it is not drawn.

    The rows of `data` of points begin with emotion and id; boxes are of emotions, and their `texts`
    are ids.
    """
    rows = [
        [replace(panel, marks=[*panel.marks, *_rings(panel, marked)]) for panel in row]
        for row in chart.rows
    ]
    before = sum(len(panel.marks) for row in chart.rows for panel in row)
    if sum(len(panel.marks) for row in rows for panel in row) == before:
        return chart
    return replace(chart, rows=rows, key=[*chart.key, _SELECTED])


def _rings(panel: Panel, marked: Marked) -> Iterator[Mark]:
    for mark in panel.marks:
        if isinstance(mark, Points):
            owners = [tuple(map(str, row[:2])) for row in mark.data]
            xs, ys, zs = list(mark.x), list(mark.y), list(mark.z)
            for at, owner in enumerate(owners):
                if owner == marked:
                    yield _ring(xs[at], ys[at], [zs[at]] if zs else [])
        elif isinstance(mark, Box) and mark.name == marked[0]:
            for value, text in zip(mark.values, mark.texts, strict=False):
                if text == marked[1]:
                    yield _ring(value, mark.name, [])


def _ring(x: Any, y: Any, z: list[Any]) -> Points:
    return Points(
        x=[x], y=[y], z=z, colour="text", size=15, filled=False, opacity=1.0, name="selected prompt"
    )
