"""Layerwise norms: medians and quartiles over prompts, position 0 in panels of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from emoact import numbers
from emoact import sites as known
from emoact.models.registry import display_name
from emoact.numbers import significant
from emoact.positions import MASSIVE, NormKind
from emoact.sites import SiteName
from emoact.stats.norms.norm_tables import NormTable
from emoact.stats.norms.tables import layer_table, sink_table
from emoact.store.summaries.measures import UnitMeasures
from emoact.views.activations import (
    FIRST,
    KIND_TITLES,
    MODELS,
    NORM,
    SCALE,
    SITES,
    Activations,
    curves,
    findings,
    norm_terms,
)
from emoact.views.chart import Axis, Band, Chart, Line, Panel
from emoact.views.text import md, mono
from emoact.views.view import Caution, Choice, Control, Shown, View

_CONTENT_HEIGHT, _FIRST_HEIGHT = 330, 190
_DATA = ("q25", "q75", "n")
_HOVER = (
    "%{y:,.3~r} (quartiles %{customdata[0]:,.3~r} to %{customdata[1]:,.3~r}, "
    "%{customdata[2]} prompts)"
)
_FROM_TOKENS = "Differences between emotions at these layers may come from these tokens."
_LOG_FROM = 40.0
"""Ratio of the largest to the smallest norm from which the report has a logarithmic axis."""
UNITS = Control[Activations](
    name="units",
    label="Units",
    kind="one",
    options=lambda _source, _choice: ("raw", "relative"),
    help="relative divides by the model's own scale, the median residual norm of its content over "
    "all layers, so that models can be compared.",
)


def _wanted(source: Activations, choice: Choice) -> NormTable:
    saved = {site for unit in source.chosen(choice) for site in unit.sites}
    return NormTable(
        norm=choice["norm"],
        relative=choice["units"] == "relative",
        models=tuple(choice["model"]),
        sites=tuple(site for site in choice["site"] if site in saved),
        content=not choice["first"],
    )


def show(source: Activations, choice: Choice) -> Shown:
    """Table and chart."""
    wanted, units = _wanted(source, choice), source.chosen(choice)
    rows = wanted.frame(units) if wanted.sites else pd.DataFrame()
    relative = " divided by the model's median residual norm" if wanted.relative else ""
    first = "position 0 in panels of its own" if choice["first"] else "position 0 left out"
    kind = KIND_TITLES[wanted.norm]
    return Shown(
        table=rows,
        chart=chart(rows, choice) if len(rows) else None,
        caption=f"Median {kind}{relative} by layer over the mean of each prompt's content "
        f"positions ({first}); bands reach from the first to the third quartile of prompts.",
        columns="norms_layer",
        name="-".join(["norms", wanted.norm, *choice["model"][:2]]),
    )


def chart(rows: pd.DataFrame, choice: Choice) -> Chart:
    """One column for each site and one row for each model, layers from left to right.

    Position 0 is dotted and has panels of its own, because it may be hundreds of times larger.
    """
    models = list(dict.fromkeys(rows["model"]))
    sites = known.in_order(rows["site"])
    unit = "relative to the model" if choice["units"] == "relative" else "model units"
    scale, kind = choice["scale"], KIND_TITLES[choice["norm"]]
    grid: list[list[Panel]] = []
    heights = []
    for model in models:
        for first in (False, True) if choice["first"] else (False,):
            grid.append([])
            heights.append(_FIRST_HEIGHT if first else _CONTENT_HEIGHT)
            for site in sites:
                position = "first" if first else "content"
                panel = (rows["model"] == model) & (rows["site"] == site)
                own = rows[panel & (rows["position"] == position)]
                title = f"{known.title(site)}{', position 0' if first else ''}"
                grid[-1].append(
                    Panel(
                        lead=display_name(model) if len(models) > 1 else title,
                        title=title if len(models) > 1 else "",
                        marks=_first(own) if first else _content(own, site),
                        x=Axis(title="layer", scale="layer"),
                        y=Axis(
                            title=kind if first else f"median {kind}, {unit}",
                            scale=scale,
                            format=",.3~r",
                            zero=True,
                        ),
                    )
                )
    return Chart(rows=grid, heights=heights, share_y=False, gap=0.1)


def _content(rows: pd.DataFrame, site: str) -> list[Band | Line]:
    dash = known.site(site).dash
    return curves(rows, "median", ("q25", "q75"), data=_DATA, dash=dash, hover=_HOVER)


def _first(rows: pd.DataFrame) -> list[Line]:
    medians = rows.pivot(index="layer", columns="emotion", values="median")
    drawn = curves(rows, "median", data=_DATA, dash="dot", hover=_HOVER, legend=False)
    lines = [mark for mark in drawn if isinstance(mark, Line)]
    if len(lines) > 1 and np.isclose(medians, medians.iloc[:, :1], rtol=1e-4).all():
        # After a BOS every prompt has the same position 0; four equal lines would hide three.
        return [dataclasses.replace(lines[0], name="every emotion", colour="text", symbol="circle")]
    return lines


def answer(source: Activations, choice: Choice, _shown: Shown | None = None) -> list[str]:
    """Massive tokens, the first-token sink and differences between classes, model by model."""
    units = source.chosen(choice)
    sites, kind = choice.get("site") or source.sites[:2], choice.get("norm", "l2")
    rows = [layer_table(unit, site, kind) for unit in units for site in sites if site in unit.sites]
    said = [_model_sentence(units, folder, sites[0], kind) for folder in choice["model"]]
    if len(said) > 1:
        said = [
            f"**{md(display_name(folder))}:** {each}"
            for folder, each in zip(choice["model"], said, strict=True)
        ]
    return [*said, broken_sentence(pd.concat(rows)) if rows else ""]


def _model_sentence(
    units: Sequence[UnitMeasures], folder: str, site: SiteName, kind: NormKind
) -> str:
    of_model = [unit for unit in units if unit.folder == folder]
    own = [unit for unit in of_model if site in unit.sites]
    if not own:
        return ""
    massive, sink = (
        next((f for f in findings(tuple(units)) if (f.kind, f.model, f.site) == key), None)
        for key in (("massive_tokens", folder, site), ("first_token_sink", folder, site))
    )
    rows = pd.concat([layer_table(unit, site, kind) for unit in own], ignore_index=True)
    content = rows[rows["position"] == "content"]
    ratios = pd.concat([sink_table(unit, site, kind) for unit in own], ignore_index=True)
    if sink is not None:
        # The finding is about all classes together; the page must not give two figures.
        ratios = ratios[:1].assign(ratio=sink.figures["ratio"], layer=sink.figures["layer"])
    starts = {int(not unit.first_is_text) for unit in of_model}
    said = [
        f"{md(massive.sentence)} {_FROM_TOKENS}" if massive else "",
        # Files with and without a BOS have no position 0 in common; a warning names the setting.
        sink_sentence(ratios, content_start=starts.pop()) if len(starts) == 1 else "",
        "" if massive else course_sentence(content),
        spread_sentence(content, without=massive.layers if massive else ()),
    ]
    return " ".join(filter(None, said))


def sink_sentence(ratios: pd.DataFrame, *, content_start: int) -> str:
    """Position 0 over the rest, and whether it is a word (`content_start` 0) or BOS."""
    finite = ratios[np.isfinite(ratios["ratio"])]
    if finite.empty:
        return ""
    largest = finite.loc[finite["ratio"].idxmax()]
    times = f"{significant(largest['ratio'])} times the median {known.words(largest['site'])} norm"
    if content_start == 0:
        # Nothing was prepended, so the first word is part of the content.
        return (
            f"No BOS was prepended: position 0 is the first word, carries up to {times} "
            f"(layer {largest['layer']}) and is part of the medians below."
        )
    if largest["ratio"] >= MASSIVE:
        return (
            f"Position 0 carries {times} at layer {largest['layer']} (first-token sink); "
            "it is left out of the medians below."
        )
    return (
        f"Position 0 is no sink: at most {times} (layer {largest['layer']}); "
        "it is left out of the medians below."
    )


def course_sentence(rows: pd.DataFrame) -> str:
    """Medians at the first and the last layer, and the largest one."""
    finite = rows[np.isfinite(rows["median"])]
    middle = finite.groupby("layer")["median"].quantile(0.5, interpolation="higher")
    if len(middle) < 2:
        return ""
    first, last, peak = middle.index[0], middle.index[-1], middle.idxmax()
    site, kind = rows[["site", "norm"]].iloc[0]
    sentence = (
        f"Over the content the median {known.words(site)} {KIND_TITLES[kind]} goes from "
        f"{significant(middle[first])} at layer {first} to {significant(middle[last])} "
        f"at layer {last}"
    )
    if peak not in (first, last):
        sentence += f", highest at layer {peak} ({significant(middle[peak])})"
    return sentence + "."


def spread_sentence(rows: pd.DataFrame, *, without: Sequence[int] = ()) -> str:
    """Largest difference between the medians of emotions over the layers but those left out."""
    usable = np.isfinite(rows["median"]) & (rows["median"] > 0) & ~rows["layer"].isin(list(without))
    by_layer = rows[usable].groupby("layer")["median"]
    spreads = (by_layer.max() / by_layer.min())[by_layer.size() > 1]
    if spreads.empty:
        return ""
    layer = spreads.idxmax()
    at = rows[usable & (rows["layer"] == layer)].sort_values("median", kind="stable")
    low, high = at.iloc[0], at.iloc[-1]
    return (
        f"{'At the other layers' if without else 'Between emotions'} the medians"
        f"{' of emotions' if without else ''} differ by at most "
        f"{numbers.percent(spreads[layer] - 1)} "
        f"(layer {layer}: {md(high['emotion'])} {significant(high['median'])}, "
        f"{md(low['emotion'])} {significant(low['median'])})."
    )


def broken_sentence(rows: pd.DataFrame) -> str:
    """Rows with NaN or infinite values, as a warning; empty without."""
    broken = rows[rows["n_nonfinite"] > 0]
    if broken.empty:
        return ""
    first, n_files = broken.iloc[0], len(broken.groupby(["model", "emotion"]))
    return Caution(
        f"NaN or infinite values in {numbers.plural(n_files, 'file')}, first in "
        f"{mono(first['model'])} {md(first['emotion'])}, {first['site']}, layer {first['layer']}: "
        "the lines have gaps there."
    )


def _in_report(source: Activations) -> list[Choice]:
    """Every model once; a logarithmic axis where a linear one would hide the small norms."""
    choices: list[Choice] = []
    for folder in source.folders:
        units = source.chosen({"model": [folder]})
        saved = {site for unit in units for site in unit.sites}
        choice: Choice = {
            "model": [folder],
            "site": [site for site in known.analysed_sites() if site in saved],
            "norm": "l2",
            "units": "raw",
            "first": False,
        }
        rows = show(source, {**choice, "scale": "linear"}).table
        edges = rows[["q25", "q75"]].to_numpy().ravel() if len(rows) else np.empty(0)
        edges = edges[np.isfinite(edges) & (edges > 0)]
        wide = bool(edges.size) and edges.max() > _LOG_FROM * edges.min()
        choices.append({**choice, "scale": "log" if wide else "linear"})
    return choices


NORMS = View[Activations](
    name="norms",
    page="activations",
    title="Norms by layer",
    question="How large are the activations at each layer, and do the emotions differ?",
    controls=(MODELS, SITES, NORM, SCALE, UNITS, FIRST),
    show=show,
    answer=answer,
    terms=lambda source, choice: {
        **norm_terms(source, choice),
        "relative": "divided by the model's own scale: the median over layers of its median "
        "residual norm.",
        "Position 0": "has panels of its own: it may be hundreds of times larger.",
    },
    command=lambda source, choice: source.command(_wanted(source, choice)),
    empty="No chosen file has these sites.",
    in_report=_in_report,
)
