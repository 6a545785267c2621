"""Layerwise norms of what was extracted."""

import streamlit as st

from emoact.plots.norms import norm_figure
from emoact.plots.theme import emotion_styles
from emoact.ui import activations, frame
from emoact.ui.folders import results_folder
from emoact.ui.reading import unit_cards
from emoact.ui.scheme import current_scheme

frame.enter()
st.title("Activations")
st.caption(
    "Norms of the residual stream and the MLP output, layer by layer and emotion by emotion."
)

results = results_folder()
cards = unit_cards(results)
choice = activations.pick(cards)
if choice is None:
    activations.empty(results, cards)
    st.stop()

norms = activations.measure(cards, choice)
activations.say(norms, choice)
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
    config=activations.chart_config(choice),
    alt=activations.alternative(norms, choice),
)
activations.table(norms, choice)
activations.export(norms, results)
activations.settings(norms)
activations.explain(norms, choice)
activations.list_problems(cards)
