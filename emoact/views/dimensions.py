"""Median magnitude of every dimension at one layer."""

from __future__ import annotations

import numpy as np
import pandas as pd

from emoact import numbers
from emoact.sites import words
from emoact.stats.findings.dimensions import ROGUE
from emoact.stats.norms.norm_tables import NormTable
from emoact.store.summaries.measures import UnitMeasures
from emoact.views.activations import (
    MODELS,
    SITES,
    Activations,
    layer_control,
    one,
    same_width,
    site_terms,
)
from emoact.views.chart import Axis, Chart, Key, Level, Mark, Panel, Points, of_emotion
from emoact.views.theme import by_emotion, plain
from emoact.views.view import Choice, Shown, View

_HEIGHT = 320
_NAMED = 3


def _wanted(source: Activations, choice: Choice) -> NormTable:
    folder, site = one(choice)
    every = source.of_one(choice)
    units = _units(source, choice)
    return NormTable(
        by="dimension",
        models=(folder,),
        emotions=() if len(units) == len(every) else tuple(unit.emotion for unit in units),
        sites=(site,),
        layer=choice["layer"],
    )


def _units(source: Activations, choice: Choice) -> list[UnitMeasures]:
    every = source.of_one(choice)
    return same_width(every)[0] if every else []


def show(source: Activations, choice: Choice) -> Shown:
    """Table and chart; the largest dimensions first."""
    (folder, site), units = one(choice), _units(source, choice)
    rows = _wanted(source, choice).frame(units) if units else pd.DataFrame()
    layer = choice["layer"]
    return Shown(
        table=rows.sort_values("ratio", ascending=False) if len(rows) else rows,
        chart=_chart(rows) if len(rows) else None,
        caption=f"Median magnitude of every dimension of the {words(site)} over content "
        f"tokens at layer {layer}; numbers name the largest dimensions.",
        columns="norms_dimension",
        name=f"dimensions-{folder}-{site}-layer{layer}",
    )


def _largest(rows: pd.DataFrame) -> pd.Series:
    return rows.groupby("dimension")["ratio"].max().sort_values(ascending=False, kind="stable")


def _chart(rows: pd.DataFrame) -> Chart:
    typical = rows["typical"].where(rows["typical"] > 0)
    peaks = typical.groupby(rows["dimension"]).transform("max")
    named = rows["dimension"].isin(_largest(rows).index[:_NAMED]) & (typical == peaks)
    rows = rows.assign(typical=typical, label=rows["dimension"].astype(str).where(named, ""))
    points: list[Mark] = [
        Points(
            x=own["dimension"],
            y=own["typical"],
            colour=of_emotion(emotion),
            symbol=of_emotion(emotion),
            name=emotion,
            size=5,
            opacity=0.75,
            text=own["label"].tolist(),
            hover=f"{plain(emotion)}, dimension %{{x}}: %{{y:,.4~r}}",
            legend=True,
        )
        for emotion, own in by_emotion(rows)
    ]
    middle = rows.groupby("emotion")["typical"].median().median()
    key = []
    if np.isfinite(middle) and middle > 0:
        points.append(Level(at=float(ROGUE * middle)))
        key = [Key(name="10 times the median dimension", kind="line", colour="muted", dash="dot")]
    last = float(rows["dimension"].max())
    panel = Panel(
        marks=points,
        x=Axis(title="dimension", range=(-4.0, last + 4.0)),
        y=Axis(title="median magnitude over content, model units", scale="log"),
    )
    return Chart(rows=[[panel]], key=key, heights=[_HEIGHT], unified=False)


def answer(source: Activations, choice: Choice, shown: Shown) -> list[str]:
    """Number of rogue dimensions, and the largest ones."""
    if shown.chart is None:
        return []
    ratios = _largest(shown.table)
    n_rogue = int((ratios >= ROGUE).sum())
    largest = ", ".join(
        f"{dim} ({numbers.significant(ratio)} times)" for dim, ratio in ratios[:_NAMED].items()
    )
    return [
        *same_width(source.of_one(choice))[1],
        f"{numbers.plural(n_rogue, 'dimension')} of {len(ratios):,} "
        f"{'is' if n_rogue == 1 else 'are'} rogue at layer {choice['layer']}, that is, at least "
        f"{ROGUE:g} times the median dimension. The largest are {largest}.",
    ]


DIMENSIONS = View[Activations](
    name="dimensions",
    page="activations",
    title="Magnitude by dimension",
    question="Do a few dimensions dominate dot products and distances?",
    controls=(MODELS, SITES, layer_control()),
    single=("model", "site"),
    show=show,
    answer=answer,
    terms=lambda _source, choice: {
        **site_terms(choice),
        "point": "median magnitude of one dimension over content tokens; a median, so that a few "
        "massive tokens do not count.",
        "rogue dimension": "from ten times the median dimension "
        "([Timkey & van Schijndel 2109.04404](https://arxiv.org/abs/2109.04404)): it counts in a "
        "dot product as a hundred others do.",
    },
    command=lambda source, choice: source.command(_wanted(source, choice)),
    empty="No file has this site.",
)
