"""Heads: which components of a model write a direction."""

import streamlit as st

from emoact.ui import frame, heads_page

frame.enter()
st.title("Heads")
st.caption("Which heads, MLPs and layers write a direction: exact contributions, against chance.")
heads_page.show(frame.results_folder())
