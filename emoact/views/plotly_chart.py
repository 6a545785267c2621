"""Charts drawn with plotly; `plotly_marks` turns each mark into its traces.

Pages call `figure` with a `Chart`, a style for every emotion and the scheme of the browser.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from emoact.views.chart import Axis, Cells, Chart, Panel, Points, last_of, values_of
from emoact.views.plotly_marks import (
    Paint,
    colour_bar,
    key_trace,
    log_ticks,
    traces_of,
)
from emoact.views.theme import INK, EmotionStyle, Scheme, plain, template

_HEIGHT = 236
_HEIGHT_SOLID = 590
_ROW_GAP = 74
_MARGIN_TOP, _MARGIN_BARE, _MARGIN_BOTTOM, _LEGEND_ROW = 44, 12, 58, 24
_WIDTH, _LEGEND_SIGN, _LETTER = 860, 52, 6.2
"""Pixels of a page, of the sign of an entry of the legend, and of a letter."""
_LONG_TICKS = 40
"""Pixels that slanted words below an axis need beside the margin."""
_LINE_HEIGHT = 16
_LETTERS = 112
_MARK: dict[Scheme, str] = {"light": "#B32D1F", "dark": "#F2684C"}


def figure(chart: Chart, *, styles: Mapping[str, EmotionStyle], scheme: Scheme) -> go.Figure:
    """A plotly figure of a chart.

    Args:
        chart: At least one panel.
        styles: A style for every emotion among the marks.
        scheme: Light or dark.
    """
    paint = Paint(styles=styles, scheme=scheme)
    return _cubes(chart, paint) if chart.solid else _planes(chart, paint)


def _planes(chart: Chart, paint: Paint) -> go.Figure:
    rows = chart.rows
    columns = max(len(row) for row in rows)
    heights = list(chart.heights) or [_HEIGHT] * len(rows)
    total = sum(heights) + _ROW_GAP * (len(rows) - 1)
    places = [(row, at) for row in rows for at in range(columns)]
    drawn = make_subplots(
        rows=len(rows),
        cols=columns,
        row_heights=[float(height) for height in heights],
        vertical_spacing=_ROW_GAP / total if len(rows) > 1 else 0.0,
        horizontal_spacing=chart.gap if columns > 1 else 0.0,
        specs=[[{} if at < len(row) else None for at in range(columns)] for row in rows],
        subplot_titles=[paint.title(row[at]) if at < len(row) else "" for row, at in places],
    )
    # Titles are numbered by the panels that have one, in the order in which they were given.
    titles = iter(drawn.layout.annotations)
    for row_number, row in enumerate(rows, start=1):
        for column, panel in enumerate(row, start=1):
            axes = drawn.get_subplot(row_number, column)
            axes.xaxis.update(_axis(panel.x, panel, "x"))
            axes.yaxis.update(_axis(panel.y, panel, "y"))
            if column > 1 and chart.share_y:
                axes.yaxis.update(title={"text": ""}, showticklabels=False)
            if paint.title(panel):
                next(titles).update(
                    x=axes.xaxis.domain[0],
                    xanchor="left",
                    font={"size": 13, "color": INK[paint.scheme].text},
                )
            for mark in panel.marks:
                for trace in traces_of(mark, panel, paint):
                    drawn.add_trace(trace, row=row_number, col=column)
    for key in chart.key:
        drawn.add_trace(key_trace(key, paint), row=1, col=1)
    shown = _share_legend(drawn)
    titled = any(paint.title(panel) for row in rows for panel in row)
    top = (_MARGIN_TOP if titled or shown else _MARGIN_BARE) + _LEGEND_ROW * shown
    long = any(max(map(len, panel.x.ticks), default=0) > 3 for row in rows for panel in row)
    bottom = _MARGIN_BOTTOM + (_LONG_TICKS if long else 0)
    drawn.update_layout(
        template=template(paint.scheme),
        height=total + top + bottom,
        margin={"l": 8, "r": 8, "t": top, "b": bottom},
        legend={"y": 1.0, "yref": "container", "yanchor": "top", "itemclick": False},
        showlegend=shown > 0,
        hovermode="x unified" if chart.unified else "closest",
    )
    cells = [mark for row in rows for panel in row for mark in panel.marks if type(mark) is Cells]
    if cells:
        drawn.update_layout(coloraxis=colour_bar(cells, paint))
    return drawn


def _cubes(chart: Chart, paint: Paint) -> go.Figure:
    (row,) = chart.rows
    ink = INK[paint.scheme]
    look = {"gridcolor": ink.grid, "backgroundcolor": "rgba(0,0,0,0)", "color": ink.muted}
    drawn = go.Figure()
    width = 1 / len(row)
    for number, panel in enumerate(row):
        scene = "scene" if number == 0 else f"scene{number + 1}"
        for mark in panel.marks:
            for trace in traces_of(mark, panel, paint):
                drawn.add_trace(trace.update(scene=scene))
        axes = {"x": panel.x, "y": panel.y, "z": panel.z or Axis()}
        drawn.update_layout(
            {
                scene: {
                    "domain": {"x": [number * width, (number + 1) * width - 0.01], "y": [0, 0.95]},
                    "aspectmode": "cube",
                    "camera": {"eye": {"x": 1.7, "y": 1.7, "z": 1.0}},
                    **{
                        f"{name}axis": {
                            "title": {"text": plain(axis.title)},
                            "range": axis.range,
                            **look,
                        }
                        for name, axis in axes.items()
                    },
                }
            }
        )
        drawn.add_annotation(
            text=paint.title(panel),
            x=number * width,
            y=1.0,
            xref="paper",
            yref="paper",
            xanchor="left",
            showarrow=False,
        )
    _share_legend(drawn)
    return drawn.update_layout(
        template=template(paint.scheme),
        height=(chart.heights or [_HEIGHT_SOLID])[0],
        margin={"l": 8, "r": 8, "t": 56, "b": 12},
        legend={"y": 1.0, "yref": "container", "yanchor": "top"},
    )


def _share_legend(drawn: go.Figure) -> int:
    """List each name once, for any number of traces; returns the rows of the legend."""
    seen: list[str] = []
    for trace in drawn.data:
        if trace.showlegend:
            trace.update(showlegend=trace.name not in seen, legendgroup=trace.name)
            if trace.showlegend:
                seen.append(trace.name)
    return math.ceil(sum(_LEGEND_SIGN + _LETTER * len(name) for name in seen) / _WIDTH)


def _axis(axis: Axis, panel: Panel, side: str) -> dict[str, Any]:
    title = f"{axis.title}, log scale" if axis.scale == "log" and axis.title else axis.title
    fields: dict[str, Any] = {"title": {"text": plain(title)}, "tickformat": axis.format or None}
    grids = any(isinstance(mark, Cells) for mark in panel.marks)
    if grids:
        fields["showgrid"] = False
    if axis.range is not None:
        ends = map(math.log10, axis.range) if axis.scale == "log" else axis.range
        fields["range"] = list(ends)
    if axis.zero and axis.scale != "log":
        fields["rangemode"] = "tozero"
    if axis.ticks:
        long = max(map(len, axis.ticks)) > 3
        fields |= {
            "tickvals": list(range(len(axis.ticks))),
            "ticktext": [plain(text) for text in axis.ticks],
            "tickangle": -60 if long and side == "x" else 0,
        }
    elif axis.scale == "layer":
        last = last_of(panel, side)
        fields |= {"dtick": layer_step(last), "tick0": 0}
        if side == "x":
            fields["unifiedhovertitle"] = {"text": "layer %{x}"}
        if not grids:
            fields["range"] = [-0.4, last + 0.4]
    elif axis.scale == "log":
        fields |= {
            "type": "log",
            **log_ticks([each for each in values_of(panel, side) if each > 0]),
        }
    elif axis.scale == "category":
        names = [plain(name) for name in axis.categories]
        fields |= {"type": "category", "ticks": "", "categoryorder": "array"}
        fields["categoryarray"] = names if side == "x" else names[::-1]
        if grids:
            fields["showline"] = False
        elif side == "y":
            fields["range"] = [-0.6, len(names) - 0.4]
    elif side == "x" and any(isinstance(mark, Points) for mark in panel.marks):
        fields["unifiedhovertitle"] = {"text": ""}
    return fields


def layer_step(last: int) -> int:
    """Layers between two ticks in a narrow panel."""
    return next((step for step in (1, 2, 5, 10) if last / step <= 8), 20)


def with_caption(
    figure: go.Figure, caption: str, *, badges: Sequence[str] = (), scheme: Scheme
) -> go.Figure:
    """The figure with a caption below it, which is part of every image made of it.

    The background becomes that of the page, so that an image of the dark page can be read.

    Args:
        figure: Not changed.
        caption: Text; nothing in it is read as markup.
        badges: What marks the figure, such as random weights; said first and in a colour.
        scheme: Light or dark.
    """
    captioned = go.Figure(figure)
    lines = [
        *(
            f'<b><span style="color:{_MARK[scheme]}">{plain(line)}</span></b>'
            for badge in badges
            for line in textwrap.wrap(badge, _LETTERS - 12)
        ),
        *(plain(line) for line in textwrap.wrap(caption, _LETTERS)),
    ]
    if not lines:
        return captioned
    margin = captioned.layout.margin
    below = margin.b if margin.b is not None else 54
    room = _LINE_HEIGHT * len(lines) + 10
    captioned.add_annotation(
        text="<br>".join(lines),
        xref="paper",
        yref="paper",
        x=0,
        y=0,
        xanchor="left",
        yanchor="top",
        yshift=-below + 4,
        align="left",
        showarrow=False,
        font={"size": 11.5, "color": INK[scheme].muted},
    )
    captioned.update_layout(
        margin_b=below + room,
        height=(captioned.layout.height or 450) + room,
        paper_bgcolor=INK[scheme].page,
    )
    return captioned
