"""Prompts page: data set, audit, import."""

import streamlit as st

from emoact.ui import audit_view, folders, frame, links, prompt_import, prompt_list
from emoact.ui.boxes import error_box, next_step
from emoact.ui.prompt_data import read_dataset

frame.enter()
st.title("Prompts")
st.caption("Texts that the models read, and an audit for confounds of the emotion.")

results = folders.results_folder()
above = st.container()
path = prompt_import.pick(results)
read = read_dataset(path)
if read.value is None:
    if read.error is not None:
        error_box(read.error, title="The data set cannot be read")
    links.show_ignored()
    prompt_import.show(results)
    st.stop()

with above:
    said = st.empty()
    said.markdown(audit_view.shape_sentence(read.value))
prompt_import.show(results)
prompt_list.show(read.value)
# The audit takes a second, in which the prompts can be read.
with above:
    report = audit_view.say(path, read.value, said)
    next_step(
        "Extract with these prompts",
        "extract",
        parameters={"dataset": path},
        primary=report is not None and report.ok,
    )
if report is not None:
    st.header("Audit")
    audit_view.show(report, path)
    audit_view.explain()
