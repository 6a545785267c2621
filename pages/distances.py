"""Distances: how alike a model represents emotions, and what inflates that."""

import streamlit as st

from emoact.ui import analyse_panel, distance_page, frame
from emoact.ui.folders import results_folder

frame.enter()
st.title("Distances")
st.caption("How alike the directions of two emotions are within a model, against what noise gives.")

results = results_folder()
saved = analyse_panel.open_analysis(results, needs="A distance between emotions")
if saved is None:
    st.stop()

head = st.container()
analyse_panel.note_changes(results, saved)
choice = distance_page.pick(saved)
if choice is not None:
    distance_page.show(saved, choice, head, results)
analyse_panel.show_form(results)
