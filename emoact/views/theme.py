"""Style of every figure: its look in light and in dark, one style for each emotion."""

from __future__ import annotations

import html
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go

from emoact.decode import straight

Scheme = Literal["light", "dark"]

FONT = '"Source Sans", "Source Sans 3", "Source Sans Pro", sans-serif'


@dataclass(frozen=True, kw_only=True)
class Ink:
    """The colours of a figure that belong to no emotion."""

    text: str
    muted: str
    grid: str
    axis: str
    surface: str
    page: str
    accent: str
    second: str
    """Another model beside one that has the accent."""
    bright: str = "#FFFFFF"
    """Lines over a scale from small to large."""


@dataclass(frozen=True, kw_only=True)
class EmotionStyle:
    """One colour and one marker shape, so that nothing depends on colour alone."""

    colour: str
    symbol: str


INK: Mapping[Scheme, Ink] = {
    "light": Ink(
        text="#0F151C",
        muted="#5A6572",
        grid="#E8ECF0",
        axis="#B4BDC7",
        surface="#FFFFFF",
        page="#FFFFFF",
        accent="#0E6E6B",
        second="#7A3FB5",
    ),
    "dark": Ink(
        text="#E8EAED",
        muted="#A3AEBA",
        grid="#2A3037",
        axis="#4A545F",
        surface="#1E2329",
        page="#14171B",
        accent="#5CC8C0",
        second="#BE8BF0",
    ),
}

# Amber, red, blue and grey stay at least 25 CIELAB units apart with protanopia, deuteranopia and
# tritanopia (tests/unit/plots); green beside grey, as in many palettes, does not.
_NAMED: Mapping[Scheme, Mapping[str, str]] = {
    "light": {
        "gratitude": "#C28500",
        "anger": "#B32D1F",
        "apology": "#2F6FDE",
        "neutral": "#767C85",
    },
    "dark": {
        "gratitude": "#F0B429",
        "anger": "#F2684C",
        "apology": "#6FA8FF",
        "neutral": "#9AA0A8",
    },
}
_FURTHER: Mapping[Scheme, tuple[str, ...]] = {
    "light": ("#7A3FB5", "#0C8F6E", "#D0509E", "#6E5A3C", "#1F93BC", "#7F8F14"),
    "dark": ("#BE8BF0", "#3CC79F", "#F38AC4", "#C4A57B", "#6CD3F2", "#C6D65B"),
}
_NAMED_SYMBOLS: Mapping[str, str] = {
    "gratitude": "circle",
    "anger": "triangle-up",
    "apology": "square",
    "neutral": "diamond",
}
_FURTHER_SYMBOLS = (
    "cross",
    "star",
    "pentagon",
    "hexagon",
    "triangle-down",
    "x",
    "bowtie",
    "hourglass",
    "star-square",
    "triangle-right",
    "triangle-left",
)


def emotion_order(labels: Iterable[str]) -> list[str]:
    """Every label once: the report's four in its order, then the others by name."""
    distinct = set(labels)
    named = [label for label in _NAMED_SYMBOLS if label in distinct and label != "neutral"]
    others = sorted(distinct - set(_NAMED_SYMBOLS))
    return [*named, *others, *(["neutral"] if "neutral" in distinct else [])]


def by_emotion(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Rows of each emotion, by layer where they have one, in the order of every page."""
    layer = [name for name in ("layer", "layer_a") if name in rows][:1]
    ordered = rows.sort_values(layer, kind="stable") if layer else rows
    return [(each, ordered[ordered["emotion"] == each]) for each in emotion_order(rows["emotion"])]


class _Styles(dict[str, EmotionStyle]):
    """Styles by label; a label that a page does not know of has the colour of its text.

    A result may be of an emotion whose file is gone, or never was there.
    """

    def __init__(self, scheme: Scheme) -> None:
        super().__init__()
        self._other = EmotionStyle(colour=INK[scheme].text, symbol="circle")

    def __missing__(self, _label: str) -> EmotionStyle:
        return self._other


def emotion_styles(labels: Iterable[str], scheme: Scheme) -> dict[str, EmotionStyle]:
    """A style for each label, in the order of `emotion_order`.

    The report's four emotions always keep theirs. Others take the next of a fixed sequence
    by name, so a page passes every label that it knows of and not only those it shows.
    """
    styles = _Styles(scheme)
    further = 0
    for label in emotion_order(labels):
        if label in _NAMED_SYMBOLS:
            styles[label] = EmotionStyle(colour=_NAMED[scheme][label], symbol=_NAMED_SYMBOLS[label])
            continue
        colours = _FURTHER[scheme]
        styles[label] = EmotionStyle(
            colour=colours[further % len(colours)],
            symbol=_FURTHER_SYMBOLS[further % len(_FURTHER_SYMBOLS)],
        )
        further += 1
    return styles


def mixed(scale: Sequence[Sequence[Any]], share: float) -> tuple[float, ...]:
    """Red, green and blue, 0 to 1, of a diverging scale at −1 to 1."""
    ends = [[int(str(colour)[at : at + 2], 16) / 255 for at in (1, 3, 5)] for _, colour in scale]
    far, size = ends[2 if share > 0 else 0], min(abs(share), 1.0)
    return tuple(a + size * (b - a) for a, b in zip(ends[1], far, strict=True))


def luminance(rgb: Sequence[float]) -> float:
    """Relative luminance of a colour (WCAG 2.2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def dressed(
    traces: Sequence[Mapping[str, Any]], layout: dict[str, Any], scheme: Scheme
) -> go.Figure:
    """A figure in the look of its scheme, which plotly draws once.

    Streamlit hands plotly a copy of every chart that is new. Plotly draws the copy too when it has
    a template, whatever is in it, or nothing says that the data are those already drawn.
    """
    ink = INK[scheme]
    axis = {
        "gridcolor": ink.grid,
        "linecolor": ink.axis,
        "tickcolor": ink.axis,
        "showline": True,
        "ticks": "outside",
        "ticklen": 4,
        "zeroline": False,
        "automargin": True,
        "title": {"font": {"size": 13, "color": ink.muted}, "standoff": 8},
        "tickfont": {"size": 12, "color": ink.muted},
    }
    look: dict[str, Any] = {
        "font": {"family": FONT, "size": 13, "color": ink.text},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "colorway": list(_NAMED[scheme].values()) + list(_FURTHER[scheme]),
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "hoverlabel": {
            "bgcolor": ink.surface,
            "bordercolor": ink.axis,
            "font": {"family": FONT, "size": 13, "color": ink.text},
            "namelength": -1,
        },
        "legend": {
            "orientation": "h",
            "yanchor": "bottom",
            "y": 1.0,
            "xanchor": "left",
            "x": 0.0,
            "font": {"size": 13, "color": ink.text},
            "itemsizing": "trace",
            "bgcolor": "rgba(0,0,0,0)",
        },
        "modebar": {
            "bgcolor": "rgba(0,0,0,0)",
            "color": ink.muted,
            "activecolor": ink.text,
        },
        **{name: axis for name in layout if name[1:5] == "axis"},
    }
    said = [_over({"font": look["font"]}, each) for each in layout.get("annotations", ())]
    layout = _over(look, {**layout, "annotations": said})
    traces = [_over({}, trace) for trace in traces]
    layout["datarevision"] = zlib.crc32(json.dumps([traces, layout], default=str).encode())
    # Checking every field takes longer than all else; the tests of the charts do.
    drawn = go.Figure({"data": traces, "layout": layout}, _validate=False)
    drawn.layout.template = None
    return drawn


def _over(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of both, those of `over` where both have one."""
    return {
        **under,
        **{
            name: _over(under.get(name) or {}, value) if isinstance(value, dict) else value
            for name, value in over.items()
            if value is not None
        },
    }


def plain(text: str) -> str:
    """Text as text: plotly reads a little HTML wherever it writes words."""
    return html.escape(straight(text), quote=False)
