"""Throughput of a run over its working time."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from emoact.views.theme import INK, Scheme, template

_LINE = {"light": "#0E6E6B", "dark": "#5CC8C0"}
_FILL = {"light": "rgba(14,110,107,0.12)", "dark": "rgba(92,200,192,0.16)"}


def throughput_figure(
    history: Sequence[tuple[float, float]], *, scheme: Scheme = "light", height: int = 96
) -> go.Figure:
    """A small area of tokens/s against elapsed seconds, from zero.

    Args:
        history: (elapsed seconds, tokens/s), at least one point.
        scheme: Light or dark.
        height: Pixels.
    """
    seconds = [point[0] for point in history]
    rates = [point[1] for point in history]
    ink = INK[scheme]
    figure = go.Figure(
        go.Scatter(
            x=seconds,
            y=rates,
            mode="lines+markers" if len(history) == 1 else "lines",
            line={"color": _LINE[scheme], "width": 2},
            fill="tozeroy",
            fillcolor=_FILL[scheme],
            hovertemplate="%{y:,.3~r} tokens/s after %{x:.0f} s<extra></extra>",
        )
    )
    small = {"size": 11, "color": ink.muted}
    figure.update_layout(
        template=template(scheme),
        height=height,
        showlegend=False,
        margin={"l": 4, "r": 16, "t": 6, "b": 4},
    )
    figure.update_xaxes(
        ticksuffix=" s", nticks=4, tickfont=small, showgrid=False, fixedrange=True, tickformat="d"
    )
    figure.update_yaxes(
        title={"text": "tokens/s", "font": small, "standoff": 4},
        rangemode="tozero",
        nticks=3,
        tickfont=small,
        fixedrange=True,
        tickformat=",.3~r",
    )
    return figure
