"""Home: files on disk, active runs, and the next sensible step."""

import streamlit as st

from emoact.ui import folders, frame, home, links
from emoact.ui.current_run import runs_of
from emoact.ui.reading import file_outlines

frame.enter()
st.title("emoact")
st.caption("How a language model represents an emotion inside, and whether to trust what you see.")

results = folders.results_folder()
links.show_ignored()
runs = runs_of(results)
cards = file_outlines(results)
home.say(results, cards, runs)
home.offer(results, cards, runs)
home.welcome(cards, runs)
home.show_active(results, runs)
home.show_grid(cards)
