"""Which analysis or report a page watches: the one in its address, else the one at work."""

from __future__ import annotations

import streamlit as st

from emoact.errors import EmoactError
from emoact.jobs import progress
from emoact.jobs.config import JobKind
from emoact.ui import links
from emoact.ui.boxes import error_box

PARAMETER = "run"
_WORDS: dict[JobKind, str] = {"analyze": "analysis", "report": "report"}


def watched_job(results: str, kind: JobKind) -> str | None:
    """The run to show; its id stands in the address from then on, so that a refresh loses nothing.

    A run that does not exist, or of another kind, is ignored with a note.
    """
    named = st.query_params.get(PARAMETER)
    try:
        jobs = [run for run in progress.list_runs(results) if run.kind == kind]
    except EmoactError as error:
        error_box(error, title="The runs cannot be listed")
        return None
    if named is not None and all(job.id != named for job in jobs):
        reason = f"there is no such {_WORDS[kind]} run in this folder."
        links.ignore(f"{PARAMETER}={named[:80]}", reason)
        del st.query_params[PARAMETER]
        named = None
    watched = named or next((job.id for job in jobs if job.active), None)
    if watched is not None:
        watch_job(watched)
    return watched


def watch_job(run_id: str) -> None:
    """Put a run into the address."""
    st.query_params[PARAMETER] = run_id


def forget_job() -> None:
    """Take the run out of the address."""
    st.query_params.pop(PARAMETER, None)
