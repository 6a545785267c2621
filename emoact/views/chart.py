"""Charts as values: panels of marks, before a library draws them.

A view makes one `Chart`. Pages draw it with plotly, the report and papers with matplotlib. Colours
are roles, so that one chart serves light and dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Scale = Literal["linear", "log", "category", "layer"]
Dash = Literal["solid", "dash", "dot", "longdashdot"]
Colour = str
"""An emotion label as `emotion:<label>`, or a role: `text`, `muted`, `accent`, `axis`, `null`."""

Number = float | int | None


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

    x: Sequence[Any]
    y: Sequence[Number]
    colour: Colour
    name: str = ""
    dash: Dash = "solid"
    width: float = 2.0
    symbol: str | None = None
    filled: Sequence[bool] = ()
    hover: str = "%{y:,.3~r}"
    data: Sequence[Sequence[Any]] = ()
    legend: bool = False


@dataclass(frozen=True, kw_only=True)
class Band:
    """The area between two bounds; gaps where either is missing. `null` is the grey of nulls."""

    x: Sequence[Any]
    low: Sequence[Number]
    high: Sequence[Number]
    colour: Colour
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Level:
    """A horizontal line across the panel, such as chance."""

    at: float
    colour: Colour = "muted"
    dash: Dash = "dot"


@dataclass(frozen=True, kw_only=True)
class Points:
    """Single points in two or three dimensions; `z` is empty in two.

    Attributes:
        error: Half widths or (low, high) bounds of horizontal intervals, empty without.
        text: One label for each point, empty without.
        hover: plotly hover template.
        data: One row for each point, for hover and selection.
    """

    x: Sequence[Any]
    y: Sequence[Any]
    colour: Colour
    name: str = ""
    z: Sequence[Number] = ()
    symbol: str = "circle"
    size: float = 7.0
    filled: bool = True
    error: Sequence[tuple[Number, Number]] = ()
    text: Sequence[str] = ()
    hover: str = ""
    data: Sequence[Sequence[Any]] = ()
    legend: bool = False


@dataclass(frozen=True, kw_only=True)
class Cells:
    """A grid of values as colours.

    Attributes:
        values: `[row][column]`; NaN is a grey cell.
        x: Names of the columns.
        y: Names of the rows.
        diverging: Colours about 0 instead of from small to large.
        low: Value of the first colour; from the data when None.
        high: Value of the last colour.
        log: Colours by logarithm.
        title: Of the colour bar, with unit.
        text: Words to write into the cells, empty without.
        hover: One text for each cell, empty without.
    """

    values: Sequence[Sequence[Number]]
    x: Sequence[Any]
    y: Sequence[Any]
    title: str
    diverging: bool = False
    low: float | None = None
    high: float | None = None
    log: bool = False
    text: Sequence[Sequence[str]] = ()
    hover: Sequence[Sequence[str]] = ()


@dataclass(frozen=True, kw_only=True)
class Box:
    """Box plot of one group: quartiles, whiskers to 1.5 interquartile ranges, single points."""

    values: Sequence[Number]
    name: str
    colour: Colour
    hover: Sequence[str] = ()


Mark = Line | Band | Level | Points | Cells | Box


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis of a panel.

    Attributes:
        title: Quantity and unit.
        scale: `layer` shows whole layers from 0.
        range: First and last value; from the data when None.
        format: d3 format of the ticks, such as `.0%`.
        zero: Include 0.
        reverse: Smallest value last (top to bottom).
    """

    title: str = ""
    scale: Scale = "linear"
    range: tuple[float, float] | None = None
    format: str = ""
    zero: bool = False
    reverse: bool = False


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One pair of axes.

    Attributes:
        title: Plain text.
        emotions: Labels of which the title begins, each in its own colour and bold; may be empty.
        marks: Drawn in this order.
    """

    marks: Sequence[Mark]
    title: str = ""
    emotions: Sequence[str] = ()
    x: Axis = field(default_factory=Axis)
    y: Axis = field(default_factory=Axis)


@dataclass(frozen=True, kw_only=True)
class Key:
    """An entry of the legend that explains a mark.

    Attributes:
        kind: `line`, `marker` or `band`.
    """

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
        heights: Pixels of each row of panels; the renderer's own when empty.
        share_y: The panels of a row have one vertical axis.
        gap: Space between columns, as a share of the width.
        unified: One hover box for all lines at an `x`.
    """

    rows: Sequence[Sequence[Panel]]
    key: Sequence[Key] = ()
    heights: Sequence[int] = ()
    share_y: bool = True
    gap: float = 0.035
    unified: bool = True
