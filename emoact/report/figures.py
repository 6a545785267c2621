"""Figures on paper: a `Chart` drawn by matplotlib, as SVG that is readable on light and dark."""

from __future__ import annotations

import io
import re
import threading
import unicodedata
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from emoact.report.figure_marks import DASHES, Drawing, draw_panel
from emoact.views.chart import Chart, Key, Line, Panel, Points

_WIDTH, _PANEL_HEIGHT = 940.0, 240.0
_LEFT, _RIGHT, _GAP = 66.0, 12.0, 62.0
_TITLE, _BELOW, _LEGEND_LINE = 26.0, 50.0, 22.0
_FONT = (
    "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue','Hiragino Sans','Yu Gothic',"
    "'Noto Sans CJK JP','Noto Sans JP',sans-serif"
)
_SETTINGS: Mapping[Any, Any] = {"svg.fonttype": "none", "font.family": ["DejaVu Sans"]}
_NOT_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_COLOURS = re.compile(r"(?:fill|stroke): #\w+;?\s*")
_SVG = "http://www.w3.org/2000/svg"
_LINK = "{http://www.w3.org/1999/xlink}href"
# matplotlib's settings belong to the process; two reports in threads take turns.
_LOCK = threading.Lock()


def to_svg(
    chart: Chart,
    *,
    name: str,
    title: str,
    labels: Sequence[str],
    say: Callable[[str], str] = str,
) -> str:
    """The chart as one `svg` element without script, with a colour scheme for light and for dark.

    Text stays text. The same chart gives the same bytes. `name` is unique among the figures of a
    page: letters, digits and hyphens. `title` is the figure in one sentence, for readers who cannot
    see it. The emotions among `labels` have the colours of every page.
    """
    drawing = Drawing(chart, labels, say)
    written = io.StringIO()
    with _LOCK, mpl.rc_context({**_SETTINGS, "svg.hashsalt": name}), warnings.catch_warnings():
        # Japanese is measured in a font that lacks it; the reader's own font shows it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = _figure(drawing)
        figure.savefig(
            written,
            format="svg",
            transparent=True,
            metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")),
        )
    return _finished(written.getvalue(), drawing, name=name, title=title)


def _figure(drawing: Drawing) -> Figure:
    chart = drawing.chart
    entries = [replace(key, name=drawing.say(key.name)) for key in _entries(chart)]
    places, legend_height = _legend_places(entries)
    heights = [float(h) for h in chart.heights] or [_PANEL_HEIGHT] * len(chart.rows)
    total = legend_height + sum(heights) + len(heights) * (_TITLE + _BELOW)
    figure = Figure(figsize=(_WIDTH / 72, total / 72), dpi=72)
    FigureCanvasSVG(figure)
    columns = max((len(row) for row in chart.rows), default=1)
    left = max([_LEFT, *(_names_width(panel) for row in chart.rows for panel in row)])
    gap = 26.0 if chart.share_y else _GAP
    width = (_WIDTH - left - _RIGHT - gap * (columns - 1)) / columns
    top = legend_height
    for row, height in zip(chart.rows, heights, strict=True):
        drawn: list[Axes] = []
        for column, panel in enumerate(row):
            x, y = left + column * (width + gap), total - top - _TITLE - height
            axes = figure.add_axes(
                (x / _WIDTH, y / total, width / _WIDTH, height / total), label=f"{len(figure.axes)}"
            )
            draw_panel(panel, axes, drawing)
            _title(panel, axes, drawing)
            drawn.append(axes)
            if column == 0 or panel.y.title != row[column - 1].y.title:
                axes.set_ylabel(drawing.axis_title(panel.y), parse_math=False)
        if chart.share_y:
            _share(drawn)
        top += height + _TITLE + _BELOW
    _legend(figure, entries, places, drawing, total)
    return figure


def _share(drawn: Sequence[Axes]) -> None:
    """Give the panels of a row one vertical range, named at the first."""
    edges = [edge for axes in drawn for edge in axes.get_ylim()]
    for axes in drawn:
        axes.set_ylim(*sorted((min(edges), max(edges)), reverse=bool(axes.yaxis_inverted())))
        axes.tick_params(labelleft=axes is drawn[0])


def _names_width(panel: Panel) -> float:
    return 30 + max(map(_text_width, panel.y.ticks or panel.y.categories), default=0.0)


def _title(panel: Panel, axes: Axes, drawing: Drawing) -> None:
    """The panel's title, after its emotions; in the colour of the emotion where there is one."""
    names = " – ".join(drawing.say(emotion) for emotion in panel.emotions)
    parts = (names, drawing.say(panel.lead), drawing.say(panel.title))
    role = f"emotion:{panel.emotions[0]}" if len(panel.emotions) == 1 else "text"
    axes.set_title(
        " · ".join(part for part in parts if part),
        loc="left",
        color=drawing.colour(role),
        fontsize=13,
        fontweight="bold",
        parse_math=False,
    )


def _entries(chart: Chart) -> list[Key]:
    """Entries of the legend: lines and points that ask for one, then the chart's own."""
    found: dict[str, Key] = {}
    for panel in (panel for row in chart.rows for panel in row):
        for mark in panel.marks:
            if isinstance(mark, Line | Points) and mark.legend and mark.name not in found:
                dash = mark.dash if isinstance(mark, Line) else "solid"
                kind = "line" if isinstance(mark, Line) else "marker"
                found[mark.name] = Key(
                    name=mark.name,
                    kind=kind,  # type: ignore[arg-type]
                    colour=mark.colour,
                    dash=dash,
                    symbol=mark.symbol or "",
                )
    return [*found.values(), *chart.key]


def _legend_places(entries: Sequence[Key]) -> tuple[list[tuple[float, float]], float]:
    """Left and top of each entry, and the height of all of them."""
    places, x, y = [], _LEFT, 14.0
    for entry in entries:
        needed = 34 + _text_width(entry.name)
        if x > _LEFT and x + needed > _WIDTH - _RIGHT:
            x, y = _LEFT, y + _LEGEND_LINE
        places.append((x, y))
        x += needed + 14
    return places, y + 14 if entries else 0.0


def _legend(
    figure: Figure,
    entries: Sequence[Key],
    places: Sequence[tuple[float, float]],
    drawing: Drawing,
    total: float,
) -> None:
    for entry, (left, down) in zip(entries, places, strict=True):
        colour = drawing.colour(entry.colour)
        x, y, wide = left / _WIDTH, 1 - down / total, 22 / _WIDTH
        if entry.kind == "band":
            alpha = 0.22 if entry.colour == "null" else 0.25
            size = 10 / total
            figure.add_artist(
                Rectangle((x, y - size / 2), wide, size, color=colour, alpha=alpha, linewidth=0)
            )
        else:
            hollow = entry.symbol.endswith("-open")
            figure.add_artist(
                Line2D(
                    [x, x + wide / 2, x + wide],
                    [y] * 3,
                    color=colour,
                    linewidth=2,
                    linestyle=DASHES[entry.dash] if entry.kind == "line" else "",
                    marker=drawing.symbol(entry.symbol) if entry.symbol else "",
                    markevery=[1],
                    markersize=6,
                    markerfacecolor=drawing.colour("page") if hollow else colour,
                )
            )
        figure.text(
            (left + 28) / _WIDTH,
            y,
            entry.name,
            color=drawing.colour("text"),
            fontsize=13,
            va="center_baseline",
            parse_math=False,
        )


def _finished(text: str, drawing: Drawing, *, name: str, title: str) -> str:
    """The SVG of matplotlib made small, named, described and readable on dark paper."""
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _LINK[1:].partition("}")[0])
    root = ET.fromstring(_NOT_XML.sub("", text))  # noqa: S314  written by matplotlib just now
    identifier = f"chart-{name}"
    _, _, width, height = str(root.get("viewBox")).split()
    root.attrib.clear()
    root.attrib.update(
        {
            "id": identifier,
            "class": "chart",
            "role": "img",
            "viewBox": f"0 0 {width} {height}",
            "aria-label": _NOT_XML.sub("", title),
        }
    )
    for element in list(root.iter()):
        element.tail = None
        if element.tag == f"{{{_SVG}}}style":
            element.text = _style(f"#{identifier}", drawing.pairs())
        elif element.tag != f"{{{_SVG}}}text":
            element.text = None
        if element.tag == f"{{{_SVG}}}g":
            element.attrib.pop("id", None)
        if element.tag == f"{{{_SVG}}}defs":
            # Each use of a marker names its colours; those of the marker itself would hide them
            # from the rules for dark paper.
            for marker in element.iter(f"{{{_SVG}}}path"):
                marker.set("style", _COLOURS.sub("", marker.get("style", "")))
        _shorten(element.attrib)
    return ET.tostring(root, encoding="unicode")


def _shorten(attributes: dict[str, str]) -> None:
    for key in ("x", "y", "d", "transform"):
        if key in attributes:
            shorter = re.sub(r"-?\d+\.\d+", _short, attributes[key])
            attributes[key] = " ".join(shorter.split())
    if attributes.get("transform", "").startswith("rotate(-0 "):
        del attributes["transform"]
    if "style" in attributes:
        attributes["style"] = re.sub(r"font-family: [^;]+;?\s*", "", attributes["style"])


def _short(number: re.Match[str]) -> str:
    return f"{float(number[0]):.1f}".removesuffix(".0")


def _style(me: str, pairs: Mapping[str, str]) -> str:
    """Rules of one figure: its font, and every colour on dark paper."""
    dark = "".join(
        f'{me} [style*="{what}: {light.lower()}"]{{{what}:{night}!important}}'
        for light, night in pairs.items()
        for what in ("fill", "stroke")
    )
    fixed = f"{me} *{{stroke-linejoin:round}}{me} text{{font-family:{_FONT}}}"
    return f"{fixed}@media screen and (prefers-color-scheme:dark){{{dark}}}"


def _text_width(text: str) -> float:
    """Estimated width of a text of 13 pixels; Chinese and Japanese letters are twice as wide."""
    return sum((13.0 if unicodedata.east_asian_width(c) in "WF" else 7.2 for c in text), 0.0)
