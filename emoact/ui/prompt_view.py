"""The view of one prompt on the Activations page."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from emoact import numbers
from emoact import sites as known
from emoact.schema import Site
from emoact.stats.distances.nearest import nearest_prompts
from emoact.stats.norms.tables import token_norms
from emoact.store.summaries.measures import UnitMeasures
from emoact.ui.activation_choice import pick_layer, pick_one
from emoact.ui.activation_look import Look, one_site, show_table
from emoact.ui.boxes import answer
from emoact.ui.chart import export_row, show_chart
from emoact.views.plots.heatmap import norm_heatmap, token_label
from emoact.views.plots.norms import KIND_TITLES
from emoact.views.plots.theme import emotion_order
from emoact.views.text import md, mono


def show_prompt(look: Look) -> None:
    """Norms and largest dimensions of every token of one prompt, and the prompts near it."""
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
    norms = token_norms(unit, site, look.choice.kind)[:, start:stop]
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
    # A sink at position 0 would leave one colour to all the others.
    shown = range(0 if look.choice.first else unit.content_start, len(strings))
    if not shown:
        st.caption("The prompt has no content token; *Position 0* shows its BOS.")
        return
    figure = norm_heatmap(
        norms[:, shown.start :],
        columns=[token_label(strings[position]) for position in shown],
        column_title="token",
        value_title=KIND_TITLES[look.choice.kind],
        hover=[f"position {position}, {strings[position]}" for position in shown],
        scheme=look.scheme,
        log=look.choice.log,
    )
    name = f"prompt-{look.folder}-{site}-{chosen}"
    show_chart(
        figure,
        key="prompt-chart",
        name=name,
        caption=f"{KIND_TITLES[look.choice.kind]} of the {known.words(site)} of every "
        f"{'' if look.choice.first else 'content '}token of prompt {chosen} ({emotion}) by layer. "
        f"{look.made}",
        alt=f"Norms of the tokens of prompt {chosen} by layer; the table below holds the values",
        scheme=look.scheme,
        badges=look.badges,
    )
    table = look.table(
        by="token",
        norm=look.choice.kind,
        emotions=(emotion,),
        sites=(site,),
        prompt=chosen,
        content=not look.choice.first,
    )
    data = table.frame([unit])
    show_table(
        data,
        "Norms and largest dimensions of each token",
        help_of={f"top{n}": "dimension: value" for n in (1, 2, 3)},
    )
    export_row(
        data, key="prompt-chart", name=name, command=look.norms_command(table), badges=look.badges
    )
    _neighbours(look, unit, sample, site)


def _neighbours(look: Look, unit: UnitMeasures, sample: int, site: Site) -> None:
    st.subheader("Nearest other prompts")
    layer = pick_layer(unit.sites[site].n_layers)
    # Vectors of another width lie in no space with this one.
    units = [u for u in look.units if site in u.sites and u.d_model == unit.d_model]
    units = [u for u in units if layer < u.sites[site].n_layers]
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
