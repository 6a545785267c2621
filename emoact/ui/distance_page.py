"""The Distances page: cosines between emotions by layer, as matrices, and prompts as points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from emoact.analysis.saved import SavedAnalysis
from emoact.ui import (
    analyses,
    analysis_details,
    direction_terms,
    distance_answers,
    distance_terms,
    links,
    prompt_texts,
)
from emoact.ui.analyses import of, table
from emoact.ui.analysis_chart import Drawn, note_ignored, pick_model_sites_view, show_drawn
from emoact.ui.boxes import answer
from emoact.ui.direction_answers import site_words
from emoact.ui.scheme import current_scheme
from emoact.views.plots.cosines import COSINE_MEASURES, cosine_figure, drawn_cosines, matrix_figure
from emoact.views.plots.prompt_space import BASES, axis_ranges, drawn_points, space_figure
from emoact.views.text import md

VIEWS = ("cosines", "matrix", "prompts")
_AXES = ("2", "3")
_RANGES = ("layer", "all")


@dataclass(frozen=True, kw_only=True)
class DistanceChoice:
    """What the reader asked to see.

    Attributes:
        model: Folder of the model.
        sites: At least one.
        view: One of `VIEWS`.
        measure: Key of `COSINE_MEASURES`.
        layer: Of matrices and points.
        basis: Key of `BASES`.
        solid: Three axes.
        fit_all: Axes that fit every layer.
    """

    model: str
    sites: tuple[str, ...]
    view: str
    measure: str
    layer: int
    basis: str
    solid: bool
    fit_all: bool


def pick(saved: SavedAnalysis) -> DistanceChoice | None:
    """The controls above the chart; None where something has to be chosen first."""
    note_ignored(
        saved,
        {
            "view": VIEWS,
            "measure": list(COSINE_MEASURES),
            "basis": list(BASES),
            "axes": _AXES,
            "range": _RANGES,
        },
    )
    measure, basis, axes, reach = "cosine", "fixed", "2", "layer"
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        model, sites, view = pick_model_sites_view(saved, VIEWS)
        if view == "cosines":
            measure = st.segmented_control(
                "Measure",
                list(COSINE_MEASURES),
                default="cosine",
                required=True,
                key="measure",
                bind="query-params",
                help="  \n".join(f"`{key}`: {words}" for key, words in COSINE_MEASURES.items()),
            )
        if view == "prompts":
            basis = st.segmented_control(
                "Basis",
                list(BASES),
                default="fixed",
                required=True,
                key="basis",
                bind="query-params",
                help="fixed: one set of axes for all layers, so that a change from layer to layer "
                "is a change of the prompts. per_layer: each layer on its own principal axes.",
            )
            axes = st.segmented_control(
                "Axes", _AXES, default="2", required=True, key="axes", bind="query-params"
            )
            reach = st.segmented_control(
                "Range",
                _RANGES,
                default="layer",
                required=True,
                key="range",
                bind="query-params",
                help="Whether the axes reach as far as the points of this layer or of all layers.",
            )
    layer = _pick_layer(saved, model) if view != "cosines" else 0
    links.show_ignored()
    if not sites:
        st.caption("Choose at least one site.")
        return None
    return DistanceChoice(
        model=model,
        sites=sites,
        view=view,
        measure=str(measure),
        layer=layer,
        basis=str(basis),
        solid=axes == "3",
        fit_all=reach == "all",
    )


def show(saved: SavedAnalysis, choice: DistanceChoice, head: DeltaGenerator, results: str) -> None:
    """Everything below the controls, and the answer above them."""
    with head:
        analyses.mark_badges(saved)
        _say(saved, choice)
        analyses.mark_refusals(saved)
    drawn = (
        _draw_points(saved, choice, results)
        if choice.view == "prompts"
        else _draw_cosines(saved, choice)
    )
    if drawn is None:
        st.caption("There is nothing to draw: a distance needs two emotions beside the reference.")
    else:
        selects: dict[str, Any] = {}
        if choice.view == "prompts" and not choice.solid:
            selects = {"on_select": "rerun", "selection_mode": "points"}

        def between(event: Any) -> None:
            if choice.view == "prompts":
                _show_selected(event if selects else None, drawn.data, choice)

        show_drawn(
            saved,
            drawn,
            key=f"distances-{choice.view}",
            alt=f"The values drawn above: {choice.view}",
            results=results,
            between=between,
            **selects,
        )
    terms = distance_terms.TERMS[choice.view]
    analysis_details.explain({**direction_terms.common(saved, choice.sites), **terms})
    analysis_details.settings(saved, results)


def _pick_layer(saved: SavedAnalysis, model: str) -> int:
    layers = sorted(of(table(saved, "strength"), model=model)["layer"].unique().tolist())
    last = int(layers[-1]) if layers else 0
    links.note_ignored("layer", [str(layer) for layer in range(last + 1)])
    if last == 0:
        return 0
    return int(
        st.slider("Layer", 0, last, min(last, (last + 1) // 2), key="layer", bind="query-params")
    )


def _say(saved: SavedAnalysis, choice: DistanceChoice) -> None:
    site = choice.sites[0]
    rows = of(table(saved, "distances"), model=choice.model, site=site)
    if choice.view == "prompts":
        axes = of(
            table(saved, "axes"),
            model=choice.model,
            site=choice.sites,
            layer=choice.layer,
            basis=choice.basis,
        )
        if len(axes):
            answer(distance_answers.space_sentence(axes))
        return
    if not len(rows):
        return
    answer(distance_answers.cosine_sentence(rows))
    answer(distance_answers.null_sentence(rows))
    warning = distance_answers.twin_sentence(rows)
    if warning:
        st.warning(warning, icon=":material/warning:")


def _draw_cosines(saved: SavedAnalysis, choice: DistanceChoice) -> Drawn | None:
    styles, scheme = analyses.styles_of(saved), current_scheme()
    data = drawn_cosines(of(table(saved, "distances"), model=choice.model, site=choice.sites))
    if not len(data):
        return None
    where = " and ".join(site_words(site) for site in choice.sites)
    if choice.view == "matrix":
        here = data[data["layer"] == choice.layer].reset_index(drop=True)
        return Drawn(
            figure=matrix_figure(here, layer=choice.layer, scheme=scheme),
            data=here,
            caption=f"Cosines between the directions of emotions at layer {choice.layer}; "
            f"{choice.model}, {where}.",
            name=f"cosines-layer-{choice.layer}-{choice.model}",
        )
    return Drawn(
        figure=cosine_figure(data, measure=choice.measure, styles=styles, scheme=scheme),
        data=data,
        caption=f"Pairs of emotions by layer: {COSINE_MEASURES[choice.measure]}; "
        f"{choice.model}, {where}.",
        name=f"distances-{choice.measure}-{choice.model}",
    )


def _draw_points(saved: SavedAnalysis, choice: DistanceChoice, results: str) -> Drawn | None:
    points = of(table(saved, "points"), model=choice.model, site=choice.sites)
    texts = prompt_texts.texts_of(results, choice.model)
    data = drawn_points(points, texts, layer=choice.layer, basis=choice.basis)
    if not len(data):
        return None
    axes = of(
        table(saved, "axes"),
        model=choice.model,
        site=choice.sites,
        layer=choice.layer,
        basis=choice.basis,
    )
    figure = space_figure(
        data,
        axes,
        axis_ranges(points, basis=choice.basis, layer=None if choice.fit_all else choice.layer),
        styles=analyses.styles_of(saved),
        scheme=current_scheme(),
        solid=choice.solid,
    )
    return Drawn(
        figure=figure,
        data=data,
        caption=f"Prompts on principal axes ({BASES[choice.basis]}) at layer {choice.layer}, "
        f"explained variance on the axes; {choice.model}.",
        name=f"prompts-layer-{choice.layer}-{choice.model}",
    )


def _show_selected(event: Any, drawn: pd.DataFrame, choice: DistanceChoice) -> None:
    """The prompt that was selected, as text, and the way to its activations."""
    picked = _selected(event)
    if picked is None:
        hint = "Click a point to open its prompt." if not choice.solid else ""
        st.caption(hint or "Hover a point for its prompt; in two axes a click opens it.")
        return
    emotion, prompt_id = picked
    rows = of(drawn, emotion=emotion, prompt_id=prompt_id)
    text = str(rows["text"].iloc[0]) if len(rows) else ""
    st.markdown(f"**{md(emotion)}** {md(prompt_id)}: {md(text)}")
    parameters: Mapping[str, str | list[str]] = {
        "view": "prompt",
        "model": choice.model,
        "emotion": emotion,
        "prompt": prompt_id,
    }
    # A link and not a button: parameters that are bound to widgets here cannot be set for another
    # page from within a script.
    st.page_link(
        "pages/activations.py",
        label="Open this prompt in Activations",
        icon=":material/open_in_new:",
        query_params=dict(parameters),
    )


def _selected(event: Any) -> tuple[str, str] | None:
    points = ((event or {}).get("selection") or {}).get("points") or []
    for point in points:
        data = point.get("customdata")
        if isinstance(data, list | tuple) and len(data) >= 2:
            return str(data[0]), str(data[1])
    return None
