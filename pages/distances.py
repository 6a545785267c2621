"""Distances: similarity of the directions of two emotions, against what noise gives."""

import streamlit as st

from emoact.ui import analysis_page, frame

frame.enter()
st.title("Distances")
st.caption(
    "How similar the directions of two emotions are within a model, against what noise gives."
)
analysis_page.show("distances", needs="A distance between emotions")
