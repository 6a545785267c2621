"""One run on screen: its state, steps, bars and rates while it works, and what it left behind."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from emoact.errors import EmoactError
from emoact.plots.throughput import throughput_figure
from emoact.runs import control, progress
from emoact.runs.directory import RunDirectory
from emoact.runs.views import RunView, Step, StepView, UnitView
from emoact.store.layout import ResultsRoot
from emoact.ui import numbers
from emoact.ui.boxes import error_box
from emoact.ui.scheme import current_scheme
from emoact.ui.states import FETCHING, STEP_WORDS, UNIT_WORDS, run_look
from emoact.ui.text import listed, md, mono, prose

_LOG_LINES = 200
_REFUSAL = "resume-refusal"
_RATES_HEIGHT = 120
_FRAME_HEIGHT = 34


def show_run(results: str, run_id: str) -> RunView | None:
    """Draw the run, drawing it again every second while it is active; None when there is no such.

    Only the live part is drawn again, so that scroll and widgets stay as they are. When the run
    ends, the whole page is drawn once more.
    """
    try:
        view = progress.read_run(results, run_id)
    except EmoactError as error:
        error_box(error, title="This run cannot be shown")
        return None
    live = st.fragment(_live, run_every=1.0 if view.summary.active else None)
    live(results, run_id, active=view.summary.active)
    return view


def _live(results: str, run_id: str, *, active: bool) -> None:
    try:
        view = progress.read_run(results, run_id)
    except EmoactError:
        # Deleted from another tab while this one was watching.
        st.rerun()
    if active and not view.summary.active:
        st.rerun()
    _heading(results, view)
    _problems(view)
    _steps(view)
    _rates(view)
    for folder in dict.fromkeys(unit.folder for unit in view.units):
        _bars([unit for unit in view.units if unit.folder == folder], view.summary.active)
    for note in view.notes:
        st.caption(f":material/info: {prose(note)}")
    _log(results, view)


def _heading(results: str, view: RunView) -> None:
    look = run_look(view.state, cancel_requested=view.summary.cancel_requested)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"{look.badge} {_in_words(view)}", width="stretch")
        if view.summary.active:
            st.button(
                "Cancel run" if view.summary.can_cancel else "Cancelling",
                key=f"cancel-{view.id}",
                icon=":material/stop_circle:",
                disabled=not view.summary.can_cancel,
                help="Stops after the batch at work. Finished emotions stay; the run can resume.",
                on_click=_cancel,
                args=(results, view.id),
            )
        elif view.summary.can_resume:
            st.button(
                "Resume run",
                key=f"resume-{view.id}",
                icon=":material/resume:",
                type="primary",
                help="Continues at the first emotion that is not on disk.",
                on_click=_resume,
                args=(results, view.id),
            )


def _in_words(view: RunView) -> str:
    summary = view.summary
    what = f"{numbers.plural(summary.n_samples, 'prompt')} with {listed(_models(view))}"
    if view.state == "pending":
        place = "next" if summary.place == 1 else f"number {summary.place}"
        return f"{what}, {place} in the queue" if summary.place else what
    if summary.active:
        return f"{what}, {summary.samples_done:,} done"
    if view.state == "finished":
        skipped = sum(unit.state == "skipped" for unit in view.units)
        written = f"{numbers.plural(len(view.written), 'file')}, {numbers.size(summary.size)}"
        kept = f"; {numbers.plural(skipped, 'file')} already on disk" if skipped else ""
        return f"{what} in {numbers.duration(summary.elapsed_s or 0.0)}: {written}{kept}"
    return f"{what}, {summary.samples_done:,} of {summary.n_samples:,} done"


def _models(view: RunView) -> list[str]:
    return [mono(model) for model in view.summary.models]


def _cancel(results: str, run_id: str) -> None:
    try:
        control.cancel(results, run_id)
    except EmoactError as error:
        # It ended between the drawing of the button and the click.
        st.toast(prose(error.message), icon=":material/info:")


def _resume(results: str, run_id: str) -> None:
    try:
        control.resume(results, run_id)
    except EmoactError as error:
        st.session_state[_REFUSAL] = error


def _problems(view: RunView) -> None:
    refusal = st.session_state.pop(_REFUSAL, None)
    if refusal is not None:
        error_box(refusal, title="The run was not resumed")
    for problem in view.problems:
        st.warning(prose(problem), icon=":material/warning:")
    if view.error is not None:
        title = "The worker was killed" if view.state == "crashed" else "The run failed"
        error_box(EmoactError(view.error.message, remedy=view.error.remedy), title=title)


def _steps(view: RunView) -> None:
    """The steps of the model at work in one line, and a bar for the one that has a size."""
    if not view.summary.active:
        return
    step = view.step
    names = _step_names(view)
    # Saving is the end of extracting: the next emotion begins while the last one is written.
    current = None if step is None else "extract" if step.name == "save" else step.name
    reached = names.index(current) if current in names else -1
    parts = []
    for position, name in enumerate(names):
        word = STEP_WORDS[name]
        if position < reached:
            parts.append(f":green[:material/check: {word}]")
        elif position == reached:
            parts.append(f"**:material/arrow_forward: {word}**")
        else:
            parts.append(f":gray[{word}]")
    where = f"{mono(step.model)}  " if step and len(view.summary.models) > 1 else ""
    st.markdown(where + "  ·  ".join(parts) + _detail(step))
    if step and step.done is not None and step.total and step.name in FETCHING:
        st.progress(
            min(step.done / step.total, 1.0),
            text=f"{numbers.size(step.done)} of {numbers.size(step.total)}",
        )


def _step_names(view: RunView) -> list[Step]:
    """The steps of the model at work, with what it had to fetch first."""
    step = view.step
    names: list[Step] = ["load", "self_check", "extract"]
    models = view.config.models if view.config else ()
    needs = next((model.needs for model in models if step and model.asked == step.model), None)
    if needs == "download" or (step is not None and step.name == "download"):
        return ["download", *names]
    if needs is not None or (step is not None and step.name == "install"):
        return ["install", *names]
    return names


def _detail(step: StepView | None) -> str:
    return f"  ·  {md(step.detail)}" if step and step.detail else ""


def _rates(view: RunView) -> None:
    """Rates and times; the places are there from the start, so that nothing moves later."""
    left, right = st.columns([2, 1])
    with left.grid(4, min_column_width=110):
        for label, value, below in _figures(view):
            st.metric(
                label,
                value,
                below,
                delta_color="off",
                delta_arrow="off",
                border=True,
                height=_RATES_HEIGHT,
            )
    with right.container(height=_RATES_HEIGHT, border=True, gap=None):
        if not view.history:
            empty = "appear after the first pass" if view.summary.active else "are not known"
            st.caption(f"Tokens/s over time {empty}.")
            return
        st.plotly_chart(
            throughput_figure(
                view.history, scheme=current_scheme(), height=_RATES_HEIGHT - _FRAME_HEIGHT
            ),
            theme=None,
            key=f"throughput-{view.id}",
            config={"displayModeBar": False},
            alt="Tokens per second over the elapsed time",
        )


def _figures(view: RunView) -> list[tuple[str, str, str]]:
    """Label, value and what stands below it; the last gives way when nothing remains."""
    summary = view.summary
    of_tokens = "tokens" if view.n_tokens is None else f"of {view.n_tokens:,}"
    attempt = f"attempt {view.attempt}"
    expected = "" if view.estimate is None else numbers.duration(view.estimate.seconds)
    last = ("Written", numbers.size(summary.size), numbers.plural(len(view.written), "file"))
    if summary.active:
        below = f"of about {expected}" if expected else numbers.MISSING
        last = ("Remaining", _time(view.remaining_s), below)
    return [
        (
            "Samples/s",
            _number(summary.samples_per_s),
            f"{summary.samples_done:,} of {summary.n_samples:,}",
        ),
        ("Tokens/s", _number(summary.tokens_per_s), f"{view.tokens_done:,} {of_tokens}"),
        ("Elapsed", _time(summary.elapsed_s), attempt),
        last,
    ]


def _number(value: float | None) -> str:
    return numbers.MISSING if value is None else numbers.significant(value)


def _time(seconds: float | None) -> str:
    return numbers.MISSING if seconds is None else numbers.whole_seconds(seconds)


def _bars(units: Sequence[UnitView], active: bool) -> None:
    st.markdown(f"**{md(units[0].model)}**")
    with st.grid(4, min_column_width=170):
        for unit in units:
            share = unit.samples_done / unit.n_samples if unit.n_samples else 1.0
            word = UNIT_WORDS[unit.state]
            if unit.state == "waiting" and not active:
                word = "not started"
            st.progress(
                min(share, 1.0),
                text=f"{md(unit.emotion)} {unit.samples_done} of {unit.n_samples} :gray[{word}]",
            )


def _log(results: str, view: RunView) -> None:
    expander = st.expander(
        "Log of the worker", icon=":material/notes:", key=f"log-{view.id}", on_change="rerun"
    )
    if not expander.open:
        return
    lines = RunDirectory(ResultsRoot(results).run_dir(view.id)).log_tail(_LOG_LINES)
    with expander.container(height=280, autoscroll=True, border=False):
        st.code("\n".join(lines) or "The log is empty so far.", language=None, wrap_lines=True)
