"""Directions: how far each emotion lies from neutral, beyond chance and beyond words."""

import streamlit as st

from emoact.ui import analyse_panel, direction_page, frame
from emoact.ui.folders import results_folder

frame.enter()
st.title("Directions")
st.caption("How far each emotion lies from neutral, layer by layer: beyond chance, beyond words?")

results = results_folder()
saved = analyse_panel.open_analysis(results, needs="The strength of directions")
if saved is None:
    st.stop()

head = st.container()
analyse_panel.note_changes(results, saved)
choice = direction_page.pick(saved)
if choice is not None:
    direction_page.show(saved, choice, head, results)
analyse_panel.show_form(results)
