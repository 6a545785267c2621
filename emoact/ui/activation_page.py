"""The Activations page: the answer, the findings, and the view that was chosen."""

from __future__ import annotations

from collections.abc import Sequence

from streamlit.delta_generator import DeltaGenerator

from emoact.store.summaries.measures import UnitMeasures
from emoact.ui import configuration, links, norm_details, norm_view
from emoact.ui.activation_choice import ActivationChoice
from emoact.ui.activation_look import Look
from emoact.ui.activation_views import show_view
from emoact.ui.chart import show_chart
from emoact.ui.finding_list import list_findings
from emoact.ui.norm_view import Norms
from emoact.ui.reading import UnitCard, findings, measures
from emoact.ui.scheme import current_scheme
from emoact.ui.sentence_view import show_sentence
from emoact.views.plots.norms import norm_figure
from emoact.views.plots.theme import EmotionStyle, emotion_styles


def show(
    cards: Sequence[UnitCard], choice: ActivationChoice, head: DeltaGenerator, results: str
) -> None:
    """Draw everything below the controls, and the answer above them."""
    norms = norm_view.measure(cards, choice)
    found = findings(tuple(card.file for card in norms.cards))
    with head:
        norm_view.say(norms, choice, found)
        list_findings(found, several=len(choice.folders) > 1)
    # Every label of the folder, so that a colour means the same whatever is chosen.
    styles = emotion_styles((card.file.emotion for card in cards), current_scheme())
    badges, made = configuration.badges(norms.cards), configuration.made_words(norms.cards)
    look = Look(
        choice=choice,
        units=tuple(_unit(card) for card in norms.cards),
        styles=styles,
        scheme=current_scheme(),
        results=results,
        badges=badges,
        made=made,
    )
    if choice.view == "norms":
        _norms(norms, choice, styles, look)
    elif choice.view == "sentence":
        show_sentence(look, norms.cards)
    else:
        show_view(look)
    links.show_ignored()
    norm_details.settings(norms.cards)
    norm_details.explain(norms.cards, choice)


def _unit(card: UnitCard) -> UnitMeasures:
    return measures(card.file)


def _norms(
    norms: Norms, choice: ActivationChoice, styles: dict[str, EmotionStyle], look: Look
) -> None:
    drawn = norm_view.relative(norms, choice) if choice.relative else norms
    figure = norm_figure(
        list(drawn.rows.itertuples(index=False)),
        styles=styles,
        scheme=look.scheme,
        log=choice.log,
        show_first=choice.first,
        unit="relative to the model" if choice.relative else "model units",
    )
    show_chart(
        figure,
        key="norms",
        name="-".join(["norms", choice.kind, *choice.folders[:2]]),
        caption=norm_view.caption(choice, look.made),
        alt=norm_view.alternative(drawn, choice),
        scheme=look.scheme,
        badges=look.badges,
    )
    norm_details.table(drawn, choice)
    norm_details.export(drawn, choice, look)
