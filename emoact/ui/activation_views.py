"""The views of the Activations page beside the one by layer: each draws, lists and exports."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from emoact import numbers
from emoact.analysis.activation_tables import (
    dimension_rows,
    growth_rows,
    position_rows,
    prompt_rows,
    site_norms_of,
    token_rows,
)
from emoact.analysis.find_dimensions import ROGUE, dimension_ratios
from emoact.analysis.measures import UnitMeasures
from emoact.analysis.nearest import nearest_prompts
from emoact.plots.distribution import box_figure, dimension_figure
from emoact.plots.growth import growth_figure
from emoact.plots.heatmap import norm_heatmap, token_label
from emoact.plots.norms import KIND_TITLES, SITE_TITLES
from emoact.plots.theme import EmotionStyle, Scheme, emotion_order
from emoact.schema import Site
from emoact.ui.activation_choice import ActivationChoice, View, pick_layer, pick_one
from emoact.ui.boxes import answer
from emoact.ui.chart import export_row, show_chart
from emoact.ui.text import md, mono

_EVERY = "every emotion"
_SITE_WORDS: Mapping[Site, str] = {
    site: title if title.startswith("MLP") else title[0].lower() + title[1:]
    for site, title in SITE_TITLES.items()
}


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a view is given.

    Attributes:
        choice: What the reader asked to see.
        units: Those of the chosen models, emotions in order.
        styles: One for each emotion.
        scheme: Light or dark.
        results: The results folder, for commands.
        badges: What marks every figure.
        made: One sentence for captions: models, data, configuration.
    """

    choice: ActivationChoice
    units: tuple[UnitMeasures, ...]
    styles: Mapping[str, EmotionStyle]
    scheme: Scheme
    results: str
    badges: tuple[str, ...]
    made: str

    @property
    def folder(self) -> str:
        """The model of a view that shows one."""
        return self.choice.folders[0]

    @property
    def site(self) -> Site:
        """The site of a view that shows one."""
        return self.choice.sites[0]

    def command(self, table: str) -> str:
        """What makes the same table in a shell."""
        norm = "" if self.choice.kind == "l2" else f" --norm {self.choice.kind}"
        return (
            f"python -m emoact norms --by {table}{norm} --results {self.results} --csv {table}.csv"
        )


def show_view(look: Look) -> None:
    """Draw the chosen view, and nothing of the others."""
    _VIEWS[look.choice.view](look)


def one_site(look: Look) -> Site:
    """The site of a view that shows one; with several chosen it is the first, and said so."""
    if len(look.choice.sites) > 1:
        st.caption(
            f"This view shows one site at a time: {look.site}, the first one chosen.",
        )
    return look.site


def _heatmap(look: Look) -> None:
    emotions = emotion_order(unit.emotion for unit in look.units)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        emotion = pick_one("Emotion", [_EVERY, *emotions], key="emotion")
    site = one_site(look)
    units = [u for u in look.units if emotion in (_EVERY, u.emotion) and site in u.sites]
    if not units:
        st.caption(f"No file has {site}.")
        return
    data = pd.DataFrame(position_rows(_joined(units, emotion), site, look.choice.kind))
    if not look.choice.first:
        data = data[data["position"] >= max(units[0].content_start, 0)]
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
        caption=f"Median {KIND_TITLES[look.choice.kind]} of the {_SITE_WORDS[site]} by "
        f"layer and position, over the prompts of {emotion} that are long enough. {look.made}",
        alt=f"Heatmap of median norms by layer and position for {look.folder}, {site}, {emotion}",
        scheme=look.scheme,
        badges=look.badges,
    )
    _table(data, "Norms by layer and position, as drawn above")
    export_row(data, key="heatmap", name=name, command=look.command("position"), badges=look.badges)


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
    if of == "tokens":
        frames = [
            pd.DataFrame(token_rows(unit, site, look.choice.kind, layer=layer)) for unit in units
        ]
        data = pd.concat(
            frame[frame["position"] >= unit.content_start]
            for frame, unit in zip(frames, units, strict=True)
        )
        column, title = "value", f"{kind} of a token, model units"
        names = data["prompt"] + " " + data["position"].astype(str) + " " + data["token"]
    else:
        data = pd.DataFrame(
            [row for unit in units for row in prompt_rows(unit, site, look.choice.kind, layer)]
        )
        column, title = "mean", f"mean {kind} over content, model units"
        if of == "lengths":
            column, title = "tokens", "content tokens"
            data = data[["model", "emotion", "prompt", "tokens"]]
        names = data["prompt"]
    emotions = emotion_order(data["emotion"])
    chosen = {emotion: data["emotion"] == emotion for emotion in emotions}
    figure = box_figure(
        {emotion: data[column][own].tolist() for emotion, own in chosen.items()},
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
    where = "" if of == "lengths" else f" of the {_SITE_WORDS[site]} at layer {layer}"
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
    _table(data, "Values as drawn above")
    table = "token" if of == "tokens" else "prompt"
    export_row(data, key="distribution", name=name, command=look.command(table), badges=look.badges)


def _dimensions(look: Look) -> None:
    site = one_site(look)
    units = [unit for unit in look.units if site in unit.sites]
    if not units:
        st.caption(f"No file has {site}.")
        return
    layer = pick_layer(min(unit.sites[site].n_layers for unit in units))
    data = pd.DataFrame([row for unit in units for row in dimension_rows(unit, site, layer)])
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
        caption=f"Median magnitude of every dimension of the {_SITE_WORDS[site]} over "
        f"content tokens at layer {layer}; numbers name the largest dimensions. {look.made}",
        alt=f"Median magnitude by dimension for {look.folder}, {site}, layer {layer}",
        scheme=look.scheme,
        badges=look.badges,
    )
    data = data.sort_values("ratio", ascending=False)
    _table(data, "Dimensions as drawn above, largest first")
    export_row(
        data, key="dimensions", name=name, command=look.command("dimension"), badges=look.badges
    )


def _growth(look: Look) -> None:
    data = pd.DataFrame([row for unit in look.units for row in growth_rows(unit)])
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
        if own.empty:
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
    _table(data, "Growth by layer, as drawn above")
    export_row(data, key="growth", name=name, command=look.command("growth"), badges=look.badges)


def _prompt(look: Look) -> None:
    site = one_site(look)
    emotions = emotion_order(unit.emotion for unit in look.units if site in unit.sites)
    if not emotions:
        st.caption(f"No file has {site}.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        emotion = pick_one("Emotion", emotions, key="emotion")
        unit = next(u for u in look.units if u.emotion == emotion and site in u.sites)
        ids = [unit.prompt_id(sample) for sample in range(unit.n_samples)]
        if not ids:
            st.caption("The file has no prompts.")
            return
        chosen = pick_one(
            "Prompt",
            ids,
            key="prompt",
        )
    sample = ids.index(chosen)
    start, stop = (int(n) for n in unit.offsets[sample : sample + 2])
    norms = site_norms_of(unit, site, look.choice.kind)[:, start:stop]
    strings = unit.token_strings[sample]
    st.markdown(f"“{md(unit.prompt_text(sample))}”")
    content = norms[:, unit.content_start :]
    if content.size and np.isfinite(content).any():
        with np.errstate(divide="ignore", invalid="ignore"):
            apart = content / np.nanmedian(content, axis=1, keepdims=True)
        layer, at = (
            int(n) for n in np.unravel_index(np.nanargmax(np.nan_to_num(apart)), apart.shape)
        )
        answer(
            f"Its largest content token is {mono(strings[at + unit.content_start])} (position "
            f"{at + unit.content_start}) at layer {layer}, with "
            f"{numbers.significant(apart[layer, at])} times the median of its content there."
        )
    figure = norm_heatmap(
        norms,
        columns=[token_label(text) for text in strings],
        column_title="token",
        value_title=KIND_TITLES[look.choice.kind],
        hover=[f"position {n}, {text}" for n, text in enumerate(strings)],
        scheme=look.scheme,
        log=look.choice.log,
    )
    name = f"prompt-{look.folder}-{site}-{chosen}"
    show_chart(
        figure,
        key="prompt-chart",
        name=name,
        caption=f"{KIND_TITLES[look.choice.kind]} of the {_SITE_WORDS[site]} of every "
        f"token of prompt {chosen} ({emotion}) by layer. {look.made}",
        alt=f"Norms of the tokens of prompt {chosen} by layer; the table below holds the values",
        scheme=look.scheme,
        badges=look.badges,
    )
    data = pd.DataFrame(token_rows(unit, site, look.choice.kind, sample=sample))
    _table(
        data,
        "Norms and largest dimensions of each token",
        help_of={f"top{n}": "dimension: value" for n in (1, 2, 3)},
    )
    export_row(
        data, key="prompt-chart", name=name, command=look.command("token"), badges=look.badges
    )
    _neighbours(look, unit, sample, site)


def _neighbours(look: Look, unit: UnitMeasures, sample: int, site: Site) -> None:
    st.subheader("Nearest other prompts")
    layer = pick_layer(unit.sites[site].n_layers)
    units = [other for other in look.units if site in other.sites]
    pooled = [other.sites[site].pooled[layer] for other in units]
    owner = [(number, row) for number, one in enumerate(pooled) for row in range(len(one))]
    own = owner.index((units.index(unit), sample))
    found = nearest_prompts(np.concatenate(pooled), own)
    if not found:
        st.caption("There is no other prompt with finite values.")
        return
    st.dataframe(
        pd.DataFrame(
            {
                "distance": distance,
                "emotion": units[owner[index][0]].emotion,
                "prompt": units[owner[index][0]].prompt_id(owner[index][1]),
                "text": units[owner[index][0]].prompt_text(owner[index][1]),
            }
            for index, distance in found
        ),
        hide_index=True,
        column_config={"distance": st.column_config.NumberColumn(format="%.3f")},
        alt="The prompts nearest to the one shown, with their distances",
    )
    st.caption(
        f"By the means over content of {mono(site)} at layer {layer}, each dimension divided by "
        "its standard deviation over all prompts of the model; the distance is the root mean "
        "square over dimensions. Independent prompts are at about 1.4."
    )


def _joined(units: Sequence[UnitMeasures], emotion: str) -> UnitMeasures:
    """Several units as one, for statistics over all their prompts."""
    if len(units) == 1:
        return units[0]
    from emoact.analysis.joining import join_norms

    return dataclasses.replace(join_norms(units), emotion=emotion)


def _sentence(title: str) -> str:
    """The title of an axis as the beginning of a sentence, without its unit."""
    return f"{title[:1].upper()}{title[1:].partition(',')[0]}"


def _table(data: pd.DataFrame, alt: str, help_of: Mapping[str, str] | None = None) -> None:
    figures = {
        name: st.column_config.NumberColumn(format="%.4g")
        for name in data.select_dtypes("floating").columns
    }
    helped = {
        name: st.column_config.TextColumn(help=text) for name, text in (help_of or {}).items()
    }
    st.dataframe(data, hide_index=True, height=280, column_config={**figures, **helped}, alt=alt)


_VIEWS: Mapping[View, Callable[[Look], None]] = {
    "heatmap": _heatmap,
    "distribution": _distribution,
    "dimensions": _dimensions,
    "growth": _growth,
    "prompt": _prompt,
}
