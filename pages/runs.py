"""Every run of a results folder: watch, compare, cancel, resume, delete, run again."""

import streamlit as st

from emoact.ui import folders, frame, links, run_table
from emoact.ui.current_run import runs_of
from emoact.ui.run_details import compare, show_details

frame.enter()
st.title("Runs")
st.caption("Select one run to open it, two to compare what they were asked to do.")

results = folders.results_folder()
runs = runs_of(results)
chosen = run_table.chosen_runs(runs)
links.show_ignored()
run_table.say(results, runs)
if runs:
    run_table.show(results, runs, chosen)
    if len(chosen) == 1:
        show_details(results, chosen[0])
    elif len(chosen) == 2:
        compare(results, chosen[0], chosen[1])
