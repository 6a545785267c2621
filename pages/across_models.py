"""Across models: geometry of the emotions in two models, with its controls."""

import streamlit as st

from emoact.ui import analysis_page, frame

frame.enter()
st.title("Across models")
st.caption(
    "Whether two models arrange the emotions alike, against chance, words and wrong classes."
)
analysis_page.show("across", needs="A comparison across models", n_models=2)
