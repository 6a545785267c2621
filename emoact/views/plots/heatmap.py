"""Norms by layer and position, or by layer and token, as a field of colours."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from emoact.views.plots.theme import INK, Scheme, plain, template

_LAYER_HEIGHT = 15
_SMALLEST, _LARGEST = 260, 620


def norm_heatmap(
    values: Float[np.ndarray, "layer column"],
    *,
    columns: Sequence[str],
    column_title: str,
    value_title: str,
    hover: Sequence[str],
    scheme: Scheme,
    log: bool,
) -> go.Figure:
    """Layers from bottom to top, positions or tokens from left to right; gaps where there is none.

    Args:
        values: Norms; NaN where there is none.
        columns: What stands below each column.
        column_title: What the columns are.
        value_title: What the colours are.
        hover: What the hover says of each column.
        scheme: Light or dark.
        log: Colours by the logarithm; the hover tells the norm itself.
    """
    finite = values[np.isfinite(values) & (values > 0)] if log else values[np.isfinite(values)]
    with np.errstate(divide="ignore", invalid="ignore"):
        shown = np.log10(values) if log else values
    shown = np.where(np.isfinite(shown), shown, np.nan)
    n_layers, n_columns = values.shape
    said = np.broadcast_to(np.array([plain(one) for one in hover], dtype=object), values.shape)
    figure = go.Figure(
        go.Heatmap(
            z=[[None if math.isnan(v) else float(v) for v in row] for row in shown],
            x=list(range(n_columns)),
            y=list(range(n_layers)),
            customdata=np.stack([values.astype(object), said], axis=-1).tolist(),
            colorscale="Viridis",
            hovertemplate="layer %{y}, %{customdata[1]}: %{customdata[0]:,.4~r}<extra></extra>",
            colorbar={
                "title": {"text": value_title + (", log scale" if log else ""), "side": "right"},
                "thickness": 14,
                "outlinewidth": 0,
                "tickfont": {"size": 12, "color": INK[scheme].muted},
                **(_log_ticks(finite) if log else {"tickformat": ",.3~r"}),
            },
        )
    )
    long = max((len(text) for text in columns), default=0) > 3
    figure.update_layout(
        template=template(scheme),
        height=min(max(_LAYER_HEIGHT * n_layers, _SMALLEST), _LARGEST) + (110 if long else 70),
        margin={"l": 8, "r": 8, "t": 12, "b": 96 if long else 54},
        hovermode="closest",
    )
    figure.update_xaxes(
        title={"text": column_title},
        tickvals=list(range(n_columns)),
        ticktext=[plain(text) for text in columns],
        tickangle=-60 if long else 0,
        showgrid=False,
    )
    step = next((step for step in (1, 2, 5, 10) if n_layers / step <= 16), 20)
    figure.update_yaxes(title={"text": "layer"}, dtick=step, tick0=0, showgrid=False)
    return figure


def token_label(text: str, most: int = 14) -> str:
    """A token as it may stand on an axis: spaces and line breaks visible, long ones cut."""
    shown = text.replace("Ġ", "␣").replace("▁", "␣").replace(" ", "␣").replace("\n", "⏎")
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def _log_ticks(values: np.ndarray) -> dict[str, list[float] | list[str]]:
    if not len(values):
        return {}
    low, high = math.log10(float(values.min())), math.log10(float(values.max()))
    steps = (1, 2, 5) if high - low <= 3 else (1,)
    ticks = [s * 10.0**p for p in range(math.floor(low), math.ceil(high) + 1) for s in steps]
    kept = [tick for tick in ticks if low - 0.02 <= math.log10(tick) <= high + 0.02]
    return {
        "tickvals": [math.log10(tick) for tick in kept],
        "ticktext": [f"{tick:,g}" for tick in kept],
    }
