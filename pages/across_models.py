"""Across models: similarity of two models, with the raw cosine as a negative control."""

import streamlit as st

from emoact.ui import analysis_page, frame

frame.enter()
st.title("Across models")
st.caption("Whether two models treat the same prompts alike, against what chance gives.")
analysis_page.show("across", needs="A comparison across models", n_models=2)
