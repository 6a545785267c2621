"""The Directions page: strength, stability and separation of one model's directions."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from emoact.analysis.saved import SavedAnalysis
from emoact.ui import analyses, analysis_details, direction_answers, direction_terms, links
from emoact.ui.analyses import of, table
from emoact.ui.analysis_chart import Drawn, note_ignored, pick_model_sites_view, show_drawn
from emoact.ui.boxes import answer
from emoact.ui.scheme import current_scheme
from emoact.views.plots.separation import EVALUATIONS, PROBES, drawn_separation, separation_figure
from emoact.views.plots.stability import drawn_stability, stability_figure
from emoact.views.plots.strength import STRENGTH_MEASURES, drawn_strength, strength_figure

VIEWS = ("strength", "stability", "separation")


@dataclass(frozen=True, kw_only=True)
class DirectionChoice:
    """What the reader asked to see.

    Attributes:
        model: Folder of the model.
        sites: At least one.
        view: One of `VIEWS`.
        measure: Key of `STRENGTH_MEASURES`.
        evaluation: Key of `EVALUATIONS`.
        probe: Key of `PROBES`.
    """

    model: str
    sites: tuple[str, ...]
    view: str
    measure: str
    evaluation: str
    probe: str


def pick(saved: SavedAnalysis) -> DirectionChoice | None:
    """The controls above the chart; None where something has to be chosen first."""
    evaluations = [
        name for name in EVALUATIONS if name in set(table(saved, "probes")["evaluation"])
    ]
    probes = [probe for probe in PROBES if probe in saved.settings.probes]
    note_ignored(
        saved,
        {
            "view": VIEWS,
            "measure": list(STRENGTH_MEASURES),
            "evaluation": evaluations,
            "probe": probes,
        },
    )
    measure, evaluation, probe = "cv_relative", evaluations[0] if evaluations else "", probes[0]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        model, sites, view = pick_model_sites_view(saved, VIEWS)
        if view == "strength":
            measure = st.selectbox(
                "Measure",
                list(STRENGTH_MEASURES),
                key="measure",
                bind="query-params",
                width=150,
                help="  \n".join(f"`{k}`: {m.title}" for k, m in STRENGTH_MEASURES.items()),
            )
        elif view == "separation" and evaluations:
            evaluation = st.segmented_control(
                "Evaluation",
                evaluations,
                default=evaluations[0],
                required=True,
                key="evaluation",
                bind="query-params",
                help="cross_validated: five folds of scenarios. explicit_to_implicit: trained on "
                "prompts that use a word of emotion, tested on prompts that use none.",
            )
            probe = st.selectbox("Probe", probes, key="probe", bind="query-params", width=150)
    links.show_ignored()
    if not sites:
        st.caption("Choose at least one site.")
        return None
    return DirectionChoice(
        model=model,
        sites=sites,
        view=view,
        measure=str(measure),
        evaluation=str(evaluation),
        probe=str(probe),
    )


def show(saved: SavedAnalysis, choice: DirectionChoice, head: DeltaGenerator, results: str) -> None:
    """Everything below the controls, and the answer above them."""
    with head:
        analyses.mark_badges(saved)
        _say(saved, choice)
        analyses.mark_refusals(saved)
    drawn = _draw(saved, choice)
    if not len(drawn.data):
        st.caption("There is nothing to draw here: nothing can be held out in these data.")
    else:
        show_drawn(
            saved,
            drawn,
            key="directions",
            alt=f"The values drawn above: {choice.view}",
            results=results,
        )
    analysis_details.downloads(saved, choice.model, choice.sites)
    analysis_details.explain(direction_terms.terms(saved, choice.view, choice.sites))
    analysis_details.settings(saved, results)


def _say(saved: SavedAnalysis, choice: DirectionChoice) -> None:
    headline = of(table(saved, "headline"), model=choice.model)
    site = choice.sites[0]
    strength = of(table(saved, "strength"), model=choice.model, site=site)
    own = of(headline, site=site)
    settings = saved.settings
    reference = settings.neutral if settings.reference == "neutral" else "the mean of all classes"
    answer(direction_answers.presence_sentence(headline, strength, reference))
    answer(direction_answers.words_sentence(own, direction_answers.CROSS_VALIDATED))
    answer(direction_answers.words_sentence(own, direction_answers.TRANSFER))
    answer(direction_answers.length_sentence(strength))


def _draw(saved: SavedAnalysis, choice: DirectionChoice) -> Drawn:
    styles, scheme = analyses.styles_of(saved), current_scheme()
    where = {"model": choice.model, "site": choice.sites}
    sites = " and ".join(direction_answers.site_words(site) for site in choice.sites)
    if choice.view == "strength":
        measure = STRENGTH_MEASURES[choice.measure]
        data = drawn_strength(of(table(saved, "strength"), **where), choice.measure)
        figure = strength_figure(data, measure=choice.measure, styles=styles, scheme=scheme)
        what = (
            "Correlation of held-out projections with prompt length by layer"
            if choice.measure == "length_corr"
            else f"Strength of the directions by layer ({measure.title})"
        )
        name = f"strength-{choice.measure}"
    elif choice.view == "stability":
        data = drawn_stability(of(table(saved, "stability"), **where))
        figure = stability_figure(data, styles=styles, scheme=scheme)
        what, name = "Agreement of the directions with themselves by layer", "stability"
    else:
        data = drawn_separation(
            of(table(saved, "probes"), **where),
            of(table(saved, "baselines"), model=choice.model),
            of(table(saved, "headline"), **where),
            evaluation=choice.evaluation,
            probe=choice.probe,
        )
        figure = separation_figure(data, styles=styles, scheme=scheme)
        how = EVALUATIONS.get(choice.evaluation, "")
        what = (
            f"Held-out accuracy of the {PROBES[choice.probe]} probe ({how}) beside classifiers "
            "that see less; below, the probe's layer is chosen on training prompts"
        )
        name = f"separation-{choice.evaluation}-{choice.probe}"
    return Drawn(
        figure=figure,
        data=data,
        caption=f"{what}; {choice.model}, {sites}.",
        name=f"{name}-{choice.model}",
    )
