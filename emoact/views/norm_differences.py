"""Norms of each emotion relative to neutral, below the norms by layer, whose lines coincide."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from emoact import sites as known
from emoact.models.registry import display_name
from emoact.numbers import percent, signed
from emoact.stats.norms.difference import difference_table
from emoact.views.activations import KIND_TITLES, MODELS, NORM, SITES, Activations, curves
from emoact.views.chart import Axis, Band, Chart, Key, Level, Line, Panel
from emoact.views.text import listed, md
from emoact.views.view import Choice, Shown, View

_NEUTRAL = "neutral"
_HEIGHT = 260


def table(source: Activations, choice: Choice) -> pd.DataFrame:
    """One row for each (model, site, emotion, layer)."""
    parts = [
        difference_table(
            [unit for unit in source.units if unit.folder == folder], site, choice["norm"], _NEUTRAL
        )
        for folder in choice["model"]
        for site in choice["site"]
    ]
    filled = [part for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()


def chart(rows: pd.DataFrame) -> Chart:
    """One row of panels for each model, one column for each site; 0 is no difference."""
    models = list(dict.fromkeys(rows["model"]))
    grid = []
    for model in models:
        here = rows[rows["model"] == model]
        grid.append(
            [
                Panel(
                    lead=display_name(model) if len(models) > 1 else known.title(site),
                    title=known.title(site) if len(models) > 1 else "",
                    marks=_marks(here[here["site"] == site], site),
                    x=Axis(title="layer", scale="layer"),
                    y=Axis(title=f"norm minus {_NEUTRAL}, %", format=",.3~r"),
                )
                for site in known.in_order(here["site"])
            ]
        )
    key = [Key(name="95 % interval", kind="band", colour="accent")]
    return Chart(rows=grid, key=key, heights=[_HEIGHT] * len(grid), share_y=False, gap=0.1)


def _marks(rows: pd.DataFrame, site: str) -> list[Band | Level | Line]:
    hover = "%{y:+.3~r} % (95 % %{customdata[0]:+.3~r} to %{customdata[1]:+.3~r})"
    ends, dash = ("low", "high"), known.site(site).dash
    lines = curves(rows, "percent", ends, data=ends, dash=dash, hover=hover)
    return [Level(at=0.0, colour="axis", dash="solid"), *lines]


def show(source: Activations, choice: Choice) -> Shown:
    """Table and chart."""
    rows = table(source, choice)
    return Shown(
        table=rows,
        chart=chart(rows) if len(rows) else None,
        caption=f"{KIND_TITLES[choice['norm']]} over the mean of each prompt's content positions, "
        f"each emotion minus {_NEUTRAL} in percent: geometric mean over scenarios with 95 % "
        "intervals of single layers.",
        name=f"norm-differences-{'-'.join(choice['model'][:2])}",
    )


def answer(_source: Activations, choice: Choice, shown: Shown) -> Sequence[str]:
    """Largest difference of each model at the first site, and how many intervals leave 0 out."""
    if not len(shown.table):
        return []
    said = []
    for model, own in shown.table.groupby("model", sort=False):
        rows = own[(own["site"] == choice["site"][0]) & own["percent"].notna()]
        if not len(rows):
            continue
        top = rows.loc[rows["percent"].abs().idxmax()]
        beyond = rows[(rows["low"] > 0) | (rows["high"] < 0)].groupby("emotion", sort=False).size()
        n_layers = rows["layer"].nunique()
        counts = listed([f"{md(str(name))} at {n} of {n_layers}" for name, n in beyond.items()])
        said.append(
            f"{md(display_name(str(model)))}: the largest difference of the "
            f"{known.words(choice['site'][0])} is {signed(top['percent'], '.1f')} % "
            f"({md(str(top['emotion']))}, layer {int(top['layer'])}). Intervals that leave out 0: "
            f"{f'{counts} layers' if counts else 'none'}; {percent(0.05)} do so by chance on "
            "average, and neighbouring layers are alike."
        )
    return said


NORM_DIFFERENCES = View[Activations](
    name="norm-differences",
    page="activations",
    title="Emotion minus neutral",
    question="By how many percent do the norms of each emotion differ from those of neutral?",
    controls=(MODELS, SITES, NORM),
    show=show,
    answer=answer,
    empty="There is no class neutral to compare with.",
    tab=False,
    below=lambda source, tab: (
        tab == "norms" and any(unit.emotion == _NEUTRAL for unit in source.units)
    ),
)
