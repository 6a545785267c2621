"""The Across models page: what two models have in common, and the control that has no meaning."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from emoact import numbers
from emoact.analysis.saved import SavedAnalysis
from emoact.stats.across.between import CREDIBLE
from emoact.ui import (
    across_answers,
    across_terms,
    analyses,
    analysis_details,
    direction_terms,
    links,
)
from emoact.ui.analyses import of, table
from emoact.ui.analysis_chart import Drawn, show_drawn, sites_of
from emoact.ui.boxes import answer
from emoact.ui.direction_answers import site_words
from emoact.ui.scheme import current_scheme
from emoact.views.plots.across import (
    ACROSS_MEASURES,
    MAPS,
    across_figure,
    beyond,
    drawn_across,
    map_figure,
)
from emoact.views.plots.theme import emotion_order
from emoact.views.text import prose

VIEWS = ("by_layer", "layer_map")
_BETWEEN = " ~ "
"""Cannot be part of a folder's name, so that a pair reads back as its two models."""


@dataclass(frozen=True, kw_only=True)
class AcrossChoice:
    """What the reader asked to see.

    Attributes:
        pair: Folders of the two models.
        site: Which site.
        view: One of `VIEWS`.
        measure: Key of `ACROSS_MEASURES`.
        emotion: Of a map that is of one emotion; else empty.
    """

    pair: tuple[str, str]
    site: str
    view: str
    measure: str
    emotion: str


def pick(saved: SavedAnalysis) -> AcrossChoice | None:
    """The controls above the chart; None where no two models were compared."""
    similarity = table(saved, "similarity")
    found = similarity[["model_a", "model_b"]].drop_duplicates().itertuples(index=False)
    pairs = {f"{a}{_BETWEEN}{b}": (str(a), str(b)) for a, b in found}
    if not pairs:
        st.caption("No two models of this analysis could be compared; the reasons are above.")
        return None
    sites = sites_of(saved)
    emotions = emotion_order(saved.emotions)
    named = st.query_params.get("view")
    view_now = named if named in VIEWS else VIEWS[0]
    for parameter, allowed in (
        ("pair", list(pairs)),
        ("hook", sites),
        ("view", VIEWS),
        ("measure", MAPS if view_now == "layer_map" else list(ACROSS_MEASURES)),
        ("emotion", emotions),
    ):
        links.note_ignored(parameter, allowed)
    links.prefer_one("pair", next(iter(pairs)), allowed=pairs)
    emotion = ""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        pair = st.selectbox(
            "Models",
            list(pairs),
            key="pair",
            bind="query-params",
            width=300,
        )
        # Of a name of its own: elsewhere `site` takes several, and one does not become several.
        site = st.segmented_control(
            "Site", sites, default=sites[0], required=True, key="hook", bind="query-params"
        )
        view = st.segmented_control(
            "View",
            VIEWS,
            default=VIEWS[0],
            required=True,
            key="view",
            bind="query-params",
            help="by_layer: layers at the same relative depth. layer_map: every layer against "
            "every layer.",
        )
        measure = st.selectbox(
            "Measure",
            list(MAPS) if view == "layer_map" else list(ACROSS_MEASURES),
            key="measure",
            bind="query-params",
            width=170,
            help="  \n".join(f"`{key}`: {m.title}" for key, m in ACROSS_MEASURES.items()),
        )
        if view == "layer_map" and ACROSS_MEASURES[str(measure)].of_emotion:
            emotion = str(
                st.selectbox("Emotion", emotions, key="emotion", bind="query-params", width=170)
            )
    links.show_ignored()
    return AcrossChoice(
        pair=pairs[str(pair)],
        site=str(site),
        view=str(view),
        measure=str(measure),
        emotion=emotion,
    )


def show(saved: SavedAnalysis, choice: AcrossChoice, head: DeltaGenerator, results: str) -> None:
    """Everything below the controls, and the answer above them."""
    across, similarity = _rows(saved, choice, "across"), _rows(saved, choice, "similarity")
    refused = _raw_refusal(saved, choice)
    with head:
        analyses.mark_badges(saved)
        answer(across_answers.scores_sentence(across) if len(across) else "")
        answer(across_answers.similarity_sentence(similarity))
        answer(across_answers.control_sentence(across, refused) if len(across) else "")
        analyses.mark_refusals(saved)
    drawn = _draw(saved, choice, across, similarity)
    if choice.measure == "raw_cos" and not across["raw_cos"].notna().any():
        st.info(
            f"There is no raw cosine of these two: {prose(refused or 'their widths differ')}.",
            icon=":material/block:",
        )
    elif drawn is None:
        st.caption("There is nothing to draw: these models share no emotion.")
    else:
        show_drawn(saved, drawn, key="across", alt="The values drawn above", results=results)
    _plan_table(saved, choice, results)
    analysis_details.explain(
        {**direction_terms.common(saved, (choice.site,)), **across_terms.TERMS}
    )
    analysis_details.settings(saved, results)


def plan_rows(across: pd.DataFrame, similarity: pd.DataFrame, layer: int) -> pd.DataFrame:
    """The plan's table at one layer of the first models, with the meaningful measures beside it.

    Args:
        across: Rows of the table, every pair, one site.
        similarity: Likewise.
        layer: Layer of each pair's first model; pairs whose first model is shallower end earlier.
    """
    here = across[across["layer_a"] == layer]
    whole = similarity[similarity["layer_a"] == layer].pivot_table(
        index=["model_a", "model_b"], columns="measure", values="value", dropna=False
    )
    joined = here.merge(whole.reset_index(), on=["model_a", "model_b"], how="left")
    columns = {
        "model_a": "model_a", "model_b": "model_b", "emotion": "emotion",
        "layer_a": "layer_a", "layer_b": "layer_b",
        "raw_cos": "raw_cos (control)", "raw_low": "chance low", "raw_high": "chance high",
        "score_corr": "score_corr", "ceiling": "ceiling", "score_corr_p_max": "p over layers",
        "procrustes": "procrustes", "procrustes_null": "procrustes null",
        "cka": "cka", "cka_within": "cka_within", "rsa": "rsa",
    }  # fmt: skip
    kept = {name: title for name, title in columns.items() if name in joined}
    return joined[list(kept)].rename(columns=kept).reset_index(drop=True)


def _plan_table(saved: SavedAnalysis, choice: AcrossChoice, results: str) -> None:
    st.header("Every pair at one layer")
    st.markdown(
        "**raw_cos is a negative control:** two models share no basis, so their directions have no "
        "reason to point alike, and a value inside its chance band is what nothing looks like. "
        "The other columns compare what models do with the same prompts."
    )
    across = of(table(saved, "across"), site=choice.site)
    similarity = of(table(saved, "similarity"), site=choice.site)
    last = int(across["layer_a"].max()) if len(across) else 0
    layer = 0
    links.note_ignored("layer", [str(at) for at in range(last + 1)])
    links.show_ignored()
    if last > 0:
        layer = st.slider(
            "Layer of the first model", 0, last, (last + 1) // 2, key="layer", bind="query-params"
        )
    rows = plan_rows(across, similarity, int(layer))
    analysis_details.table_only(
        rows,
        key="plan",
        name=f"across-models-layer-{layer}",
        command=analyses.command(results, saved),
        badges=saved.badges,
        alt="Every pair of models and emotion at one layer",
    )


def _rows(saved: SavedAnalysis, choice: AcrossChoice, name: str) -> pd.DataFrame:
    a, b = choice.pair
    return of(table(saved, name), model_a=a, model_b=b, site=choice.site)


def _raw_refusal(saved: SavedAnalysis, choice: AcrossChoice) -> str:
    where = ", ".join(choice.pair)
    for finding in (*saved.refusals, *saved.findings):
        if finding.code == "raw_cosine_refused" and finding.where == where:
            return str(finding.message)
    return ""


def _draw(
    saved: SavedAnalysis,
    choice: AcrossChoice,
    across: pd.DataFrame,
    similarity: pd.DataFrame,
) -> Drawn | None:
    scheme, measure = current_scheme(), ACROSS_MEASURES[choice.measure]
    names = " and ".join(choice.pair)
    where = f"{names}, {site_words(choice.site)}"
    if choice.view == "layer_map":
        cells = of(
            _rows(saved, choice, "maps"), measure=choice.measure, emotion=choice.emotion
        ).reset_index(drop=True)
        if not len(cells):
            return None
        about = f" of {choice.emotion}" if choice.emotion else ""
        return Drawn(
            figure=map_figure(cells, measure=choice.measure, scheme=scheme),
            data=cells,
            caption=f"{measure.title[:1].upper()}{measure.title[1:]}{about}, every layer against "
            f"every layer; {where}."
            + (" Grey cells have no value." if cells["value"].isna().any() else ""),
            name=f"map-{choice.measure}-{choice.emotion}-{'-'.join(choice.pair)}",
        )
    data = drawn_across(across, similarity, choice.measure)
    if not len(data):
        return None
    gaps = (
        f" Values beyond {CREDIBLE:g}, whose ceiling is too low to divide by, are in the table "
        "only."
        if beyond(data).any()
        else ""
    )
    return Drawn(
        figure=across_figure(
            data, measure=choice.measure, styles=analyses.styles_of(saved), scheme=scheme
        ),
        data=data,
        caption=f"{measure.title[:1].upper()}{measure.title[1:]} at layers of the same relative "
        f"depth; {where}, {numbers.plural(_n_prompts(similarity), 'shared prompt')}.{gaps}",
        name=f"across-{choice.measure}-{'-'.join(choice.pair)}",
    )


def _n_prompts(similarity: pd.DataFrame) -> int:
    return int(similarity["n_prompts"].max()) if len(similarity) else 0
