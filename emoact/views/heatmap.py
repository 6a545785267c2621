"""Median norms by layer and position."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from emoact import numbers
from emoact.sites import words
from emoact.stats.norms.norm_tables import TOGETHER, NormTable
from emoact.views.activations import (
    EMOTION,
    FIRST,
    KIND_TITLES,
    MODELS,
    NORM,
    SCALE,
    SITES,
    Activations,
    norm_terms,
    one,
)
from emoact.views.chart import Axis, Cells, Chart, Panel
from emoact.views.text import mono
from emoact.views.view import Choice, Control, Shown, View

_LAYER_HEIGHT, _SMALLEST, _LARGEST = 15, 260, 620
_EMOTION = dataclasses.replace(
    EMOTION, options=lambda source, choice: [TOGETHER, *source.emotions(choice)]
)


CELLS = Control[Activations](
    name="cells",
    label="Cells",
    kind="one",
    options=lambda _source, _choice: ("relative", "raw"),
    help="relative divides by the median of the layer, so that positions can be compared at every "
    "layer; raw has the norms themselves, of which the last layers are the largest.",
)
RAW_SCALE = dataclasses.replace(SCALE, when=lambda _source, choice: choice["cells"] == "raw")
"""Ratios to the median are coloured by their logarithm, so that half is as far from 1 as twice."""
_LEAST, _SHOWN = 2.0, 99
"""Ratio at which the colours end at least, and percentile of the cells that they distinguish."""


def grid_chart(
    values: np.ndarray,
    *,
    columns: Sequence[str],
    column_title: str,
    title: str,
    hover: Sequence[str],
    log: bool = False,
    end: float | None = None,
) -> Chart:
    """Layers from bottom to top, positions or tokens from left to right.

    `values` are norms `[layer, column]`, NaN where there is none; `log` colours them by their
    logarithm, and the hover has the norm itself. `end` is the ratio at which the colours end above
    1, and below it its inverse.
    """
    n_layers, n_columns = values.shape
    cells = Cells(
        values=values.tolist(),
        x=list(range(n_columns)),
        y=list(range(n_layers)),
        title=title,
        log=log or end is not None,
        diverging=end is not None,
        low=end and 1 / end,
        high=end,
        hover="layer %{y}, %{customdata[1]}: %{customdata[0]:,.4~r}",
        data=[list(hover)] * n_layers,
    )
    panel = Panel(
        marks=[cells],
        x=Axis(title=column_title, ticks=list(columns)),
        y=Axis(title="layer", scale="layer"),
    )
    height = min(max(_LAYER_HEIGHT * n_layers, _SMALLEST), _LARGEST)
    return Chart(rows=[[panel]], heights=[height], unified=False)


def _wanted(choice: Choice) -> NormTable:
    (folder, site), emotion = one(choice), choice["emotion"]
    return NormTable(
        by="position",
        norm=choice["norm"],
        models=(folder,),
        emotions=() if emotion == TOGETHER else (emotion,),
        sites=(site,),
        content=not choice["first"],
        together=emotion == TOGETHER,
    )


def show(source: Activations, choice: Choice) -> Shown:
    """Table and chart."""
    (folder, site), emotion = one(choice), choice["emotion"]
    kind, units = KIND_TITLES[choice["norm"]], source.of_one(choice)
    rows = _wanted(choice).frame(units) if units else pd.DataFrame()
    chart, end = None, None
    if len(rows):
        grid = of_layer(_grid(rows), choice)
        end = last_ratio(grid, choice)
        counts = rows.groupby("position")["n"].first()
        chart = grid_chart(
            grid.to_numpy(),
            columns=[str(position) for position in grid.columns],
            column_title="position",
            title=f"median {kind}{of_layer_words(choice)}",
            hover=[
                f"position {p}, {numbers.plural(int(counts[p]), 'prompt')}" for p in grid.columns
            ],
            log=choice.get("scale") == "log",
            end=end,
        )
    return Shown(
        table=rows,
        chart=chart,
        caption=f"Median {kind}{of_layer_words(choice)} of the {words(site)} by layer and "
        f"position, over the prompts of {emotion} that are long enough.{end_words(end)}",
        columns="norms_position",
        name=f"norms-by-position-{folder}-{site}",
    )


def of_layer(grid: pd.DataFrame, choice: Choice) -> pd.DataFrame:
    """The norms `[layer, column]`, or their ratio to the median of each layer."""
    if choice["cells"] == "raw":
        return grid
    return grid.div(grid.median(axis=1), axis=0).replace(np.inf, np.nan)


def of_layer_words(choice: Choice) -> str:
    """Divisor of `of_layer`, for titles."""
    return " / median of the layer" if choice["cells"] == "relative" else ""


def last_ratio(grid: pd.DataFrame, choice: Choice) -> float | None:
    """The ratio at which the colours end; None of raw norms."""
    return None if choice["cells"] == "raw" else farthest(grid.to_numpy())


def farthest(ratios: np.ndarray) -> float | None:
    """The ratio from 1 that holds nearly all of them, at least 2; None where there is none."""
    ratios = ratios[np.isfinite(ratios) & (ratios > 0)]
    if not len(ratios):
        return None
    return max(_LEAST, float(np.exp(np.percentile(np.abs(np.log(ratios)), _SHOWN))))


def end_words(end: float | None) -> str:
    """Sentence of a caption on where the colours end."""
    if end is None:
        return ""
    shown = f"{end:.2g}"
    return f" The colours part at the median and end at {shown} times and at 1/{shown} of it."


def answer(_source: Activations, choice: Choice, shown: Shown) -> list[str]:
    """The layer at which one position differs most from the others."""
    if shown.chart is None:
        return []
    grid = _grid(shown.table)
    rows = grid.to_numpy()
    if rows.shape[1] < 2 or not np.isfinite(rows).any():
        return []
    with np.errstate(invalid="ignore"):
        spread = np.nanmax(rows, axis=1) / np.nanmedian(rows, axis=1)
    layer = int(np.nanargmax(spread))
    position = grid.columns[int(np.nanargmax(rows[layer]))]
    there = (shown.table["layer"] == layer) & (shown.table["position"] == position)
    n = int(shown.table.loc[there, "n"].sum())
    return [
        f"The most uneven layer of {mono(one(choice)[1])} is {layer}: position {position} has "
        f"{numbers.significant(spread[layer])} times the median of its positions "
        f"({numbers.plural(n, 'prompt')})."
    ]


def _grid(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.pivot_table(index="layer", columns="position", values="median", dropna=False)


HEATMAP = View[Activations](
    name="heatmap",
    page="activations",
    title="Norms by layer and position",
    question="At which layers and positions are the activations large?",
    controls=(MODELS, SITES, NORM, CELLS, RAW_SCALE, FIRST, _EMOTION),
    single=("model", "site"),
    show=show,
    answer=answer,
    terms=lambda source, choice: {
        **norm_terms(source, choice),
        "cell": "median over the prompts that have such a position. The last positions rest on few "
        "prompts; the hover gives their number. `relative` divides by the median of its layer; the "
        "table holds the medians themselves.",
    },
    command=lambda source, choice: source.command(_wanted(choice)),
    empty="There is no position to show.",
)
