"""Layerwise norms: median and interquartile range over prompts, position 0 in panels of its own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from emoact import sites as known
from emoact.positions import NormKind
from emoact.schema import Site
from emoact.views.plots.theme import INK, EmotionStyle, Scheme, emotion_order, plain, template

KIND_TITLES: Mapping[NormKind, str] = {"l2": "L2 norm", "l1": "L1 norm", "rms": "RMS"}

_CONTENT_HEIGHT = 330
_FIRST_HEIGHT = 190
_ROW_GAP = 78
_MARGIN_TOP = 62
_MARGIN_BOTTOM = 54


@dataclass(frozen=True, kw_only=True)
class _Panel:
    model: str
    site: Site
    first: bool


def norm_figure(
    rows: Sequence[Any],
    *,
    styles: Mapping[str, EmotionStyle],
    scheme: Scheme = "light",
    log: bool = False,
    show_first: bool = False,
    unit: str = "model units",
) -> go.Figure:
    """One column for each site and one row for each model, layers from left to right.

    Lines are medians over prompts, bands the interquartile range. Each site has its line style; the
    residual stream is solid. Position 0 is dotted and has panels of its own under the others,
    because it may be hundreds of times larger.

    Args:
        rows: Of one kind of norm; `model` is what the panels are called.
        styles: A style for every emotion among the rows.
        scheme: Light or dark.
        log: Logarithmic norms.
        show_first: Draw position 0 too.
        unit: Of the norms, as the axes name it.
    """
    models = list(dict.fromkeys(row.model for row in rows))
    sites = known.in_order(row.site for row in rows)
    grid = [
        [_Panel(model=model, site=site, first=first) for site in sites]
        for model in models
        for first in ([False, True] if show_first else [False])
    ]
    figure = _empty_grid(grid, named=len(models) > 1)
    legend_of: set[str] = set()
    for row_number, panels in enumerate(grid, start=1):
        for column, panel in enumerate(panels, start=1):
            chosen = [
                row
                for row in rows
                if (row.model, row.site, row.position == "first")
                == (panel.model, panel.site, panel.first)
            ]
            draw = _first_traces if panel.first else _content_traces
            for trace in draw(chosen, styles, scheme):
                group = trace.legendgroup
                trace.showlegend = bool(trace.name) and not panel.first and group not in legend_of
                if trace.showlegend:
                    legend_of.add(group)
                figure.add_trace(trace, row=row_number, col=column)
    _finish(figure, rows, grid, scheme=scheme, log=log, unit=unit)
    return figure


def _empty_grid(grid: Sequence[Sequence[_Panel]], *, named: bool) -> go.Figure:
    heights = [_FIRST_HEIGHT if panels[0].first else _CONTENT_HEIGHT for panels in grid]
    total = sum(heights) + _ROW_GAP * (len(grid) - 1)
    figure = make_subplots(
        rows=len(grid),
        cols=len(grid[0]),
        row_heights=[float(height) for height in heights],
        vertical_spacing=_ROW_GAP / total if len(grid) > 1 else 0.0,
        horizontal_spacing=0.1,
        subplot_titles=[_title(panel, named=named) for panels in grid for panel in panels],
    )
    figure.update_layout(height=total + _MARGIN_TOP + _MARGIN_BOTTOM)
    return figure


def _title(panel: _Panel, *, named: bool) -> str:
    what = known.title(panel.site)
    if panel.first:
        what = f"{what}, position 0"
    return f"<b>{plain(panel.model)}</b>  {what}" if named else f"<b>{what}</b>"


def _content_traces(
    rows: Sequence[Any], styles: Mapping[str, EmotionStyle], scheme: Scheme
) -> Iterable[go.Scatter]:
    by_emotion = _by_emotion(rows)
    for emotion, own in by_emotion.items():
        yield _band(own, styles[emotion], scheme, group=emotion)
    for emotion, own in by_emotion.items():
        yield _line(own, styles[emotion], name=emotion, dash=known.site(own[0].site).dash)


def _first_traces(
    rows: Sequence[Any], styles: Mapping[str, EmotionStyle], scheme: Scheme
) -> Iterable[go.Scatter]:
    by_emotion = _by_emotion(rows)
    curves = list(by_emotion.values())
    if len(curves) > 1 and all(_coincide(curves[0], other) for other in curves[1:]):
        # After a BOS every prompt has the same position 0; four lines would hide three.
        style = EmotionStyle(colour=INK[scheme].text, symbol="circle")
        yield _line(curves[0], style, name="every emotion", dash="dot")
        return
    for emotion, own in by_emotion.items():
        yield _line(own, styles[emotion], name=emotion, dash="dot")


def _by_emotion(rows: Sequence[Any]) -> dict[str, list[Any]]:
    return {
        emotion: sorted((row for row in rows if row.emotion == emotion), key=lambda row: row.layer)
        for emotion in emotion_order(row.emotion for row in rows)
    }


def _coincide(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return len(one) == len(other) and all(
        math.isclose(a.median, b.median, rel_tol=1e-4) for a, b in zip(one, other, strict=True)
    )


def _line(rows: Sequence[Any], style: EmotionStyle, *, name: str, dash: str) -> go.Scatter:
    return go.Scatter(
        x=[row.layer for row in rows],
        y=[row.median for row in rows],
        customdata=[[row.q25, row.q75, row.n] for row in rows],
        name=plain(name),
        legendgroup=name,
        mode="lines+markers",
        line={"color": style.colour, "width": 2, "dash": dash},
        # A marker at every layer of a deep model would hide the dashes.
        marker={"symbol": style.symbol, "size": 7, "color": style.colour, "maxdisplayed": 12},
        hovertemplate=(
            "%{y:,.3~r} (quartiles %{customdata[0]:,.3~r} to %{customdata[1]:,.3~r}, "
            "%{customdata[2]} prompts)"
        ),
    )


def _band(rows: Sequence[Any], style: EmotionStyle, scheme: Scheme, *, group: str) -> go.Scatter:
    x: list[float | None] = []
    y: list[float | None] = []
    for stretch in _finite_stretches(rows):
        if x:
            x.append(None)
            y.append(None)
        x += [row.layer for row in stretch] + [row.layer for row in reversed(stretch)]
        y += [row.q75 for row in stretch] + [row.q25 for row in reversed(stretch)]
    return go.Scatter(
        x=x,
        y=y,
        fill="toself",
        fillcolor=style.band(scheme),
        line={"width": 0, "color": style.colour},
        mode="lines",
        hoverinfo="skip",
        legendgroup=group,
        showlegend=False,
    )


def _finite_stretches(rows: Sequence[Any]) -> Iterable[list[Any]]:
    stretch: list[Any] = []
    for row in rows:
        if math.isfinite(row.q25) and math.isfinite(row.q75):
            stretch.append(row)
        elif stretch:
            yield stretch
            stretch = []
    if stretch:
        yield stretch


def _finish(
    figure: go.Figure,
    rows: Sequence[Any],
    grid: Sequence[Sequence[_Panel]],
    *,
    scheme: Scheme,
    log: bool,
    unit: str,
) -> None:
    kind = KIND_TITLES[rows[0].norm] if rows else KIND_TITLES["l2"]
    figure.update_layout(
        template=template(scheme),
        hovermode="x unified",
        margin={"l": 8, "r": 8, "t": _MARGIN_TOP, "b": _MARGIN_BOTTOM},
        legend={"y": 1.0, "yref": "container", "yanchor": "top"},
    )
    figure.update_annotations(xanchor="left", font={"size": 13, "color": INK[scheme].text})
    for row_number, panels in enumerate(grid, start=1):
        for column, panel in enumerate(panels, start=1):
            axis = figure.get_subplot(row_number, column)
            last = max((row.layer for row in rows if row.model == panel.model), default=0)
            axis.xaxis.update(
                title={"text": "layer"},
                range=[-0.4, last + 0.4],
                dtick=_layer_step(last),
                tick0=0,
                unifiedhovertitle={"text": "layer %{x}"},
            )
            axis.yaxis.update(
                title={
                    "text": f"median {kind}, {unit}{', log scale' if log else ''}"
                    if not panel.first
                    else f"{kind}{', log scale' if log else ''}"
                },
                type="log" if log else "linear",
                rangemode="normal" if log else "tozero",
                tickformat=",.3~r",
            )
            if log:
                ticks = _log_ticks(_drawn(rows, panel))
                axis.yaxis.update(tickvals=ticks, ticktext=[f"{tick:,g}" for tick in ticks])
    for annotation, panel in zip(
        figure.layout.annotations, (panel for panels in grid for panel in panels), strict=True
    ):
        row_number = next(i for i, panels in enumerate(grid, start=1) if panel in panels)
        column = grid[row_number - 1].index(panel) + 1
        annotation.x = figure.get_subplot(row_number, column).xaxis.domain[0]


def _drawn(rows: Sequence[Any], panel: _Panel) -> list[float]:
    own = [
        row
        for row in rows
        if (row.model, row.site, row.position == "first") == (panel.model, panel.site, panel.first)
    ]
    values = [value for row in own for value in (row.q25, row.median, row.q75)]
    return [value for value in values if math.isfinite(value) and value > 0]


def _log_ticks(values: Sequence[float]) -> list[float]:
    if not values:
        return []
    low, high = math.log10(min(values)), math.log10(max(values))
    steps = (1, 2, 5) if high - low <= 2 else (1,)
    powers = range(math.floor(low), math.ceil(high) + 1)
    return [step * 10.0**power for power in powers for step in steps]


def _layer_step(last: int) -> int:
    return next((step for step in (1, 2, 5, 10) if last / step <= 12), 20)
