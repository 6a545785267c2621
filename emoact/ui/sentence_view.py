"""Try a sentence: its norms beside the saved classes, and which of them it lies closest to."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from emoact import numbers
from emoact import sites as known
from emoact.errors import EmoactError, RequestError
from emoact.host.client import MOST_CHARACTERS, Looked, is_warm, look_at
from emoact.host.request import check_bos, request_alike
from emoact.schema import Site
from emoact.stats.norms.sentence import (
    near_classes,
    sentence_layer_table,
    sentence_norms,
    sentence_token_table,
)
from emoact.store.summaries.measures import UnitMeasures
from emoact.ui.activation_choice import pick_layer
from emoact.ui.activation_look import Look, alike, one_site
from emoact.ui.boxes import answer, error_box
from emoact.ui.chart import export_row, show_chart
from emoact.ui.reading import UnitCard
from emoact.views.plots.heatmap import norm_heatmap, token_label
from emoact.views.plots.norms import KIND_TITLES
from emoact.views.plots.sentence import beside_classes
from emoact.views.text import md, mono

_KEPT = "sentence-looked"


def show_sentence(look: Look, cards: Sequence[UnitCard]) -> None:
    """Show the form, and the answer below it."""
    configuration = cards[0].configuration
    sites = tuple(
        dict.fromkeys(s for unit in look.units for s in unit.sites if known.site(s).layers == "all")
    )
    try:
        request = request_alike(look.folder, [card.configuration for card in cards], sites)
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
        loaded = (
            "The model is loaded already."
            if is_warm(request)
            else "The first one loads the model, which takes some seconds; the model then stays "
            "for ten minutes."
        )
        st.caption(
            f"The sentence goes through {mono(request.model)} as the saved prompts did. {loaded}"
        )
        return
    _show(look, kept[1])


def _show(look: Look, looked: Looked) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        layer = pick_layer(min(unit.n_layers for unit in look.units))
    site = one_site(look)
    units = alike([unit for unit in look.units if site in unit.sites])
    near = near_classes(units, site, layer, looked.arrays[f"{site}.pooled"][layer])
    if near is None:
        st.caption("The saved prompts hold no finite values at this layer.")
    else:
        answer(*near.sentences(name=_bold, code=mono))
        data = near.frame()
        st.dataframe(
            data,
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
        export_row(
            data,
            key="sentence-near",
            name=f"sentence-near-classes-{look.folder}-{site}-layer{layer}",
            command=_command(look, looked, "class", site, "--layer", str(layer)),
            badges=look.badges,
            images=False,
        )
    _charts(look, units, site, looked)


def _bold(name: str) -> str:
    return f"**{md(name)}**"


def _command(look: Look, looked: Looked, by: str, site: Site, *words: str) -> str:
    """What makes the same table in a shell."""
    kind = look.choice.kind
    norm = [] if by == "class" or kind == "l2" else ["--norm", kind]
    named = ["--model", look.folder, "--by", by, "--site", site, *norm]
    # A sentence that begins with a hyphen is no option.
    text = ["--", looked.text] if looked.text.startswith("-") else [looked.text]
    return look.command("sentence", [*named, *words], f"sentence-{by}", last=text)


def _charts(look: Look, units: Sequence[UnitMeasures], site: Site, looked: Looked) -> None:
    kind = look.choice.kind
    norms = sentence_norms(looked.arrays, site, kind)
    show_chart(
        norm_heatmap(
            norms,
            columns=[token_label(text) for text in looked.token_strings],
            column_title="token",
            value_title=KIND_TITLES[kind],
            hover=[f"position {n}, {text}" for n, text in enumerate(looked.token_strings)],
            scheme=look.scheme,
            log=True,
        ),
        key="sentence-tokens",
        name=f"sentence-{look.folder}-{site}",
        caption=f"{KIND_TITLES[kind]} of the {known.words(site)} of every token of a typed "
        f"sentence by layer. {look.made}",
        alt="Norms of the tokens of the sentence by layer",
        scheme=look.scheme,
        badges=look.badges,
    )
    export_row(
        sentence_token_table(norms, looked.token_strings),
        key="sentence-tokens",
        name=f"sentence-{look.folder}-{site}",
        command=_command(look, looked, "token", site),
        badges=look.badges,
    )
    by_layer = sentence_layer_table(norms, looked.content_start, units, site, kind)
    classes = {
        unit.emotion: (
            by_layer[f"{unit.emotion} q25"].tolist(),
            by_layer[f"{unit.emotion} median"].tolist(),
            by_layer[f"{unit.emotion} q75"].tolist(),
        )
        for unit in units
    }
    show_chart(
        beside_classes(
            classes,
            by_layer["sentence"].tolist(),
            styles=look.styles,
            scheme=look.scheme,
            value_title=f"mean {KIND_TITLES[kind]} over content",
        ),
        key="sentence-classes",
        name=f"sentence-beside-classes-{look.folder}-{site}",
        caption=f"Mean {KIND_TITLES[kind]} of the {known.words(site)} over the content positions "
        f"of a typed sentence, beside medians and quartiles of the saved prompts. {look.made}",
        alt="Mean norm of the sentence by layer beside the medians of the saved classes",
        scheme=look.scheme,
        badges=look.badges,
    )
    export_row(
        by_layer,
        key="sentence-classes",
        name=f"sentence-beside-classes-{look.folder}-{site}",
        command=_command(look, looked, "layer", site),
        badges=look.badges,
    )
    st.caption(f"Answered in {numbers.duration(looked.seconds)}.")
