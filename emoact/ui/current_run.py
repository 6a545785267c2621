"""Which run a page watches: the one in its address, else the one at work."""

from __future__ import annotations

import streamlit as st

from emoact.errors import EmoactError
from emoact.jobs import progress
from emoact.ui import links
from emoact.ui.boxes import error_box
from emoact.ui.folders import PARAMETER as FOLDER

PARAMETER = "run"
START = "start"
"""Key of the button under the form; it has a state while the form is on screen."""


def current_run(results: str) -> str | None:
    """The run to show; its id stands in the address from then on, so that a refresh loses nothing.

    An address that spells choices of the form asks for the form, and a form that is on screen stays
    there: a click on its button must not turn into a look at somebody else's run. A button leads to
    the run at work. A run that does not exist is ignored with a note.
    """
    named = st.query_params.get(PARAMETER)
    try:
        runs = [run for run in progress.list_runs(results) if run.kind == "extract"]
    except EmoactError as error:
        error_box(error, title="The runs cannot be listed")
        return None
    if named and any(run.id == named for run in runs):
        return named
    if named:
        links.ignore(
            f"{PARAMETER}={named[:80]}", "there is no such extraction in this results folder."
        )
        del st.query_params[PARAMETER]
    active = [run for run in runs if run.active]
    if not active:
        return None
    # The one at work before those that wait; the list is newest first.
    watched = next((run for run in active if run.state != "pending"), active[-1])
    if START in st.session_state or set(st.query_params) - {PARAMETER, FOLDER}:
        st.button(
            "Watch the run at work",
            icon=":material/visibility:",
            on_click=watch_run,
            args=(watched.id,),
        )
        return None
    watch_run(watched.id)
    return watched.id


def watch_run(run_id: str) -> None:
    """Put a run into the address."""
    st.query_params[PARAMETER] = run_id


def forget_run() -> None:
    """Take the run out of the address."""
    if PARAMETER in st.query_params:
        del st.query_params[PARAMETER]
