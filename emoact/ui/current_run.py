"""The run that a page starts or watches: the one in its address, else an active one."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import streamlit as st

from emoact.errors import EmoactError
from emoact.files import is_there
from emoact.jobs import launch, progress
from emoact.jobs.config import AnyConfig, JobKind, RunKind
from emoact.jobs.views import RunSummary
from emoact.store.layout import ResultsRoot
from emoact.ui import links
from emoact.ui.boxes import error_box
from emoact.ui.folders import FOLDER
from emoact.ui.run_panel import show_run

PARAMETER = "run"
_MISSING: Mapping[RunKind, str] = {
    "extract": "there is no such extraction in this results folder.",
    "analyze": "there is no such analysis run in this folder.",
    "report": "there is no such report run in this folder.",
    "causes": "there is no such run about heads or causes in this folder.",
}
START = "start"
"""Key of the button under the form; it has a state while the form is on screen."""


def runs_of(results: str) -> list[RunSummary]:
    """All runs, newest first; a folder that cannot be listed becomes a box."""
    try:
        return progress.list_runs(results)
    except EmoactError as error:
        error_box(error, title="The runs cannot be listed")
        return []


def launched(prepare: Callable[[], AnyConfig], *, title: str) -> str | None:
    """The id of the run that was started; None when it could not, which becomes a box.

    `prepare` makes the config of the run.
    """
    try:
        started = launch.start(prepare())
    except EmoactError as error:
        error_box(error, title=title)
        return None
    if started.existing:
        links.remark("This run was under way already; no second one was started.")
    return started.run_id


def start_here(prepare: Callable[[], AnyConfig], *, title: str) -> None:
    """Start a run and watch it on this page."""
    run_id = launched(prepare, title=title)
    if run_id is not None:
        watch_run(run_id)
        st.rerun()


def folded(title: str, key: str, draw: Callable[[], None]) -> None:
    """A form behind a line; it is drawn once the line is opened."""
    box = st.expander(title, icon=":material/add_circle:", key=key, on_change="rerun")
    if box.open:
        with box:
            draw()


def made_by_job(results: str, run_id: str) -> Path | None:
    """Draw an analysis or a report at work; what it made once it has ended well.

    Then the page leaves the run.
    """
    view = show_run(results, run_id)
    if view is None or view.summary.active:
        return None
    made = next((Path(os.path.realpath(each.path)) for each in view.made), None)
    root = os.path.realpath(ResultsRoot(results).path)
    # A status file can name any path of the disk.
    known = made is not None and made.is_relative_to(root) and is_there(made)
    if view.state == "finished" and known:
        forget_run()
        return made
    close_button()
    return None


def is_at_work(results: str, run_id: str | None) -> bool:
    """True for a run that has not ended, which needs no form for another one below it."""
    return any(run.id == run_id and run.active for run in runs_of(results))


def close_button() -> None:
    """The button that leaves the run which the page shows."""
    st.button("Close this run", on_click=forget_run, icon=":material/close:", key="close-run")


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


def watched_job(results: str, kind: JobKind, about: Collection[str] = ("",)) -> str | None:
    """The run of that kind to show; its id then stands in the address.

    `about` tells the runs of this page where several pages start runs of the kind.
    """
    runs, named = _runs(results, kind)
    watched = named or next((run.id for run in runs if run.active and run.what in about), None)
    if watched is not None:
        watch_run(watched)
    return watched


def _runs(results: str, kind: RunKind) -> tuple[list[RunSummary], str | None]:
    """The runs of a kind, and the one in the address; another id is ignored with a note."""
    named = st.query_params.get(PARAMETER) or None
    runs = [run for run in runs_of(results) if run.kind == kind]
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
