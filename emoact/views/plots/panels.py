"""Panels side by side that share their axes, and the lines and bands that stand in them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from emoact.views.plots.theme import INK, Scheme, template

COLUMNS = 4
"""Panels side by side at most; more begin a new row."""

_HEIGHT = 236
_ROW_GAP = 74
_MARGIN_BOTTOM = 58
_LEGEND_ROW = 24
_MARGIN_TOP = 44


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel of a figure.

    Attributes:
        title: May hold markup of our own; what comes from users has to be `plain` in it.
        traces: Drawn in this order.
        x: Properties of its x axis.
        y: Properties of its y axis.
    """

    title: str
    traces: Sequence[Any]
    x: Mapping[str, Any] = field(default_factory=dict)
    y: Mapping[str, Any] = field(default_factory=dict)


def panel_figure(
    rows: Sequence[Sequence[Panel]],
    *,
    scheme: Scheme,
    key: Sequence[Any] = (),
    height: int = _HEIGHT,
    heights: Sequence[int] | None = None,
    gap: float = 0.035,
) -> go.Figure:
    """A figure of panels; only the first of a row says what its y axis is.

    Args:
        rows: Panels from left to right and top to bottom; a short row leaves places empty.
        scheme: Light or dark.
        key: Traces without data that explain the marks, in the order of the legend.
        height: Of each row of panels, in pixels.
        heights: Of each row, where they differ.
        gap: Between columns, as a share of the width.
    """
    columns = max(len(row) for row in rows)
    each = list(heights or [height] * len(rows))
    total = sum(each) + _ROW_GAP * (len(rows) - 1)
    figure = make_subplots(
        rows=len(rows),
        cols=columns,
        row_heights=[float(one) for one in each],
        vertical_spacing=_ROW_GAP / total if len(rows) > 1 else 0.0,
        horizontal_spacing=gap if columns > 1 else 0.0,
        specs=[[{} if at < len(row) else None for at in range(columns)] for row in rows],
        subplot_titles=[
            row[at].title if at < len(row) else "" for row in rows for at in range(columns)
        ],
    )
    # Titles are numbered by the panels that exist, in the order in which they were given.
    titles = iter(figure.layout.annotations)
    for row_number, row in enumerate(rows, start=1):
        for column, panel in enumerate(row, start=1):
            axes = figure.get_subplot(row_number, column)
            axes.xaxis.update(panel.x)
            axes.yaxis.update(panel.y)
            if column > 1:
                axes.yaxis.update(title={"text": ""}, showticklabels=False)
            if panel.title:
                title = next(titles)
                title.update(
                    x=axes.xaxis.domain[0],
                    xanchor="left",
                    font={"size": 13, "color": INK[scheme].text},
                )
            for trace in panel.traces:
                figure.add_trace(trace, row=row_number, col=column)
    for trace in key:
        figure.add_trace(trace, row=1, col=1)
    top = _MARGIN_TOP + (_LEGEND_ROW if key else 0)
    figure.update_layout(
        template=template(scheme),
        height=total + top + _MARGIN_BOTTOM,
        margin={"l": 8, "r": 8, "t": top, "b": _MARGIN_BOTTOM},
        legend={"y": 1.0, "yref": "container", "yanchor": "top", "itemclick": False},
        showlegend=bool(key),
        hovermode="x unified",
    )
    return figure


def wrapped(panels: Sequence[Panel], columns: int = COLUMNS) -> list[list[Panel]]:
    """The panels in rows."""
    return [list(panels[start : start + columns]) for start in range(0, len(panels), columns)]


def layer_axis(layers: Iterable[int], *, title: str = "layer") -> dict[str, Any]:
    """An x axis that shows every layer it has, from left to right."""
    last = max(layers, default=0)
    return {
        "title": {"text": title},
        "range": [-0.4, last + 0.4],
        "dtick": layer_step(last),
        "tick0": 0,
        "unifiedhovertitle": {"text": "layer %{x}"},
    }


def layer_step(last: int) -> int:
    """Layers between two ticks in a narrow panel."""
    return next((step for step in (1, 2, 5, 10) if last / step <= 8), 20)


def line(
    x: Iterable[Any],
    y: Iterable[Any],
    *,
    colour: str,
    name: str,
    dash: str = "solid",
    width: float = 2.0,
    symbol: str | None = None,
    filled: Sequence[bool] | None = None,
    hover: str = "%{y:,.3~r}",
    customdata: Sequence[Sequence[Any]] | None = None,
) -> go.Scatter:
    """A line over layers; gaps where a value is missing.

    Args:
        x: Layers.
        y: Values.
        colour: Of line and markers.
        name: What the hover calls it; has to be `plain` where it comes from users.
        dash: Style of the line.
        width: Of the line.
        symbol: Marker at every layer; none when None.
        filled: Which markers are filled; the others are open and smaller.
        hover: The value on hover.
        customdata: What the hover may refer to.
    """
    marker, places = None, list(x)
    if symbol is not None:
        full_ones = filled or [True] * len(places)
        shapes = [symbol if full else f"{symbol}-open" for full in full_ones]
        sizes = [7 if full else 5 for full in full_ones]
        marker = {"symbol": shapes, "size": sizes, "color": colour, "line": {"width": 1.2}}
    return go.Scatter(
        x=places,
        y=list(y),
        mode="lines" if marker is None else "lines+markers",
        name=name,
        line={"color": colour, "width": width, "dash": dash},
        marker=marker,
        customdata=customdata,
        hovertemplate=hover,
        showlegend=False,
    )


def band(x: Iterable[Any], low: Iterable[Any], high: Iterable[Any], *, fill: str) -> go.Scatter:
    """The area between two bounds; gaps where either is missing."""
    outline_x: list[float | None] = []
    outline_y: list[float | None] = []
    for stretch in _finite_stretches(list(zip(x, low, high, strict=True))):
        if outline_x:
            outline_x.append(None)
            outline_y.append(None)
        outline_x += [at for at, _, _ in stretch] + [at for at, _, _ in reversed(stretch)]
        outline_y += [top for _, _, top in stretch] + [end for _, end, _ in reversed(stretch)]
    return go.Scatter(
        x=outline_x,
        y=outline_y,
        fill="toself",
        fillcolor=fill,
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
    )


def key_line(name: str, colour: str, *, dash: str = "solid", symbol: str | None = None) -> Any:
    """A line in the legend."""
    return go.Scatter(
        x=[None],
        y=[None],
        name=name,
        mode="lines" if symbol is None else "lines+markers",
        line={"color": colour, "width": 2, "dash": dash},
        marker=None if symbol is None else {"symbol": symbol, "size": 7, "color": colour},
        showlegend=True,
    )


def key_marker(name: str, colour: str, symbol: str) -> Any:
    """A marker in the legend."""
    return go.Scatter(
        x=[None],
        y=[None],
        name=name,
        mode="markers",
        marker={"symbol": symbol, "size": 8, "color": colour, "line": {"width": 1.2}},
        showlegend=True,
    )


def key_band(name: str, fill: str) -> Any:
    """An area in the legend."""
    return go.Scatter(
        x=[None],
        y=[None],
        name=name,
        mode="markers",
        marker={"symbol": "square", "size": 12, "color": fill, "line": {"width": 0}},
        showlegend=True,
    )


def null_fill(scheme: Scheme) -> str:
    """What a null distribution looks like everywhere: a grey band."""
    return "rgba(90,101,114,0.20)" if scheme == "light" else "rgba(163,174,186,0.24)"


def level(at: float, layers: Iterable[int], *, colour: str, dash: str = "dot") -> go.Scatter:
    """A level across the panel, such as chance; it says nothing on hover."""
    last = max(layers, default=0)
    return go.Scatter(
        x=[-0.4, last + 0.4],
        y=[at, at],
        mode="lines",
        line={"color": colour, "width": 1.2, "dash": dash},
        hoverinfo="skip",
        showlegend=False,
    )


def span(*columns: Iterable[Any], at_least: tuple[float, float] | None = None) -> list[float]:
    """The range that shows every finite value of these columns, with some room around it."""
    values = [float(v) for column in columns for v in column if v is not None and math.isfinite(v)]
    values += list(at_least or ())
    if not values:
        return [0.0, 1.0]
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return [low - room, high + room]


def _finite_stretches(
    points: Sequence[tuple[Any, Any, Any]],
) -> list[list[tuple[Any, Any, Any]]]:
    finite = [index for index, (_, a, b) in enumerate(points) if _both_finite(a, b)]
    if not finite:
        return []
    cuts = [0, *(i + 1 for i, (a, b) in enumerate(pairwise(finite)) if b != a + 1), len(finite)]
    return [[points[index] for index in finite[a:b]] for a, b in pairwise(cuts)]


def _both_finite(low: Any, high: Any) -> bool:
    return math.isfinite(low) and math.isfinite(high)
