"""Activations: norms, positions, dimensions and prompts of saved activations."""

import streamlit as st

from emoact.ui import activation_page, folders, frame
from emoact.ui.reading import unit_cards

frame.enter()
st.title("Activations")
st.caption("Are these activations sane? What stands out, and where to see it.")
results = folders.results_folder()
activation_page.show(results, unit_cards(results))
