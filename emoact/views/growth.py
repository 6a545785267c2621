"""Growth of the residual stream from layer to layer, and the MLP's share of each step."""

from __future__ import annotations

import pandas as pd

from emoact.models.registry import display_name
from emoact.numbers import percent, significant
from emoact.stats.norms.norm_tables import NormTable
from emoact.views.activations import MODELS, Activations, curves
from emoact.views.chart import Axis, Chart, Level, Panel
from emoact.views.text import md
from emoact.views.view import Choice, Shown, View

_HEIGHT = 250
_HOVER = "%{y:,.3~r} (quartiles %{customdata[0]:,.3~r} to %{customdata[1]:,.3~r})"


def _wanted(choice: Choice) -> NormTable:
    return NormTable(by="growth", models=tuple(choice["model"]))


def show(source: Activations, choice: Choice) -> Shown:
    """Table and chart."""
    rows = _wanted(choice).frame(source.chosen(choice))
    return Shown(
        table=rows,
        chart=_chart(rows) if len(rows) else None,
        caption="Growth factor: mean content norm (L2) of a prompt at the next layer over that at "
        "this one. Share of the MLP: its output projected on the step between the two, over the "
        "step's square. Lines are medians over prompts, bands quartiles.",
        columns="norms_growth",
        name="-".join(["growth", *choice["model"][:2]]),
    )


def _chart(rows: pd.DataFrame) -> Chart:
    models = list(dict.fromkeys(rows["model"]))
    panels = []
    for model in models:
        own = rows[rows["model"] == model]
        # The first step may be twenty times the others.
        factor = Axis(title="next norm / norm", scale="log", format=",.3~r")
        share = Axis(title="share of the step", format=",.3~r")
        for name, title, at, axis in (
            ("growth", "Growth factor", 1.0, factor),
            ("mlp_share", "Share of the MLP in the step", 0.5, share),
        ):
            ends = (f"{name}_q25", f"{name}_q75")
            lines = curves(own, f"{name}_median", ends, data=ends, hover=_HOVER)
            panels.append(
                [
                    Panel(
                        lead=display_name(model) if len(models) > 1 else title,
                        title=title if len(models) > 1 else "",
                        marks=[Level(at=at), *lines],
                        x=Axis(title="layer", scale="layer"),
                        y=axis,
                    )
                ]
            )
    return Chart(rows=panels, heights=[_HEIGHT] * len(panels))


def answer(_source: Activations, choice: Choice, shown: Shown) -> list[str]:
    """The step at which the stream grows most, and that at which the MLP's share is largest."""
    if shown.chart is None:
        return []
    said = []
    for folder in choice["model"]:
        rows = shown.table[shown.table["model"] == folder]
        own = rows.groupby("layer")[["growth_median", "mlp_share_median"]].median()
        if own.empty or own.isna().all().any():
            continue
        layer, most = int(own["growth_median"].idxmax()), int(own["mlp_share_median"].idxmax())
        name = f"**{md(display_name(folder))}:** " if len(choice["model"]) > 1 else ""
        said.append(
            f"{name}The stream grows most from layer {layer} to {layer + 1}, "
            f"{significant(own['growth_median'][layer])} times. The MLP's share of the step is "
            f"largest at layer {most} ({percent(own['mlp_share_median'][most])}); the rest is the "
            "share of attention."
        )
    return said


GROWTH = View[Activations](
    name="growth",
    page="activations",
    title="Growth of the residual stream",
    question="At which layers does the stream grow, and does the MLP or attention make it grow?",
    controls=(MODELS,),
    show=show,
    answer=answer,
    terms={
        "growth factor": "mean content norm at layer *l + 1* over that at layer *l*.",
        "share of the MLP": r"with $\Delta = \mathrm{resid}_{l+1} - \mathrm{resid}_l$, the MLP's "
        r"share is $\mathrm{mlp}\cdot\Delta / \Delta\cdot\Delta$. The rest is the share of "
        "attention; above 1 the two write in opposite directions.",
    },
    command=lambda source, choice: source.command(_wanted(choice)),
    empty="Growth needs resid_pre and mlp_out of a model of two or more layers.",
)
