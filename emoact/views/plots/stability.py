"""How far a direction agrees with itself when it is made of other prompts."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from emoact.views.plots.norms import SITE_TITLES
from emoact.views.plots.panels import (
    Panel,
    band,
    key_line,
    layer_axis,
    level,
    line,
    panel_figure,
    span,
    wrapped,
)
from emoact.views.plots.theme import INK, EmotionStyle, Scheme, emotion_order, plain

STABILITY_TITLES: Mapping[str, str] = {
    "split_half": "split half",
    "leave_one_out": "one scenario left out",
    "pairwise": "within-scenario differences",
}
"""Columns of the table `stability` in the order of the legend."""

_DASHES = {"split_half": "solid", "leave_one_out": "dot", "pairwise": "dashdot"}


def drawn_stability(table: pd.DataFrame) -> pd.DataFrame:
    """Exactly what `stability_figure` draws, one row per (emotion, site, layer).

    Args:
        table: Rows of the table `stability` of one model.
    """
    columns = [
        "model", "emotion", "site", "layer", "split_half", "split_half_low", "split_half_high",
        "leave_one_out", "leave_one_out_min", "pairwise",
    ]  # fmt: skip
    return table[columns].reset_index(drop=True)


def stability_figure(
    drawn: pd.DataFrame, *, styles: Mapping[str, EmotionStyle], scheme: Scheme = "light"
) -> go.Figure:
    """Three cosines by layer; the one with a scenario left out never stands alone.

    Args:
        drawn: From `drawn_stability`.
        styles: A style for every emotion among the rows.
        scheme: Light or dark.
    """
    ink = INK[scheme]
    sites = [site for site in SITE_TITLES if site in set(drawn["site"])]
    reach = span(drawn["split_half_low"], drawn["pairwise"], at_least=(0.0, 1.0))
    rows: list[list[Panel]] = []
    for site in sites:
        panels = []
        own = drawn[drawn["site"] == site]
        for emotion in emotion_order(own["emotion"]):
            part = own[own["emotion"] == emotion].sort_values("layer")
            layers = part["layer"].tolist()
            style = styles[emotion]
            low, high = part["split_half_low"], part["split_half_high"]
            traces = [
                level(0.0, layers, colour=ink.muted),
                band(layers, low.tolist(), high.tolist(), fill=style.band(scheme)),
            ]
            for column, title in STABILITY_TITLES.items():
                traces.append(
                    line(
                        layers,
                        part[column].tolist(),
                        colour=style.colour if column == "split_half" else ink.muted,
                        name=title,
                        dash=_DASHES[column],
                        symbol=style.symbol if column == "split_half" else None,
                        width=2.0 if column == "split_half" else 1.5,
                        hover="%{y:.3f}",
                    )
                )
            panels.append(
                Panel(
                    title=f"<b>{plain(emotion)}</b>  {SITE_TITLES[site]}",
                    traces=traces,
                    x=layer_axis(layers),
                    y={"title": {"text": "cosine"}, "range": reach},
                )
            )
        rows += wrapped(panels)
    key = [
        key_line(
            f"{title}, 95 % of splits" if column == "split_half" else title,
            ink.text if column == "split_half" else ink.muted,
            dash=_DASHES[column],
        )
        for column, title in STABILITY_TITLES.items()
    ]
    return panel_figure(rows, scheme=scheme, key=key)
