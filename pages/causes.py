"""Causes: what the model does when a direction is added, or a part taken out."""

import streamlit as st

from emoact.ui import causes_page, folders, frame, path

frame.enter()
st.title("Causes")
st.caption(
    "What the model does when a direction is added or a part is taken out, beside directions of "
    "chance."
)
results = folders.results_folder()
causes_page.show(results)
path.show(results, after="Causes", primary=False)
