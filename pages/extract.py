"""Choose models, prompts and options; start a run; watch it."""

import streamlit as st

from emoact.ui import extract_form, folders, frame, links, path
from emoact.ui.current_run import close_button, current_run
from emoact.ui.run_details import show_written
from emoact.ui.run_panel import show_run

frame.enter()
st.title("Extract")
st.caption(
    "Run prompts through language models and save the residual stream and the MLP output of every "
    "layer at every token."
)

results = folders.results_folder()
notes = st.container()
run_id = current_run(results)
view = show_run(results, run_id) if run_id else None
if view is not None:
    show_written(view)

if run_id is None:
    extract_form.show(results)
    path.show(results, after="Extract", primary=False)
else:
    extract_form.show_folded(results)
    if view is not None and not view.summary.active:
        close_button()
with notes:
    links.show_ignored()
