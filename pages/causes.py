"""Causes: what the model does when a direction is added, or a part taken out."""

import streamlit as st

from emoact.ui import causes_page, frame

frame.enter()
st.title("Causes")
st.caption(
    "What the model does when a direction is added or a part is taken out, beside directions of "
    "chance."
)
causes_page.show(frame.results_folder())
