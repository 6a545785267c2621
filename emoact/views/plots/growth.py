"""How the residual stream grows from layer to layer, and how much of each step the MLP makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from emoact.views.plots.panels import Panel, band, key_line, layer_axis, level, line, panel_figure
from emoact.views.plots.theme import INK, EmotionStyle, Scheme, emotion_order, plain

_HEIGHT = 250


def growth_figure(
    rows: Sequence[Mapping[str, Any]],
    *,
    styles: Mapping[str, EmotionStyle],
    scheme: Scheme,
) -> go.Figure:
    """Two panels for each model: growth factor and the MLP's share, medians with quartiles.

    Args:
        rows: As from `growth_rows`.
        styles: By emotion.
        scheme: Light or dark.
    """
    models = list(dict.fromkeys(str(row["model"]) for row in rows))
    emotions = emotion_order(str(row["emotion"]) for row in rows)
    panels = []
    for model in models:
        own = [row for row in rows if row["model"] == model]
        layers = sorted({int(row["layer"]) for row in own})
        named = f"<b>{plain(model)}</b>  " if len(models) > 1 else ""
        for name, title, label, at, scale in (
            # The first step may be twenty times the others.
            (
                "growth",
                "Growth factor",
                "next norm / norm, log scale",
                1.0,
                {"type": "log", "dtick": "D2"},
            ),
            ("mlp_share", "Share of the MLP in the step", "share of the step", 0.5, {}),
        ):
            traces = [level(at, layers, colour=INK[scheme].muted)]
            for emotion in emotions:
                mine = sorted(
                    (row for row in own if row["emotion"] == emotion), key=lambda r: r["layer"]
                )
                traces += _traces(mine, name, styles[emotion], scheme, emotion)
            panels.append(
                [
                    Panel(
                        title=f"{named}<b>{title}</b>",
                        traces=traces,
                        x=layer_axis(layers),
                        y={"title": {"text": label}, "tickformat": ",.3~r", **scale},
                    )
                ]
            )
    return panel_figure(
        panels,
        scheme=scheme,
        height=_HEIGHT,
        key=[
            key_line(plain(emotion), styles[emotion].colour, symbol=styles[emotion].symbol)
            for emotion in emotions
        ],
    )


def _traces(
    rows: Sequence[Mapping[str, Any]], name: str, style: EmotionStyle, scheme: Scheme, emotion: str
) -> list[go.Scatter]:
    x = [float(row["layer"]) for row in rows]
    low, high = ([float(row[f"{name}_{end}"]) for row in rows] for end in ("q25", "q75"))
    return [
        band(x, low, high, fill=style.band(scheme)),
        line(
            x,
            [float(row[f"{name}_median"]) for row in rows],
            colour=style.colour,
            name=plain(emotion),
            symbol=style.symbol,
            customdata=[[a, b] for a, b in zip(low, high, strict=True)],
            hover="%{y:,.3~r} (quartiles %{customdata[0]:,.3~r} to %{customdata[1]:,.3~r})",
        ),
    ]
