"""Marks of a chart as plotly traces, and what a trace needs to know about its panel.

Traces are mappings, which plotly checks once, when they become a figure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from emoact.views.chart import (
    Band,
    Box,
    Cells,
    Colour,
    Key,
    Level,
    Line,
    Mark,
    Number,
    Panel,
    Points,
    Values,
    last_of,
    values_of,
)
from emoact.views.theme import INK, EmotionStyle, Scheme, luminance, mixed, plain

Trace = dict[str, Any]
_MOST_MARKERS = 12
_MOST_POINTS = 300
_GLYPHS: Mapping[str, str] = {
    "circle": "●", "triangle-up": "▲", "square": "■", "diamond": "◆", "cross": "✚", "star": "★",
    "pentagon": "⬟", "hexagon": "⬢", "triangle-down": "▼", "x": "✖", "triangle-right": "▶",
    "triangle-left": "◀",
}  # fmt: skip
_BAR = 250
"""Pixels of a colour bar: those of the lowest grid, also beside many panels."""
_BRIGHT = 0.179
"""Luminance on which black and white have the same contrast."""
_IN_SPACE = {"circle": "circle", "triangle-up": "cross", "square": "square", "diamond": "diamond"}
"""Markers in three dimensions, where plotly has no triangle."""
_SILENT: Trace = {"type": "scatter", "hoverinfo": "skip", "showlegend": False}
"""A trace that neither the pointer nor the legend shows."""


@dataclass(frozen=True, kw_only=True)
class Paint:
    """Roles of colours and shapes in one scheme."""

    styles: Mapping[str, EmotionStyle]
    scheme: Scheme

    def colour(self, role: Colour) -> str:
        """Colour of a line or a marker."""
        kind, _, label = role.partition(":")
        if kind == "emotion":
            return self.styles[label].colour
        return str(getattr(INK[self.scheme], "muted" if role == "null" else role))

    def fill(self, role: Colour, alpha: float | None = None) -> str:
        """The same hue, thin enough that several bands may overlap; grey for nulls."""
        light = self.scheme == "light"
        if role == "null":
            return "rgba(90,101,114,0.20)" if light else "rgba(163,174,186,0.24)"
        colour = self.colour(role)
        red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
        return f"rgba({red},{green},{blue},{alpha or (0.16 if light else 0.22)})"

    def symbol(self, name: str) -> str:
        """Shape of a marker."""
        kind, _, label = name.partition(":")
        return self.styles[label].symbol if kind == "emotion" else name

    def title(self, panel: Panel) -> str:
        """Every emotion after its own marker, so that the words keep the colour of text."""
        labels = []
        for label in panel.emotions:
            style = self.styles[label]
            glyph = _GLYPHS.get(style.symbol, "●")
            labels.append(
                f'<span style="color:{style.colour}">{glyph}</span> <b>{plain(label)}</b>'
            )
        lead = [" – ".join(labels)] if labels else []
        lead += [f"<b>{plain(panel.lead)}</b>"] if panel.lead else []
        return "  ".join([*lead, *([plain(panel.title)] if panel.title else [])])

    @property
    def diverging(self) -> list[list[float | str]]:
        """A scale from brown over the page's own colour to teal, for values about 0."""
        if self.scheme == "light":
            return [[0.0, "#8C4A0B"], [0.5, INK["light"].page], [1.0, "#0B5C66"]]
        return [[0.0, "#E0914A"], [0.5, "#23282E"], [1.0, "#4CC3CF"]]


def traces_of(mark: Mark, panel: Panel, paint: Paint) -> list[Trace]:
    """The traces of a mark, in the order in which they are drawn."""
    match mark:
        case Line():
            return [_line(mark, paint)]
        case Band():
            return [_band(mark, paint)]
        case Level():
            return [_level(mark, panel, paint)]
        case Points():
            return [_points(mark, paint), *_point_words(mark)]
        case Cells():
            return _cells(mark, paint)
        case Box():
            return [_box(mark, paint)]


def _line(mark: Line, paint: Paint) -> Trace:
    colour, marker = paint.colour(mark.colour), None
    if mark.symbol is not None:
        shape = paint.symbol(mark.symbol)
        edge = {"width": 1.2, "color": colour}
        marker = {"symbol": shape, "size": 7, "color": colour, "line": edge}
        if mark.filled:
            marker["symbol"] = [shape if full else f"{shape}-open" for full in mark.filled]
        else:
            # A marker at every layer of a deep model would hide the dashes.
            marker["maxdisplayed"] = _MOST_MARKERS
    return {
        "type": "scatter",
        "x": _words(mark.x),
        "y": _words(mark.y),
        "mode": "lines" if marker is None else "lines+markers",
        "name": plain(mark.name),
        "line": {"color": colour, "width": mark.width, "dash": mark.dash},
        "marker": marker,
        "customdata": [_words(row) for row in mark.data] or None,
        "hovertemplate": mark.hover,
        "showlegend": mark.legend,
    }


def _words(values: Values) -> list[Any]:
    """Values of an axis or a hover, where plotly reads markup and links in texts."""
    return [plain(value) if isinstance(value, str) else value for value in values]


def _band(mark: Band, paint: Paint) -> Trace:
    x: list[Any] = []
    y: list[Any] = []
    points = zip(mark.x, mark.low, mark.high, strict=True)
    for is_drawn, stretch in groupby(points, lambda each: _finite(*each[1:])):
        if is_drawn:
            forth = list(stretch)
            gap = [None] if x else []
            x += gap + [at for at, _, _ in forth] + [at for at, _, _ in reversed(forth)]
            y += gap + [top for *_, top in forth] + [end for _, end, _ in reversed(forth)]
    return {
        **_SILENT,
        "x": x,
        "y": y,
        "fill": "toself",
        "fillcolor": paint.fill(mark.colour),
        "line": {"width": 0},
        "mode": "lines",
        "name": plain(mark.name),
    }


def _level(mark: Level, panel: Panel, paint: Paint) -> Trace:
    if panel.x.scale == "layer":
        ends = [-0.4, last_of(panel, "x") + 0.4]
    else:
        own = list(panel.x.range or values_of(panel, "x") or [0.0])
        ends = [min(own), max(own)]
    line = {"color": paint.colour(mark.colour), "width": 1.2, "dash": mark.dash}
    return {**_SILENT, "x": ends, "y": [mark.at, mark.at], "mode": "lines", "line": line}


def _points(mark: Points, paint: Paint) -> Trace:
    colour, symbol = paint.colour(mark.colour), paint.symbol(mark.symbol)
    fields: dict[str, Any] = {
        "x": _words(mark.x),
        "y": _words(mark.y),
        "mode": "markers",
        "name": plain(mark.name),
        "customdata": list(mark.data) or None,
        "hovertext": list(mark.hovertexts) or None,
        "hovertemplate": f"{mark.hover}<extra></extra>" if mark.hover else None,
        "showlegend": mark.legend,
        "legendgroup": plain(mark.name) if mark.legend else None,
    }
    if len(mark.z):
        symbol = _IN_SPACE.get(symbol, "x")
        marker = {"symbol": symbol, "size": 4, "color": colour, "opacity": 0.9}
        return {"type": "scatter3d", "z": list(mark.z), "marker": marker, **fields}
    if mark.error:
        fields["error_x"] = {
            "type": "data",
            "symmetric": False,
            "array": [_minus(high, x) for x, (_, high) in zip(mark.x, mark.error, strict=True)],
            "arrayminus": [_minus(x, low) for x, (low, _) in zip(mark.x, mark.error, strict=True)],
            "color": paint.colour("muted"),
            "thickness": 1.2,
            "width": 0,
        }
    marker = {
        "symbol": symbol if mark.filled else f"{symbol}-open",
        "size": mark.size,
        "color": colour,
        "opacity": mark.opacity,
        "line": {"width": 0 if mark.filled else 1.4},
    }
    return {"type": "scatter", "marker": marker, **fields}


def _point_words(mark: Points) -> list[Trace]:
    """The points that have words: each empty one would be an element of the page, too."""
    named = [each for each in zip(mark.x, mark.y, mark.text, strict=False) if each[2]]
    if not named or len(mark.z):
        return []
    x, y, words = map(_words, zip(*named, strict=True))
    group = {"legendgroup": plain(mark.name)} if mark.legend else {}
    fields = {"x": x, "y": y, "text": words, "mode": "text", "textposition": "top center"}
    return [{**_SILENT, **group, **fields}]


def _minus(one: Number, other: Number) -> Number:
    return math.nan if one is None or other is None else one - other


def _cells(mark: Cells, paint: Paint) -> list[Trace]:
    values = [[_number(value) for value in row] for row in mark.values]
    shown = [[_log10(value) for value in row] for row in values] if mark.log else values
    x, y = _words(mark.x), _words(mark.y)
    texts = mark.data or [[""] * len(row) for row in values]
    gaps = 2 if mark.text else 0
    grid = {"type": "heatmap", "x": x, "y": y, "xgap": gaps, "ygap": gaps}
    traces = [
        {
            **grid,
            "z": shown,
            "coloraxis": "coloraxis",
            "customdata": [
                [[value, plain(text)] for value, text in zip(row, said, strict=True)]
                for row, said in zip(values, texts, strict=True)
            ],
            "hovertemplate": f"{mark.hover}<extra></extra>",
        }
    ]
    if any(value is None for row in shown for value in row):
        # A cell without a value must not look like 0.
        grey = paint.fill("null")
        missing = [[1 if value is None else None for value in row] for row in shown]
        traces.insert(
            0,
            {
                **grid,
                "z": missing,
                "showscale": False,
                "hoverinfo": "skip",
                "colorscale": [[0, grey], [1, grey]],
                "name": "no value",
            },
        )
    if mark.text:
        traces.append(_cell_words(mark, values, x, y, paint))
    return traces


def _cell_words(
    mark: Cells, values: Sequence[Sequence[float | None]], x: list[Any], y: list[Any], paint: Paint
) -> Trace:
    """Words in the cells, each in the colour that is legible on its cell."""
    largest = max(abs(mark.low or 0), abs(mark.high or 0)) or 1.0
    shares = [(value or 0.0) / largest for row in values for value in row]
    bright = [luminance(mixed(paint.diverging, share)) > _BRIGHT for share in shares]
    return {
        **_SILENT,
        "x": [name for _ in y for name in x],
        "y": [name for name in y for _ in x],
        "text": [plain(word) for row in mark.text for word in row],
        "mode": "text",
        "textfont": {"size": 12, "color": ["#000000" if each else "#FFFFFF" for each in bright]},
    }


def _finite(*bounds: Number) -> bool:
    return all(bound is not None and math.isfinite(bound) for bound in bounds)


def _number(value: Number) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _log10(value: float | None) -> float | None:
    return math.log10(value) if value is not None and value > 0 else None


def colour_bar(cells: Sequence[Cells], paint: Paint) -> dict[str, Any]:
    """The colour bar that all grids of a chart share."""
    first = cells[0]
    values = [
        value
        for mark in cells
        for row in mark.values
        for each in row
        if (value := _number(each)) is not None and (value > 0 or not mark.log)
    ]
    low = first.low if first.low is not None else min(values, default=0.0)
    high = first.high if first.high is not None else max(values, default=1.0)
    title = f"{first.title}, log scale" if first.log else first.title
    return {
        "colorscale": paint.diverging if first.diverging else "Viridis",
        "cmin": _log10(low) if first.log else low,
        "cmax": _log10(high) if first.log else high,
        "colorbar": {
            "title": {"text": plain(title), "side": "right", "font": {"size": 12}},
            "tickfont": {"size": 12, "color": INK[paint.scheme].muted},
            "thickness": 12,
            "lenmode": "pixels",
            "len": _BAR,
            "y": 1,
            "yanchor": "top",
            "outlinewidth": 0,
            **(
                log_ticks([low, high] if values else [], exponents=True)
                if first.log
                else {"tickformat": ",.3~r"}
            ),
        },
    }


def _box(mark: Box, paint: Paint) -> Trace:
    colour, values = paint.colour(mark.colour), list(mark.values)
    return {
        "type": "box",
        "x": values,
        "name": plain(mark.name),
        "orientation": "h",
        "boxpoints": "all" if len(values) <= _MOST_POINTS else "outliers",
        "jitter": 0.5,
        "pointpos": 0,
        "width": 0.6,
        "text": [plain(text) for text in mark.texts],
        "marker": {
            "color": colour,
            "symbol": paint.symbol(mark.symbol),
            "size": 5,
            "opacity": 0.7,
        },
        "line": {"color": colour, "width": 1.6},
        "fillcolor": paint.fill(mark.colour),
        "hovertemplate": "%{text}: %{x:,.4~r}<extra></extra>",
        "hoveron": "points+boxes",
        "showlegend": False,
    }


def key_trace(key: Key, paint: Paint) -> Trace:
    """A trace without data, which explains a mark in the legend."""
    colour = paint.colour(key.colour)
    line, marker, mode = None, None, "markers"
    if key.kind == "line":
        mode = "lines+markers" if key.symbol else "lines"
        line = {"color": colour, "width": 2, "dash": key.dash}
        marker = {"symbol": paint.symbol(key.symbol), "size": 7, "color": colour}
    elif key.kind == "marker":
        symbol = paint.symbol(key.symbol or "circle")
        marker = {"symbol": symbol, "size": 8, "color": colour, "line": {"width": 1.2}}
    else:
        fill = paint.fill(key.colour, 0.25)
        marker = {"symbol": "square", "size": 12, "color": fill, "line": {"width": 0}}
    return {
        "type": "scatter",
        "x": [None],
        "y": [None],
        "name": plain(key.name),
        "mode": mode,
        "line": line,
        "marker": marker if mode != "lines" else None,
        "showlegend": True,
    }


def log_ticks(values: Sequence[float], *, exponents: bool = False) -> dict[str, Any]:
    """Ticks at 1, 2 and 5 of each power of ten, or at 1 alone over more than three powers."""
    if not values:
        return {}
    low, high = math.log10(min(values)), math.log10(max(values))
    steps = (1, 2, 5) if high - low <= 3 else (1,)
    powers = range(math.floor(low), math.ceil(high) + 1)
    ticks = [step * 10.0**power for power in powers for step in steps]
    if exponents:
        ticks = [tick for tick in ticks if low - 0.02 <= math.log10(tick) <= high + 0.02]
    return {
        "tickvals": [math.log10(tick) for tick in ticks] if exponents else ticks,
        "ticktext": [f"{tick:,g}" for tick in ticks],
    }
