"""The views of the Activations page beside the one by layer: each draws, lists and exports."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import streamlit as st

from emoact import numbers
from emoact import sites as known
from emoact.schema import Site
from emoact.stats.findings.dimensions import ROGUE
from emoact.stats.norms.norm_tables import TOGETHER
from emoact.stats.norms.tables import dimension_ratios
from emoact.ui.activation_choice import View, pick_layer, pick_one
from emoact.ui.activation_look import Look, alike, one_site, show_table
from emoact.ui.boxes import answer
from emoact.ui.chart import export_row, show_chart
from emoact.ui.prompt_view import show_prompt
from emoact.views.plots.distribution import box_figure, dimension_figure
from emoact.views.plots.growth import growth_figure
from emoact.views.plots.heatmap import norm_heatmap
from emoact.views.plots.norms import KIND_TITLES
from emoact.views.plots.theme import emotion_order
from emoact.views.text import md, mono


def show_view(look: Look) -> None:
    """Draw the chosen view, and nothing of the others."""
    _VIEWS[look.choice.view](look)


def _heatmap(look: Look) -> None:
    emotions = emotion_order(unit.emotion for unit in look.units)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        emotion = pick_one("Emotion", [TOGETHER, *emotions], key="emotion")
    site = one_site(look)
    units = [u for u in look.units if emotion in (TOGETHER, u.emotion) and site in u.sites]
    if not units:
        st.caption(f"No file has {site}.")
        return
    table = look.table(
        by="position",
        norm=look.choice.kind,
        emotions=() if emotion == TOGETHER else (emotion,),
        sites=(site,),
        content=not look.choice.first,
        together=emotion == TOGETHER,
    )
    data = table.frame(units)
    if data.empty:
        st.caption("There is no position to show.")
        return
    grid = data.pivot_table(index="layer", columns="position", values="median", dropna=False)
    counts = data.groupby("position")["n"].first()
    figure = norm_heatmap(
        grid.to_numpy(),
        columns=[str(position) for position in grid.columns],
        column_title="position",
        value_title=f"median {KIND_TITLES[look.choice.kind]}",
        hover=[f"position {p}, {counts[p]} prompts" for p in grid.columns],
        scheme=look.scheme,
        log=look.choice.log,
    )
    answer(_heatmap_words(grid, site))
    name = f"norms-by-position-{look.folder}-{site}"
    show_chart(
        figure,
        key="heatmap",
        name=name,
        caption=f"Median {KIND_TITLES[look.choice.kind]} of the {known.words(site)} by "
        f"layer and position, over the prompts of {emotion} that are long enough. {look.made}",
        alt=f"Heatmap of median norms by layer and position for {look.folder}, {site}, {emotion}",
        scheme=look.scheme,
        badges=look.badges,
    )
    show_table(data, "Norms by layer and position, as drawn above")
    export_row(
        data, key="heatmap", name=name, command=look.norms_command(table), badges=look.badges
    )


def _heatmap_words(grid: pd.DataFrame, site: Site) -> str:
    rows = grid.to_numpy()
    if rows.shape[1] < 2 or not np.isfinite(rows).any():
        return ""
    with np.errstate(invalid="ignore"):
        spread = np.nanmax(rows, axis=1) / np.nanmedian(rows, axis=1)
    layer = int(np.nanargmax(spread))
    position = grid.columns[int(np.nanargmax(rows[layer]))]
    return (
        f"The most uneven layer of {mono(site)} is {layer}: position {position} has "
        f"{numbers.significant(spread[layer])} times the median of its positions."
    )


def _distribution(look: Look) -> None:
    units = [unit for unit in look.units if look.site in unit.sites]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        of = pick_one(
            "Values",
            ["prompts", "tokens", "lengths"],
            key="of",
        )
        layer = (
            0
            if of == "lengths"
            else pick_layer(min((unit.sites[look.site].n_layers for unit in units), default=0))
        )
    site = look.site if of == "lengths" else one_site(look)
    if not units:
        st.caption(f"No file has {site}.")
        return
    kind = KIND_TITLES[look.choice.kind]
    if of == "lengths":
        table = look.table(by="length")
        column, title = "tokens", "content tokens"
    elif of == "tokens":
        table = look.table(
            by="token", norm=look.choice.kind, sites=(site,), layer=layer, content=True
        )
        column, title = "value", f"{kind} of a token, model units"
    else:
        table = look.table(by="prompt", norm=look.choice.kind, sites=(site,), layer=layer)
        column, title = "mean", f"mean {kind} over content, model units"
    data = table.frame(look.units if of == "lengths" else units)
    if data.empty:
        st.caption("There is no value to show.")
        return
    names = data["prompt"]
    if of == "tokens":
        names = names + " " + data["position"].astype(str) + " " + data["token"]
    emotions = emotion_order(data["emotion"])
    chosen = {emotion: data["emotion"] == emotion for emotion in emotions}
    figure = box_figure(
        {emotion: data[column][own].astype(float).tolist() for emotion, own in chosen.items()},
        {emotion: names[own].tolist() for emotion, own in chosen.items()},
        styles=look.styles,
        scheme=look.scheme,
        title=title,
        log=look.choice.log and of != "lengths",
    )
    medians = data.groupby("emotion")[column].median()
    answer(
        "Medians"
        + (f" at layer {layer}" if of != "lengths" else " of content tokens")
        + ": "
        + ", ".join(f"{md(e)} {numbers.significant(medians[e])}" for e in emotions)
        + "."
    )
    where = "" if of == "lengths" else f" of the {known.words(site)} at layer {layer}"
    name = f"distribution-{of}-{look.folder}-{site}-layer{layer}"
    show_chart(
        figure,
        key="distribution",
        name=name,
        caption=f"{_sentence(title)}{where}. Boxes reach from the first to the third "
        f"quartile, whiskers to 1.5 times that; points are single values. {look.made}",
        alt=f"Box plot of {title} by emotion for {look.folder}{where}",
        scheme=look.scheme,
        badges=look.badges,
    )
    show_table(data, "Values as drawn above")
    export_row(
        data,
        key="distribution",
        name=name,
        command=look.norms_command(table),
        badges=look.badges,
    )


def _dimensions(look: Look) -> None:
    site = one_site(look)
    units = [unit for unit in look.units if site in unit.sites]
    if not units:
        st.caption(f"No file has {site}.")
        return
    every, units = len(units), alike(units)
    layer = pick_layer(min(unit.sites[site].n_layers for unit in units))
    table = look.table(
        by="dimension",
        emotions=() if len(units) == every else tuple(unit.emotion for unit in units),
        sites=(site,),
        layer=layer,
    )
    data = table.frame(units)
    typical = {unit.emotion: unit.sites[site].typical[layer].astype(np.float64) for unit in units}
    ratios = np.max([dimension_ratios(own[None])[0] for own in typical.values()], axis=0)
    order = [int(dim) for dim in np.argsort(-np.nan_to_num(ratios))]
    rogue = [dim for dim in order if ratios[dim] >= ROGUE]
    middle = float(np.median([np.median(own) for own in typical.values()]))
    figure = dimension_figure(
        typical,
        styles=look.styles,
        scheme=look.scheme,
        threshold=ROGUE * middle,
        named=order[:3],
    )
    largest = ", ".join(f"{dim} ({numbers.significant(ratios[dim])} times)" for dim in order[:3])
    answer(
        f"{numbers.plural(len(rogue), 'dimension')} of {len(ratios):,} "
        f"{'is' if len(rogue) == 1 else 'are'} rogue at layer {layer}, that is, at least "
        f"{ROGUE:g} times the median dimension. The largest are {largest}."
    )
    name = f"dimensions-{look.folder}-{site}-layer{layer}"
    show_chart(
        figure,
        key="dimensions",
        name=name,
        caption=f"Median magnitude of every dimension of the {known.words(site)} over "
        f"content tokens at layer {layer}; numbers name the largest dimensions. {look.made}",
        alt=f"Median magnitude by dimension for {look.folder}, {site}, layer {layer}",
        scheme=look.scheme,
        badges=look.badges,
    )
    data = data.sort_values("ratio", ascending=False)
    show_table(data, "Dimensions as drawn above, largest first")
    export_row(
        data, key="dimensions", name=name, command=look.norms_command(table), badges=look.badges
    )


def _growth(look: Look) -> None:
    table = look.table(by="growth")
    data = table.frame(look.units)
    if data.empty:
        st.caption("Growth needs resid_pre and mlp_out of a model of two or more layers.")
        return
    figure = growth_figure(data.to_dict("records"), styles=look.styles, scheme=look.scheme)
    for folder in look.choice.folders:
        own = (
            data[data["model"] == folder]
            .groupby("layer")[["growth_median", "mlp_share_median"]]
            .median()
        )
        if own.empty or own.isna().all().any():
            continue
        layer = int(own["growth_median"].idxmax())
        most = int(own["mlp_share_median"].idxmax())
        answer(
            f"**{md(folder)}:**" if len(look.choice.folders) > 1 else "",
            f"The stream grows most from layer {layer} to {layer + 1}, "
            f"{numbers.significant(own['growth_median'][layer])} times. The MLP's share of the "
            f"step is largest at layer {most} "
            f"({numbers.significant(100 * own['mlp_share_median'][most])} %); attention makes the "
            "rest.",
        )
    name = "-".join(["growth", *look.choice.folders[:2]])
    show_chart(
        figure,
        key="growth",
        name=name,
        caption="Growth factor: mean content norm (L2) of a prompt at the next layer over that at "
        "this one. Share of the MLP: its output projected on the step between the two, over the "
        f"step's square. Lines are medians over prompts, bands quartiles. {look.made}",
        alt="Growth factor and share of the MLP by layer; the table below holds the values",
        scheme=look.scheme,
        badges=look.badges,
    )
    show_table(data, "Growth by layer, as drawn above")
    export_row(data, key="growth", name=name, command=look.norms_command(table), badges=look.badges)


def _sentence(title: str) -> str:
    """The title of an axis as the beginning of a sentence, without its unit."""
    return f"{title[:1].upper()}{title[1:].partition(',')[0]}"


_VIEWS: Mapping[View, Callable[[Look], None]] = {
    "heatmap": _heatmap,
    "distribution": _distribution,
    "dimensions": _dimensions,
    "growth": _growth,
    "prompt": show_prompt,
}
