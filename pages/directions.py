"""Directions: how far each emotion lies from neutral, beyond chance and beyond words."""

import streamlit as st

from emoact.ui import analysis_page, frame

frame.enter()
st.title("Directions")
st.caption("How far each emotion lies from neutral, layer by layer: beyond chance, beyond words?")
analysis_page.show("directions", needs="The strength of directions")
