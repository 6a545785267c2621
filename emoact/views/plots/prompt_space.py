"""Prompts as points on principal axes, in two or three dimensions."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from emoact import sites as known
from emoact.views.plots.panels import Panel, panel_figure, span
from emoact.views.plots.theme import INK, EmotionStyle, Scheme, emotion_order, plain, template

BASES: Mapping[str, str] = {"fixed": "one for all layers", "per_layer": "each layer's own"}
_HEIGHT = 460
_HOVER_WIDTH = 56
_IN_SPACE = {"circle": "circle", "triangle-up": "cross", "square": "square", "diamond": "diamond"}
"""Markers in three dimensions: there is no triangle there."""


def drawn_points(
    points: pd.DataFrame, texts: Mapping[tuple[str, str], str], *, layer: int, basis: str
) -> pd.DataFrame:
    """Exactly what is drawn at one layer, one row per (site, prompt), with the prompts' texts.

    Args:
        points: Rows of the table `points` of one model.
        texts: By emotion and prompt id; prompts without one are shown by their id.
        layer: Which layer.
        basis: Key of `BASES`.
    """
    here = points[(points["layer"] == layer) & (points["basis"] == basis)]
    keys = zip(here["emotion"], here["prompt_id"], strict=True)
    return here.assign(text=[texts.get(key, "") for key in keys]).reset_index(drop=True)


def axis_ranges(
    points: pd.DataFrame, *, basis: str, layer: int | None
) -> dict[tuple[str, str], list[Any]]:
    """A range for every (site, axis).

    Args:
        points: Rows of the table `points` of one model.
        basis: Key of `BASES`.
        layer: Fit the points of this layer; None to fit those of every layer, so that a slider over
            layers moves the points and not the axes.
    """
    own = points[points["basis"] == basis]
    if layer is not None:
        own = own[own["layer"] == layer]
    return {
        (site, axis): span(part[axis])
        for site, part in own.groupby("site")
        for axis in ("pc1", "pc2", "pc3")
    }


def space_figure(
    drawn: pd.DataFrame,
    axes: pd.DataFrame,
    ranges: Mapping[tuple[str, str], list[Any]],
    *,
    styles: Mapping[str, EmotionStyle],
    scheme: Scheme = "light",
    solid: bool = False,
) -> go.Figure:
    """One panel for each site; hovering a point shows its prompt, as text and not as markup.

    Args:
        drawn: From `drawn_points`.
        axes: Rows of the table `axes` of the same model, layer and basis.
        ranges: From `axis_ranges`.
        styles: A style for every emotion among the rows.
        scheme: Light or dark.
        solid: Three dimensions.
    """
    sites = list(known.in_order(drawn["site"]))
    # With fewer prompts or dimensions than axes the last ones hold nothing.
    shares: dict[tuple[str, str], float]
    shares = {(site, axis): math.nan for site in sites for axis in ("pc1", "pc2", "pc3")}
    shares |= {(row.site, f"pc{row.axis + 1}"): float(row.explained) for row in axes.itertuples()}
    if solid:
        return _solid(drawn, sites, shares, ranges, styles, scheme)
    panels = []
    for site in sites:
        own = drawn[drawn["site"] == site]
        panels.append(
            Panel(
                title=f"<b>{known.title(site)}</b>",
                traces=[
                    go.Scatter(
                        x=part["pc1"].tolist(),
                        y=part["pc2"].tolist(),
                        marker={"symbol": styles[emotion].symbol, "size": 8, "opacity": 0.85},
                        **_points(part, emotion, styles, show=site == sites[0]),
                    )
                    for emotion, part in _by_emotion(own)
                ],
                x={
                    "title": {"text": _axis("pc1", shares[site, "pc1"])},
                    "range": ranges[site, "pc1"],
                },
                y={
                    "title": {"text": _axis("pc2", shares[site, "pc2"])},
                    "range": ranges[site, "pc2"],
                },
            )
        )
    figure = panel_figure([panels], scheme=scheme, height=_HEIGHT, gap=0.09)
    for column, site in enumerate(sites, start=1):
        axis = figure.get_subplot(1, column).yaxis
        axis.update(title={"text": _axis("pc2", shares[site, "pc2"])}, showticklabels=True)
    return figure.update_layout(
        hovermode="closest", showlegend=True, margin_t=72, height=figure.layout.height + 28
    )


def _solid(
    drawn: pd.DataFrame,
    sites: list[Any],
    shares: Mapping[tuple[str, str], float],
    ranges: Mapping[tuple[str, str], list[Any]],
    styles: Mapping[str, EmotionStyle],
    scheme: Scheme,
) -> go.Figure:
    ink = INK[scheme]
    figure = go.Figure()
    for number, site in enumerate(sites):
        scene = "scene" if number == 0 else f"scene{number + 1}"
        own = drawn[drawn["site"] == site]
        for emotion, part in _by_emotion(own):
            symbol = _IN_SPACE.get(styles[emotion].symbol, "x")
            figure.add_trace(
                go.Scatter3d(
                    x=part["pc1"].tolist(),
                    y=part["pc2"].tolist(),
                    z=part["pc3"].tolist(),
                    scene=scene,
                    marker={"symbol": symbol, "size": 4, "opacity": 0.9},
                    **_points(part, emotion, styles, show=number == 0),
                )
            )
        width = 1 / len(sites)
        look = {"gridcolor": ink.grid, "backgroundcolor": "rgba(0,0,0,0)", "color": ink.muted}
        figure.update_layout(
            {
                scene: {
                    "domain": {"x": [number * width, (number + 1) * width - 0.01], "y": [0, 0.95]},
                    "aspectmode": "cube",
                    "camera": {"eye": {"x": 1.5, "y": 1.5, "z": 0.9}},
                    **{
                        f"{axis}axis": {
                            "title": {"text": _axis(name, shares[site, name], short=True)},
                            "range": ranges[site, name],
                            **look,
                        }
                        for axis, name in zip("xyz", ("pc1", "pc2", "pc3"), strict=True)
                    },
                }
            }
        )
        figure.add_annotation(
            text=f"<b>{known.title(site)}</b>",
            x=number * width, y=1.0, xref="paper", yref="paper", xanchor="left",
            showarrow=False,
        )  # fmt: skip
    return figure.update_layout(
        template=template(scheme),
        height=_HEIGHT + 130,
        margin={"l": 8, "r": 8, "t": 56, "b": 12},
        legend={"y": 1.0, "yref": "container", "yanchor": "top"},
    )


def _by_emotion(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(name, rows[rows["emotion"] == name]) for name in emotion_order(rows["emotion"])]


def _points(
    part: pd.DataFrame, emotion: str, styles: Mapping[str, EmotionStyle], *, show: bool
) -> dict[str, Any]:
    return {
        "mode": "markers",
        "name": plain(emotion),
        "legendgroup": emotion,
        "showlegend": show,
        "marker_color": styles[emotion].colour,
        "customdata": part[["emotion", "prompt_id"]].to_numpy().tolist(),
        "hovertext": [hover_text(row.text or row.prompt_id, emotion) for row in part.itertuples()],
        "hovertemplate": "%{hovertext}<extra></extra>",
    }


def hover_text(text: str, emotion: str) -> str:
    """The prompt in lines, with every character that plotly would read as markup spelt out."""
    lines = textwrap.wrap(text, _HOVER_WIDTH) or [""]
    return "<br>".join([*(plain(line) for line in lines), f"<i>{plain(emotion)}</i>"])


def _axis(name: str, share: float, *, short: bool = False) -> str:
    number = name.removeprefix("pc")
    if not math.isfinite(share):
        return f"PC {number}"
    return f"PC {number} ({share:.1%})" if short else f"PC {number}, {share:.1%} of the variance"
