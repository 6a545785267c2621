"""Every run of a results folder: watch, compare, cancel, resume, delete, run again."""

import streamlit as st

from emoact.ui import folders, frame, links, run_table
from emoact.ui.compare import compare, show_analyses
from emoact.ui.current_run import runs_of
from emoact.ui.run_details import show_details

frame.enter()
st.title("Runs")
st.caption("Select one run to open it, several to compare their settings and rates.")

results = folders.results_folder()
runs = runs_of(results)
chosen = run_table.chosen_runs(runs)
links.show_ignored()
run_table.say(results, runs)
if runs:
    run_table.show(results, runs, chosen)
    if len(chosen) == 1:
        show_details(results, chosen[0])
    elif chosen:
        compare(results, chosen)
show_analyses(results)
