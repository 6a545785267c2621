"""Try a sentence: its norms beside the saved classes, and which of them it lies closest to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from emoact import numbers
from emoact.analysis.measures import UnitMeasures
from emoact.analysis.nearest import HeldOut, class_distances, held_out
from emoact.analysis.norms import prompt_means
from emoact.errors import EmoactError, RequestError
from emoact.plots.heatmap import norm_heatmap, token_label
from emoact.plots.norms import SITE_TITLES
from emoact.plots.sentence import beside_classes
from emoact.schema import Site
from emoact.sentence.client import MOST_CHARACTERS, Looked, is_warm, look_at
from emoact.sentence.request import SentenceRequest, check_bos, request_like
from emoact.ui.activation_choice import pick_layer
from emoact.ui.activation_views import Look, one_site
from emoact.ui.boxes import answer, error_box
from emoact.ui.chart import export_row, show_chart
from emoact.ui.reading import UnitCard
from emoact.ui.text import md, mono

_KEPT = "sentence-looked"


def show_sentence(look: Look, cards: Sequence[UnitCard]) -> None:
    """The form, and what came of it."""
    configuration = cards[0].configuration
    sites = tuple(dict.fromkeys(s for unit in look.units for s in unit.sites if s != "resid_post"))
    try:
        request = _request(look.folder, cards, sites)
    except RequestError as error:
        error_box(error, title="A sentence cannot be compared with these files")
        return
    with (
        st.form("sentence-form", border=False),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        text = st.text_input(
            "Sentence",
            key="sentence-text",
            max_chars=MOST_CHARACTERS,
            placeholder="You drove two hours just to bring me my keys.",
        )
        asked = st.form_submit_button("Look at the sentence", type="primary", width=190)
    if asked:
        st.session_state.pop(_KEPT, None)
        words = "Reading the sentence" if is_warm(request) else f"Loading {request.model}"
        try:
            with st.spinner(words, show_time=True):
                looked = look_at(request, text)
            check_bos(looked.bos, configuration or {})
        except EmoactError as error:
            error_box(error, title="There is no answer")
            return
        st.session_state[_KEPT] = (request.key, looked)
    kept = st.session_state.get(_KEPT)
    if kept is None or kept[0] != request.key:
        st.caption(
            f"The sentence goes through {mono(request.model)} as the saved prompts did. The first "
            "one loads the model, which takes some seconds; the model then stays for ten minutes."
        )
        return
    _show(look, kept[1])


def _request(folder: str, cards: Sequence[UnitCard], sites: tuple[Site, ...]) -> SentenceRequest:
    known = [card.configuration for card in cards]
    if any(one != known[0] for one in known):
        raise RequestError(
            f"the files of {folder} were not made alike, so that a sentence cannot be treated as "
            "all of them were",
            remedy="Extract them again with one configuration.",
        )
    return request_like(folder, known[0], sites)


def _show(look: Look, looked: Looked) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        layer = pick_layer(min(unit.n_layers for unit in look.units))
    site = one_site(look)
    units = [unit for unit in look.units if site in unit.sites]
    rows = _distances(units, site, layer, looked)
    if rows is None:
        st.caption("The saved prompts hold no finite values at this layer.")
    else:
        classes, distances, accuracy, words = rows
        _say(classes, distances, layer, site, accuracy, words)
        st.dataframe(
            pd.DataFrame(
                {
                    "class": classes,
                    "distance": distances,
                    "held-out prompts that fall to it": [
                        accuracy.by_class[name] if accuracy else None for name in classes
                    ],
                }
            ).sort_values("distance"),
            hide_index=True,
            column_config={
                "distance": st.column_config.NumberColumn(
                    format="%.3f", help="Root mean square of (sentence - mean) / spread."
                ),
                "held-out prompts that fall to it": st.column_config.NumberColumn(
                    format="percent", help="Of the saved prompts of this class, by the same rule."
                ),
            },
            alt="Standardised distance of the sentence to the mean of each class",
        )
    _charts(look, units, site, looked)


def _distances(
    units: Sequence[UnitMeasures], site: Site, layer: int, looked: Looked
) -> tuple[tuple[str, ...], list[float], HeldOut | None, HeldOut | None] | None:
    pooled, labels, scenarios = _prompts(units, site, layer)
    if not len(pooled):
        return None
    vector = looked.arrays[f"{site}.pooled"][layer]
    classes, distances = class_distances(pooled, labels, vector[None])
    first = None
    if site == "resid_pre" and layer:
        first = held_out(*_prompts(units, site, 0))
    return classes, distances[0].tolist(), held_out(pooled, labels, scenarios), first


def _prompts(
    units: Sequence[UnitMeasures], site: Site, layer: int
) -> tuple[np.ndarray, list[str], list[str | None]]:
    pooled = np.concatenate([unit.sites[site].pooled[layer] for unit in units])
    labels = [unit.emotion for unit in units for _ in range(unit.n_samples)]
    scenarios = [unit.scenario(sample) for unit in units for sample in range(unit.n_samples)]
    finite = np.flatnonzero(np.isfinite(pooled).all(axis=1))
    return pooled[finite], [labels[i] for i in finite], [scenarios[i] for i in finite]


def _say(
    classes: Sequence[str],
    distances: Sequence[float],
    layer: int,
    site: Site,
    accuracy: HeldOut | None,
    words: HeldOut | None,
) -> None:
    order = np.argsort(distances, kind="stable")
    nearest = (
        f"At layer {layer} of {mono(site)} the sentence lies closest to "
        f"**{md(classes[order[0]])}** ({distances[order[0]]:.3f}"
    )
    nearest += (
        f"; next is {md(classes[order[1]])}, {distances[order[1]]:.3f})."
        if len(order) > 1
        else ")."
    )
    if accuracy is None:
        answer(nearest, "There are too few prompts to say how often the same rule is right.")
        return
    how = "by scenario" if accuracy.grouped else "one fold of prompts at a time"
    judged = (
        f"By the same rule {_percent(accuracy.accuracy)} of the {accuracy.n} saved prompts, held "
        f"out {how}, fall to their own class (chance {_percent(accuracy.chance)})"
    )
    if words is not None:
        judged += f"; with the words alone, at layer 0, it is {_percent(words.accuracy)}"
    answer(nearest, judged + ".")


def _charts(look: Look, units: Sequence[UnitMeasures], site: Site, looked: Looked) -> None:
    norms = looked.arrays[f"{site}.l2"]
    show_chart(
        norm_heatmap(
            norms,
            columns=[token_label(text) for text in looked.token_strings],
            column_title="token",
            value_title="L2 norm",
            hover=[f"position {n}, {text}" for n, text in enumerate(looked.token_strings)],
            scheme=look.scheme,
            log=True,
        ),
        key="sentence-tokens",
        name=f"sentence-{look.folder}-{site}",
        caption=f"L2 norm of the {SITE_TITLES[site]} of every token of a typed sentence by "
        f"layer. {look.made}",
        alt="Norms of the tokens of the sentence by layer",
        scheme=look.scheme,
        badges=look.badges,
    )
    data = pd.DataFrame(
        {
            "layer": layer,
            "position": position,
            "token": token,
            "norm": float(norms[layer, position]),
        }
        for layer in range(len(norms))
        for position, token in enumerate(looked.token_strings)
    )
    export_row(
        data, key="sentence-tokens", name=f"sentence-{look.folder}-{site}", badges=look.badges
    )
    own = prompt_means(norms, [norms.shape[1]], looked.content_start)[:, 0]
    classes = {unit.emotion: _quartiles(unit, site) for unit in units}
    show_chart(
        beside_classes(
            classes,
            own.tolist(),
            styles=look.styles,
            scheme=look.scheme,
            value_title="mean L2 norm over content",
        ),
        key="sentence-classes",
        name=f"sentence-beside-classes-{look.folder}-{site}",
        caption="Mean L2 norm over the content positions of a typed sentence, beside medians and "
        f"quartiles of the saved prompts. {look.made}",
        alt="Mean norm of the sentence by layer beside the medians of the saved classes",
        scheme=look.scheme,
        badges=look.badges,
    )
    beside: dict[str, Any] = {"layer": range(len(own)), "sentence": own}
    for emotion, (low, middle, high) in classes.items():
        beside |= {f"{emotion} q25": low, f"{emotion} median": middle, f"{emotion} q75": high}
    export_row(
        pd.DataFrame(beside),
        key="sentence-classes",
        name=f"sentence-beside-classes-{look.folder}-{site}",
        badges=look.badges,
    )
    st.caption(f"Answered in {numbers.duration(looked.seconds)}.")


def _quartiles(unit: UnitMeasures, site: Site) -> tuple[list[float], list[float], list[float]]:
    means = prompt_means(unit.sites[site].l2, unit.lengths, unit.content_start)
    finite: Mapping[int, np.ndarray] = {
        layer: row[np.isfinite(row)] for layer, row in enumerate(means)
    }
    found = [
        np.quantile(row, [0.25, 0.5, 0.75]) if len(row) else [np.nan] * 3 for row in finite.values()
    ]
    low, middle, high = ([float(values[at]) for values in found] for at in range(3))
    return low, middle, high


def _percent(share: float) -> str:
    return f"{numbers.significant(100 * share, 2)} %"
