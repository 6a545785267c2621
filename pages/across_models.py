"""Across models: what two models have in common, and the raw cosine as a control."""

import streamlit as st

from emoact.ui import across_page, analyse_panel, frame
from emoact.ui.folders import results_folder

frame.enter()
st.title("Across models")
st.caption("Whether two models treat the same prompts alike, against what chance gives.")

results = results_folder()
saved = analyse_panel.open_analysis(results, needs="A comparison across models", n_models=2)
if saved is None:
    st.stop()

head = st.container()
analyse_panel.note_changes(results, saved)
choice = across_page.pick(saved)
if choice is not None:
    across_page.show(saved, choice, head, results)
analyse_panel.show_form(results)
