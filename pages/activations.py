"""Whether saved activations are sane: norms, positions, dimensions, prompts."""

import streamlit as st

from emoact.ui import activation_page, frame, norm_details
from emoact.ui.activation_choice import pick_activations, pick_view
from emoact.ui.folders import results_folder
from emoact.ui.reading import unit_cards

frame.enter()
st.title("Activations")
st.caption("Are these activations sane? What stands out, and where to see it.")

results = results_folder()
cards = unit_cards(results)
if not any(card.problem is None for card in cards):
    norm_details.empty(results, cards)
    st.stop()

answer = st.container()
view = pick_view()
choice = pick_activations(cards, view)
activation_page.show(cards, choice, answer, results)
norm_details.list_problems(cards)
