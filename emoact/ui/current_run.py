"""The run that a page watches: the one in its address, else an active one."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from emoact.errors import EmoactError
from emoact.jobs import progress
from emoact.jobs.config import JobKind, RunKind
from emoact.jobs.views import RunSummary
from emoact.ui import links
from emoact.ui.boxes import error_box
from emoact.ui.folders import PARAMETER as FOLDER

PARAMETER = "run"
_MISSING: Mapping[RunKind, str] = {
    "extract": "there is no such extraction in this results folder.",
    "analyze": "there is no such analysis run in this folder.",
    "report": "there is no such report run in this folder.",
}
START = "start"
"""Key of the button under the form; it has a state while the form is on screen."""


def current_run(results: str) -> str | None:
    """The extraction to show; its id then stands in the address, so that a refresh keeps it.

    An address that spells choices of the form asks for the form, and a form that is on screen stays
    there: a click on its button must not turn into a look at another run. A button leads to the
    active run.
    """
    runs, named = _runs(results, "extract")
    if named is not None:
        return named
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


def watched_job(results: str, kind: JobKind) -> str | None:
    """The analysis or report to show; its id then stands in the address."""
    runs, named = _runs(results, kind)
    watched = named or next((run.id for run in runs if run.active), None)
    if watched is not None:
        watch_run(watched)
    return watched


def _runs(results: str, kind: RunKind) -> tuple[list[RunSummary], str | None]:
    """The runs of a kind, and the one in the address; another id is ignored with a note."""
    named = st.query_params.get(PARAMETER) or None
    try:
        runs = [run for run in progress.list_runs(results) if run.kind == kind]
    except EmoactError as error:
        error_box(error, title="The runs cannot be listed")
        return [], None
    if named is None or any(run.id == named for run in runs):
        return runs, named
    links.ignore(f"{PARAMETER}={named[:80]}", _MISSING[kind])
    del st.query_params[PARAMETER]
    return runs, None


def watch_run(run_id: str) -> None:
    """Put a run into the address."""
    st.query_params[PARAMETER] = run_id


def forget_run() -> None:
    """Take the run out of the address."""
    if PARAMETER in st.query_params:
        del st.query_params[PARAMETER]
