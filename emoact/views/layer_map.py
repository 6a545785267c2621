"""Every layer of one model against every layer of another."""

from __future__ import annotations

import math

import pandas as pd

from emoact.models.registry import display_name
from emoact.views import by_layer
from emoact.views.analysed import Analysed, of
from emoact.views.by_layer import WHOLE, measures
from emoact.views.chart import Axis, Cells, Chart, Panel
from emoact.views.theme import emotion_order
from emoact.views.view import Choice, Control, Shown, View

MAPS = ("score_corr", "cka", "cka_within", "rsa")
"""Measures that exist for every layer against every layer."""


def chart(cells: pd.DataFrame, measure: str) -> Chart:
    """One grid, the first model from left to right.

    Args:
        cells: Rows of the table `maps` of one pair, site, measure and emotion.
        measure: One of `MAPS`.
    """
    grid = cells.pivot_table(index="layer_b", columns="layer_a", values="value", dropna=False)
    # A corrected correlation may exceed 1 and must not set the colours of all others.
    largest = cells["value"].abs().max()
    largest = min(1.0, float(largest)) if math.isfinite(largest) else 1.0
    first, second = (display_name(str(cells[name].iloc[0])) for name in ("model_a", "model_b"))
    marks = [
        Cells(
            values=grid.to_numpy().tolist(),
            x=grid.columns.tolist(),
            y=grid.index.tolist(),
            title=measures()[measure].axis_title,
            diverging=True,
            low=-largest,
            high=largest,
            hover="layer %{x} and layer %{y}: %{customdata[0]:.3f}",
        )
    ]
    panel = Panel(
        marks=marks,
        x=Axis(title=f"layer of {first}", scale="layer"),
        y=Axis(title=f"layer of {second}", scale="layer"),
    )
    return Chart(rows=[[panel]], heights=[430], unified=False)


def show(source: Analysed, choice: Choice) -> Shown:
    """Table and grid of one measure."""
    measure, emotion = choice["measure"], choice.get("emotion", "")
    cells = of(by_layer.rows_of(source, choice, "maps"), measure=measure, emotion=emotion)
    cells = cells.reset_index(drop=True)
    title = measures()[measure].label
    about = f" of {emotion}" if emotion else ""
    grey = " Grey cells have no value." if cells["value"].isna().any() else ""
    models = "-".join(by_layer.pairs(source).get(choice["pair"], ()))
    return Shown(
        table=cells,
        chart=chart(cells, measure) if len(cells) else None,
        caption=f"{title[:1].upper()}{title[1:]}{about}, every layer against every layer; "
        f"{by_layer.where(source, choice)}.{grey}"
        if len(cells)
        else "",
        name=f"map-{measure}-{emotion}-{models}",
    )


LAYER_MAP = View[Analysed](
    name="layer_map",
    page="across",
    title="Every layer against every layer",
    question="Which layers of two models resemble each other?",
    controls=(
        by_layer.PAIR,
        by_layer.HOOK,
        by_layer.measure_control(lambda: MAPS),
        Control(
            name="emotion",
            label="Emotion",
            kind="select",
            options=lambda source, _: emotion_order(source.saved.emotions),
            when=lambda _, choice: choice["measure"] not in WHOLE,
            width=170,
        ),
    ),
    show=show,
    answer=by_layer.answer,
    terms=by_layer.terms,
    empty=by_layer.empty,
)
