"""Every layer of one model against every layer of another."""

from __future__ import annotations

import math

import pandas as pd

from emoact.models.registry import display_name
from emoact.stats.findings.finding import span
from emoact.views import by_layer
from emoact.views.analysed import Analysed, of
from emoact.views.by_layer import WHOLE, measures
from emoact.views.chart import (
    BEYOND_ONE,
    Axis,
    Cells,
    Chart,
    Key,
    Line,
    Mark,
    Panel,
    Points,
    beyond_sentence,
)
from emoact.views.text import listed
from emoact.views.theme import emotion_order
from emoact.views.view import Choice, Control, Shown, View

MAPS = ("score_corr", "cka", "cka_within", "rsa")
"""Measures that exist for every layer against every layer."""


def chance(similarity: pd.DataFrame, measure: str) -> float:
    """Largest upper end of the 95 % bands of re-paired prompts at matched layers; NaN without."""
    rows = of(similarity, measure=measure)
    return float((rows["null_mean"] + 1.96 * rows["null_sd"]).max())


def chart(cells: pd.DataFrame, measure: str, similarity: pd.DataFrame) -> Chart:
    """One grid, the first model from left to right, with matched layers and best matches."""
    inside = cells["value"].abs() <= chance(similarity, measure)
    every = cells
    cells = cells.assign(value=cells["value"].mask(inside))
    grid = cells.pivot_table(index="layer_b", columns="layer_a", values="value", dropna=False)
    matched = similarity[["layer_a", "layer_b"]].drop_duplicates().sort_values("layer_a")
    known = cells[cells["value"].abs() <= 1]
    best = known.loc[known.groupby("layer_a")["value"].idxmax()]
    # A corrected correlation may exceed 1 and must not set the colours of all others.
    largest = cells["value"].abs().max()
    largest = min(1.0, float(largest)) if math.isfinite(largest) else 1.0
    first, second = (display_name(str(cells[name].iloc[0])) for name in ("model_a", "model_b"))
    # Kernel alignment has no sign; below 0 is noise of an estimate without bias.
    signed = measure not in ("cka", "cka_within")
    marks: list[Mark] = [
        Cells(
            values=grid.to_numpy().tolist(),
            x=grid.columns.tolist(),
            y=grid.index.tolist(),
            title=measures()[measure].axis_title,
            diverging=signed,
            low=-largest if signed else 0.0,
            high=largest,
            hover="layer %{x} and layer %{y}: %{customdata[0]:.3f}",
        ),
        Line(
            x=matched["layer_a"],
            y=matched["layer_b"],
            colour="text" if signed else "bright",
            dash="dot",
            name="same relative depth",
            hover="layer %{x} is matched with layer %{y}",
        ),
        Points(
            x=best["layer_a"],
            y=best["layer_b"],
            colour="text" if signed else "bright",
            filled=False,
            size=8,
            opacity=1.0,
            name="best match",
            hover="best match of layer %{x}: layer %{y}",
        ),
    ]
    far = cells[cells["value"].abs() > 1]
    if len(far):
        marks.append(
            Points(
                x=far["layer_a"],
                y=far["layer_b"],
                colour="text",
                symbol="x",
                size=5,
                opacity=1.0,
                name=BEYOND_ONE.name,
                data=far[["value"]].to_numpy(dtype=float).tolist(),
                hover="layer %{x} and layer %{y}: %{customdata[0]:.2f}, more than a correlation "
                "can be",
            )
        )
    panel = Panel(
        marks=marks,
        x=Axis(title=f"layer of {first}", scale="layer"),
        y=Axis(title=f"layer of {second}", scale="layer"),
    )
    key = [
        Key(name="layers of the same relative depth", kind="line", dash="dot"),
        Key(name="best match of each layer", kind="marker", symbol="circle-open"),
        *([BEYOND_ONE] if len(far) else []),
    ]
    if inside.any() or every["value"].isna().any():
        key.append(Key(name="inside chance, or no value", kind="band", colour="null"))
    return Chart(rows=[[panel]], key=key, heights=[430], unified=False)


def _without(cells: pd.DataFrame, side: str) -> tuple[int, ...]:
    """Layers of one model that have no value with any layer of the other."""
    known = cells["value"].notna().groupby(cells[side]).any()
    return tuple(int(layer) for layer in known.index[~known])


def show(source: Analysed, choice: Choice) -> Shown:
    """Table and grid of one measure."""
    measure, emotion = choice["measure"], choice.get("emotion", "")
    cells = of(by_layer.rows_of(source, choice, "maps"), measure=measure, emotion=emotion)
    cells = cells.reset_index(drop=True)
    title = measures()[measure].label
    about = f" of {emotion}" if emotion else ""
    similarity = by_layer.rows_of(source, choice, "similarity")
    bound = chance(similarity, measure)
    grey = " Grey cells have no value." if cells["value"].isna().any() else ""
    without = [
        f"{span(layers)} of {display_name(str(own[0]))}"
        for side, own in (
            ("layer_a", cells["model_a"].tolist()),
            ("layer_b", cells["model_b"].tolist()),
        )
        if (layers := _without(cells, side))
    ]
    if measure == "score_corr" and without:
        grey += (
            f" No layer of the other model has a value with {listed(without)}: the projections "
            "there, or those of the other model, have no reliability above 0."
        )
    if math.isfinite(bound):
        grey += f" Grey: at most {bound:.2g}, the largest chance value at matched layers."
    models = "-".join(by_layer.pairs(source).get(choice["pair"], ()))
    return Shown(
        table=cells,
        chart=chart(cells, measure, similarity) if len(cells) else None,
        caption=f"{title[:1].upper()}{title[1:]}{about}, every layer against every layer; "
        f"{by_layer.where(source, choice)}.{grey}{beyond_sentence(cells['value'])}"
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
