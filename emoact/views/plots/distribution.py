"""How values are spread within each class, and over the dimensions of a layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from emoact.views.plots.theme import INK, EmotionStyle, Scheme, emotion_order, plain, template

_MOST_POINTS = 300


def box_figure(
    values: Mapping[str, Sequence[float]],
    names: Mapping[str, Sequence[str]],
    *,
    styles: Mapping[str, EmotionStyle],
    scheme: Scheme,
    title: str,
    log: bool,
) -> go.Figure:
    """One box for each emotion, with every value as a point, or the far ones where there are many.

    Args:
        values: By emotion.
        names: What each value is of, by emotion; said on hover.
        styles: By emotion.
        scheme: Light or dark.
        title: Of the axis.
        log: Logarithmic axis.
    """
    figure = go.Figure()
    for emotion in reversed(emotion_order(values)):
        own = list(values[emotion])
        figure.add_trace(
            go.Box(
                x=own,
                name=plain(emotion),
                orientation="h",
                boxpoints="all" if len(own) <= _MOST_POINTS else "outliers",
                jitter=0.5,
                pointpos=0,
                width=0.6,
                text=[plain(name) for name in names[emotion]],
                marker={
                    "color": styles[emotion].colour,
                    "symbol": styles[emotion].symbol,
                    "size": 5,
                    "opacity": 0.7,
                },
                line={"color": styles[emotion].colour, "width": 1.6},
                fillcolor=styles[emotion].band(scheme),
                hovertemplate="%{text}: %{x:,.4~r}<extra></extra>",
                hoveron="points+boxes",
                showlegend=False,
            )
        )
    figure.update_layout(
        template=template(scheme),
        height=110 + 84 * max(len(values), 1),
        margin={"l": 8, "r": 8, "t": 12, "b": 54},
        hovermode="closest",
    )
    figure.update_xaxes(
        title={"text": title + (", log scale" if log else "")},
        type="log" if log else "linear",
        tickformat=",.3~r",
    )
    if log:
        figure.update_xaxes(dtick=1)
    return figure


def dimension_figure(
    typical: Mapping[str, np.ndarray],
    *,
    styles: Mapping[str, EmotionStyle],
    scheme: Scheme,
    threshold: float,
    named: Sequence[int],
) -> go.Figure:
    """Median magnitude of every dimension, one point for each emotion, on a logarithmic axis.

    Args:
        typical: `[d_model]` by emotion.
        styles: By emotion.
        scheme: Light or dark.
        threshold: From here on a dimension is rogue; drawn as a line.
        named: Dimensions whose number is written beside them.
    """
    figure = go.Figure()
    highest = np.zeros(0)
    for emotion in emotion_order(typical):
        own = np.where(typical[emotion] > 0, typical[emotion], np.nan)
        highest = np.fmax(highest, own) if len(highest) else own
        figure.add_trace(
            go.Scatter(
                x=list(range(len(own))),
                y=own.tolist(),
                mode="markers",
                name=plain(emotion),
                marker={
                    "color": styles[emotion].colour,
                    "symbol": styles[emotion].symbol,
                    "size": 5,
                    "opacity": 0.75,
                },
                hovertemplate="dimension %{x}: %{y:,.4~r}",
            )
        )
    if np.isfinite(threshold) and threshold > 0:
        figure.add_trace(
            go.Scatter(
                x=[-4, len(highest) + 3],
                y=[threshold, threshold],
                mode="lines",
                name="10 times the median dimension",
                line={"color": INK[scheme].muted, "width": 1.2, "dash": "dot"},
                hoverinfo="skip",
            )
        )
    for dim in named:
        figure.add_annotation(
            x=dim,
            y=float(np.log10(highest[dim])),
            text=str(dim),
            showarrow=False,
            yshift=11,
            font={"size": 12, "color": INK[scheme].text},
        )
    figure.update_layout(
        template=template(scheme),
        height=420,
        margin={"l": 8, "r": 8, "t": 40, "b": 54},
        hovermode="closest",
        legend={"y": 1.0, "yref": "container", "yanchor": "top"},
    )
    figure.update_xaxes(title={"text": "dimension"}, showgrid=False, range=[-4, len(highest) + 3])
    figure.update_yaxes(
        title={"text": "median magnitude over content, model units, log scale"},
        type="log",
        tickformat=",~g",
        dtick="D2",
    )
    return figure
