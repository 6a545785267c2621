"""One run on screen: its state, steps, bars and rates while it works, and what it left behind."""

from __future__ import annotations

import streamlit as st

from emoact import numbers
from emoact.errors import EmoactError
from emoact.jobs import control, progress
from emoact.jobs.directory import RunDirectory
from emoact.jobs.queue import shards_of
from emoact.jobs.views import RunView
from emoact.store.layout import ResultsRoot
from emoact.ui.boxes import error_box, keep_error, show_kept_error
from emoact.ui.run_progress import show_progress
from emoact.ui.states import kind_words, run_look
from emoact.views.text import listed, mono, prose

_LOG_LINES = 200
_SHORT_LOG = 11
_MOST_NOTES = 50
_MOST_NAMES = 20
_REFUSED = "The run was not resumed"
_CANCEL_HELP = "Stops after the layer at work. Finished emotions stay; the run can resume."
_CANCEL_JOB_HELP = "Stops at once; the run can resume. Finished parts of a sweep stay."
_RESUME_HELP = "Continues at the first emotion that is not on disk."
_RESUME_JOB_HELP = "Starts the work from its beginning; finished parts of a sweep stay."


def show_run(results: str, run_id: str) -> RunView | None:
    """Draw the run, drawing it again every second while it is active; None when there is no such.

    Only the live part is drawn again, so that scroll and widgets stay as they are. When the run
    ends or is resumed, the whole page is drawn once more.
    """
    try:
        view = progress.read_run(results, run_id)
    except EmoactError as error:
        error_box(error, title="This run cannot be shown")
        return None

    def live() -> None:
        _live(results, run_id, active=view.summary.active)

    # Streamlit knows a fragment by its name and place. Of one name, the clock of the page before
    # would draw that of the page to which a run has led, whose slow browser then turns white.
    live.__qualname__ = f"live-{run_id}"
    st.fragment(live, run_every=1.0 if view.summary.active else None)()
    return view


def _live(results: str, run_id: str, *, active: bool) -> None:
    try:
        view = progress.read_run(results, run_id)
    except EmoactError:
        # Deleted from another tab while this one was watching.
        st.rerun()
    # A run that ends is drawn once more as a whole; one that is resumed is watched from here on.
    if active != view.summary.active:
        st.rerun()
    _heading(results, view)
    _problems(view)
    show_progress(view)
    for note in view.notes[:_MOST_NOTES]:
        st.caption(f":material/info: {prose(note)}")
    if more := len(view.notes[_MOST_NOTES:]):
        st.caption(f":material/info: {more:,} more remarks of the worker.")
    _log(results, view)


def _heading(results: str, view: RunView) -> None:
    look = run_look(view.summary)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"{look.badge} {_in_words(view)}", width="stretch")
        if view.summary.active:
            st.button(
                "Cancel run" if view.summary.can_cancel else "Cancelling",
                key=f"cancel-{view.id}",
                icon=":material/stop_circle:",
                disabled=not view.summary.can_cancel,
                help=_CANCEL_HELP if view.summary.kind == "extract" else _CANCEL_JOB_HELP,
                on_click=_cancel,
                args=(results, view.id),
            )
        elif view.summary.can_resume:
            st.button(
                "Resume run",
                key=f"resume-{view.id}",
                icon=":material/resume:",
                type="primary",
                help=_RESUME_HELP if view.summary.kind == "extract" else _RESUME_JOB_HELP,
                on_click=_resume,
                args=(results, view.id),
            )


def _in_words(view: RunView) -> str:
    summary, extracts = view.summary, view.summary.kind == "extract"
    names = [mono(model) for model in summary.models]
    few = len(names) <= _MOST_NAMES
    models = listed(names) if few else numbers.some(names, limit=_MOST_NAMES)
    what = f"{kind_words(summary).capitalize()} of {models}"
    if extracts:
        what = f"{numbers.plural(summary.n_samples, 'prompt')} with {models}"
    elapsed = numbers.duration(summary.elapsed_s or 0.0)
    if view.state == "pending":
        place = "next" if summary.place == 1 else f"number {summary.place}"
        return f"{what}, {place} in the queue" if summary.place else what
    if view.state == "finished" and extracts:
        skipped = sum(unit.state == "skipped" for unit in view.units)
        written = f"{numbers.plural(len(view.written), 'file')}, {numbers.size(summary.size)}"
        kept = f"; {numbers.plural(skipped, 'file')} already on disk" if skipped else ""
        return f"{what} in {elapsed}: {written}{kept}"
    if view.state == "finished":
        if view.made and all(made.existing for made in view.made):
            return f"{what}: saved by an earlier run with the same files and settings"
        return f"{what} in {elapsed}"
    if extracts:
        if summary.active:
            return f"{what}, {summary.samples_done:,} done"
        saved, units = sum(unit.done for unit in view.units), len(view.units)
        begun = any(unit.state == "stopped" for unit in view.units)
        again = "; the emotion that was under way is computed again on resume" if begun else ""
        return f"{what}, {saved} of {numbers.plural(units, 'file')} saved{again}"
    return what if summary.share is None else f"{what}, {100 * summary.share:.0f} % done"


def _cancel(results: str, run_id: str) -> None:
    try:
        control.cancel(results, run_id)
    except EmoactError as error:
        # It ended between the drawing of the button and the click.
        st.toast(prose(error.message), icon=":material/info:")


def _resume(results: str, run_id: str) -> None:
    with keep_error(_REFUSED):
        control.resume(results, run_id)


def _problems(view: RunView) -> None:
    show_kept_error(_REFUSED)
    for problem in view.problems:
        st.warning(prose(problem), icon=":material/warning:")
    if view.error is not None:
        title = "The worker was killed" if view.state == "crashed" else "The run failed"
        error_box(EmoactError(view.error.message, remedy=view.error.remedy), title=title)


def _log(results: str, view: RunView) -> None:
    expander = st.expander(
        "Log of the worker", icon=":material/notes:", key=f"log-{view.id}", on_change="rerun"
    )
    if not expander.open:
        return
    root = ResultsRoot(results)
    directories = shards_of(root.runs, view.id) or [RunDirectory(root.run_dir(view.id))]
    lines = [line for each in directories for line in each.log_tail(_LOG_LINES)]
    long = len(lines) > _SHORT_LOG
    with expander.container(height=280 if long else "content", autoscroll=long, border=False):
        st.code("\n".join(lines) or "The log is empty so far.", language=None, wrap_lines=True)
