"""Layerwise norms of what was extracted."""

import streamlit as st

from emoact.plots.norms import norm_figure
from emoact.plots.theme import emotion_styles
from emoact.ui import frame, norm_details, norm_view
from emoact.ui.folders import results_folder
from emoact.ui.norm_choice import pick_norms
from emoact.ui.reading import unit_cards
from emoact.ui.scheme import current_scheme

frame.enter()
st.title("Activations")
st.caption(
    "Norms of the residual stream and the MLP output, layer by layer and emotion by emotion."
)

results = results_folder()
cards = unit_cards(results)
choice = pick_norms(cards)
if choice is None:
    norm_details.empty(results, cards)
    st.stop()

norms = norm_view.measure(cards, choice)
norm_view.say(norms, choice)
figure = norm_figure(
    norms.rows,
    styles=emotion_styles((card.file.emotion for card in cards), current_scheme()),
    scheme=current_scheme(),
    log=choice.log,
    show_first=choice.first,
)
st.plotly_chart(
    figure,
    theme=None,
    key="norms",
    config=norm_view.chart_config(choice),
    alt=norm_view.alternative(norms, choice),
)
norm_details.table(norms, choice)
norm_details.export(norms, results)
norm_details.settings(norms)
norm_details.explain(norms, choice)
norm_details.list_problems(cards)
