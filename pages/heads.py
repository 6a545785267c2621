"""Heads: which components of a model write a direction."""

import streamlit as st

from emoact.ui import folders, frame, heads_page, path

frame.enter()
st.title("Heads")
st.caption("Which heads, MLPs and layers write a direction: exact contributions, against chance.")
results = folders.results_folder()
heads_page.show(results)
path.show(results, after="Causes", here="heads", primary=False)
