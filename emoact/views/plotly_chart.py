"""Charts drawn with plotly; `plotly_marks` turns each mark into its traces.

Pages call `figure` with a `Chart`, a style for every emotion and the scheme of the browser.
"""

from __future__ import annotations

import dataclasses
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from emoact.views.chart import Axis, Cells, Chart, Panel, Points, last_of, values_of
from emoact.views.plotly_marks import Paint, Trace, colour_bar, key_trace, log_ticks, traces_of
from emoact.views.theme import INK, EmotionStyle, Scheme, dressed, plain

_HEIGHT = 236
_HEIGHT_SOLID = 590
_ROW_GAP = 74
_MARGIN_TOP, _MARGIN_BARE, _MARGIN_BOTTOM, _LEGEND_ROW = 44, 12, 58, 24
_WIDTH, _WIDTH_NARROW, _LEGEND_SIGN = 860, 330, 52
"""Pixels of a page, of a page on a phone, of the sign of an entry of the legend."""
_LETTER, _LETTER_LONG = 6.2, 5.3
"""Pixels of a letter, and of one of long words."""
_AXIS_TITLE, _TICK, _RIGHT, _RIGHT_BAR = 40, 26, 18, 104
"""Pixels of an axis title with the signs of ticks, of these alone, and of the right margin."""
_LONG_TICKS, _FITTING, _NUMBERS = 40, 8, 9
"""Pixels that slanted words of so many letters below an axis need beside the margin; numbers that
fit below the axis of a phone."""
_LEGEND = {"y": 1.0, "yref": "container", "yanchor": "top", "tracegroupgap": 5}
_LINE_HEIGHT = 16
_LETTERS, _LETTERS_NARROW, _FOLD = 112, 54, 24
_MARK: dict[Scheme, str] = {"light": "#B32D1F", "dark": "#F2684C"}


def figure(
    chart: Chart,
    *,
    styles: Mapping[str, EmotionStyle],
    scheme: Scheme,
    caption: str = "",
    badges: Sequence[str] = (),
    narrow: bool = False,
) -> go.Figure:
    """A plotly figure of a chart, with its caption, which is part of every image made of it.

    Nothing in the caption is read as markup. `badges` mark the figure, such as random weights,
    first and in a colour; `narrow` puts panels one below the other, for the screen of a phone.
    """
    paint = Paint(styles=styles, scheme=scheme)
    letters, width = (_LETTERS_NARROW, _WIDTH_NARROW) if narrow else (_LETTERS, _WIDTH)
    drawn = _stacked(chart) if narrow else chart
    traces, layout = (_cubes if chart.solid else _planes)(drawn, paint, width)
    lines = [
        *(
            f'<b><span style="color:{_MARK[scheme]}">{plain(line)}</span></b>'
            for badge in badges
            for line in textwrap.wrap(badge, letters - 12)
        ),
        *(plain(line) for line in textwrap.wrap(caption, letters)),
    ]
    if lines:
        below, room = layout["margin"]["b"], _LINE_HEIGHT * len(lines) + 10
        said = {
            "text": "<br>".join(lines),
            "xref": "paper",
            "yref": "paper",
            "x": 0,
            "y": 0,
            "xanchor": "left",
            "yanchor": "top",
            "yshift": -below + 4,
            # On a phone the words of the rows would leave a caption no room.
            "xshift": _RIGHT - layout["margin"]["l"] if narrow else 0,
            "align": "left",
            "showarrow": False,
            "font": {"size": 11.5, "color": INK[scheme].muted},
        }
        layout |= {
            "annotations": [*layout["annotations"], said],
            "margin": {**layout["margin"], "b": below + room},
            "height": layout["height"] + room,
            # An image of the dark page could not be read on white.
            "paper_bgcolor": INK[scheme].page,
        }
    return dressed(traces, layout, scheme)


def _stacked(chart: Chart) -> Chart:
    """The same panels, one below the other; rows with long names are higher."""
    rows, heights = list[list[Panel]](), list[int]()
    for at, row in enumerate(chart.rows):
        for panel in row:
            height = chart.heights[at] if chart.heights else _HEIGHT
            names = panel.y.categories or panel.y.ticks
            lines = max((_folded(name).count("<br>") + 1 for name in names), default=1)
            rows.append([panel])
            heights.append(max(height, len(names) * _LINE_HEIGHT * lines + _TICK))
    solid = chart.solid and not chart.heights
    return dataclasses.replace(chart, rows=rows, heights=[] if solid else heights)


def _folded(name: str) -> str:
    """A long name of a row in lines, for the screen of a phone."""
    return "<br>".join(textwrap.wrap(name, _FOLD))


def _planes(chart: Chart, paint: Paint, page: int) -> tuple[list[Trace], dict[str, Any]]:
    rows = chart.rows
    columns = max(len(row) for row in rows)
    heights = list(chart.heights) or [_HEIGHT] * len(rows)
    total = sum(heights) + _ROW_GAP * (len(rows) - 1)
    width = (1 - chart.gap * (columns - 1)) / columns
    axes: dict[str, Any] = {}
    traces, titles, number, top = list[Trace](), [], 0, 1.0
    for row, height in zip(rows, heights, strict=True):
        bottom = max(top - height / total, 0.0)
        for column, panel in enumerate(row):
            number += 1
            name = "" if number == 1 else str(number)
            left = column * (width + chart.gap)
            y = _axis(panel.y, panel, "y")
            names = y.get("categoryarray") or y.get("ticktext") or ()
            if page == _WIDTH_NARROW and (panel.y.categories or panel.y.ticks):
                y |= {"tickvals": y.get("tickvals", names), "ticktext": [*map(_folded, names)]}
            if column and chart.share_y:
                y |= {"title": {"text": ""}, "showticklabels": False}
            x = _axis(panel.x, panel, "x")
            if page == _WIDTH_NARROW and all(tick.isdigit() for tick in panel.x.ticks):
                # Numbers of many columns would run into one another.
                step = math.ceil(len(panel.x.ticks) * columns / _NUMBERS) or 1
                x |= {part: x[part][::step] for part in ("tickvals", "ticktext") if part in x}
            axes[f"xaxis{name}"] = {
                **x,
                "domain": [left, min(left + width, 1.0)],
                "anchor": f"y{name}",
            }
            axes[f"yaxis{name}"] = {**y, "domain": [bottom, top], "anchor": f"x{name}"}
            titles.append(_title(panel, paint, x=left, y=top))
            for mark in panel.marks:
                for trace in traces_of(mark, panel, paint):
                    traces.append({**trace, "xaxis": f"x{name}", "yaxis": f"y{name}"})
        top = bottom - _ROW_GAP / total
    traces += [key_trace(key, paint) for key in chart.key]
    # Where words need more room than the margin has, plotly draws everything a second time.
    left = max(_beside(row[0], _FOLD if page == _WIDTH_NARROW else 0) for row in rows)
    # The legend begins at the axis; on a phone at the edge of the page.
    shown = _share_legend(traces, page if page == _WIDTH_NARROW else page - left)
    titles = [title for title in titles if title["text"]]
    above = (_MARGIN_TOP if titles or shown else _MARGIN_BARE) + _LEGEND_ROW * shown
    longest = max((len(tick) for row in rows for panel in row for tick in panel.x.ticks), default=0)
    below = _MARGIN_BOTTOM + (_LONG_TICKS if longest > 3 else 0)
    below += round(_LETTER * max(0, longest - _FITTING))
    cells = [mark for row in rows for panel in row for mark in panel.marks if type(mark) is Cells]
    layout = {
        **axes,
        "annotations": titles,
        "height": total + above + below,
        "margin": {"l": left, "r": _RIGHT_BAR if cells else _RIGHT, "t": above, "b": below},
        "legend": {**_legend(page), "itemclick": False},
        "showlegend": shown > 0,
        "hovermode": "x unified" if chart.unified else "closest",
    }
    if cells:
        layout["coloraxis"] = colour_bar(cells, paint)
    return traces, layout


def _beside(panel: Panel, fold: int) -> int:
    """Pixels of the title and the ticks of the vertical axis, folded where `fold` is not 0."""
    axis = panel.y
    values = list(axis.range or values_of(panel, "y")) or [0.0]
    if axis.scale == "log":
        ticks = log_ticks([value for value in values if value > 0]).get("ticktext", [])
    elif axis.scale == "layer" or axis.format.endswith("%"):
        ticks = [str(last_of(panel, "y"))] if axis.scale == "layer" else ["100%"]
    else:
        step = max(max(values) - min(values), 1e-9) / 6
        places = max(0, -math.floor(math.log10(step)))
        ticks = [f"{value:,.{places}f}" for value in (min(values), max(values))]
    letters = max(map(len, axis.categories or axis.ticks or ticks), default=0)
    letters = min(letters, fold or letters)
    # In long words narrow letters make up for wide ones.
    letter = _LETTER_LONG if letters > _FOLD else _LETTER
    return round((_AXIS_TITLE if axis.title else _TICK) + letter * letters)


def _title(panel: Panel, paint: Paint, *, x: float, y: float) -> dict[str, Any]:
    return {
        "text": paint.title(panel),
        "x": x,
        "y": y,
        "xref": "paper",
        "yref": "paper",
        "xanchor": "left",
        "yanchor": "bottom",
        "showarrow": False,
    }


def _cubes(chart: Chart, paint: Paint, page: int) -> tuple[list[Trace], dict[str, Any]]:
    rows = chart.rows
    ink = INK[paint.scheme]
    look = {"gridcolor": ink.grid, "backgroundcolor": "rgba(0,0,0,0)", "color": ink.muted}
    scenes: dict[str, Any] = {}
    traces, titles = list[Trace](), []
    width, height = 1 / max(map(len, rows)), 1 / len(rows)
    # A cube is as wide as it is high.
    usual = min(_HEIGHT_SOLID, round(1.05 * page * width))
    places = [(panel, x, y) for y, row in enumerate(rows) for x, panel in enumerate(row)]
    for number, (panel, x, y) in enumerate(places):
        left, top = x * width, 1 - y * height
        titles.append(_title(panel, paint, x=left, y=top - 0.05 * height))
        scene = "scene" if number == 0 else f"scene{number + 1}"
        for mark in panel.marks:
            traces += [{**trace, "scene": scene} for trace in traces_of(mark, panel, paint)]
        axes = {"x": panel.x, "y": panel.y, "z": panel.z or Axis()}
        scenes[scene] = {
            "domain": {
                "x": [left, left + width - 0.01],
                "y": [max(top - height, 0.0), top - 0.05 * height],
            },
            "aspectmode": "cube",
            "camera": {
                # Far and to the right, or the title of the third axis is cut off at the left.
                "eye": {"x": 2.4, "y": 2.4, "z": 1.3},
                "center": {"x": 0.2, "y": -0.2, "z": -0.1},
            },
            **{
                f"{name}axis": {"title": {"text": plain(axis.title)}, "range": axis.range, **look}
                for name, axis in axes.items()
            },
        }
    above = _MARGIN_BARE + _LEGEND_ROW * _share_legend(traces, page)
    return traces, {
        **scenes,
        "annotations": titles,
        "height": sum(chart.heights or [usual] * len(rows)) + above,
        "margin": {"l": 8, "r": 8, "t": above, "b": 12},
        "legend": _legend(page),
    }


def _legend(page: int) -> dict[str, Any]:
    """Place of the legend; that of a phone begins at the edge of the page."""
    return _LEGEND | ({"xref": "container"} if page == _WIDTH_NARROW else {})


def _share_legend(traces: list[Trace], page: int) -> int:
    """List each name once, for any number of traces; returns the rows of the legend."""
    seen: list[str] = []
    for trace in traces:
        if trace.get("showlegend"):
            name = trace["name"]
            trace |= {"showlegend": name not in seen, "legendgroup": name}
            seen += [name] if trace["showlegend"] else []
    rows, used = min(len(seen), 1), 0.0
    for width in (_LEGEND_SIGN + _LETTER * len(name) for name in seen):
        # An entry is not divided.
        begins = used > 0 and used + width > page
        rows, used = (rows + 1, width) if begins else (rows, used + width)
    return rows


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
        step = next((step for step in (1, 2, 5, 10) if last / step <= 8), 20)
        fields |= {"dtick": step, "tick0": 0}
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
