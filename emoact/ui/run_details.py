"""One run opened: config, events, log, files, and what can be done."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from emoact import numbers
from emoact.errors import EmoactError
from emoact.jobs import control
from emoact.jobs.config import RunConfig
from emoact.jobs.directory import RunDirectory
from emoact.jobs.queue import shards_of
from emoact.jobs.views import RunView
from emoact.store.layout import ResultsRoot
from emoact.ui.boxes import error_box, leave_for
from emoact.ui.compare import flat
from emoact.ui.current_run import forget_run, watch_run
from emoact.ui.notes import ask_note
from emoact.ui.run_panel import show_run
from emoact.ui.written import show_written
from emoact.views.text import md, mono

_EVENTS_SHOWN = 500
_REFUSED = "details-refused"


def show_details(results: str, run_id: str) -> None:
    """Everything there is of one run."""
    st.header(md(run_id), anchor=False)
    view = show_run(results, run_id)
    if view is None:
        return
    refused = st.session_state.pop(_REFUSED, None)
    if refused is not None:
        error_box(refused[1], title=refused[0])
    _actions(results, view)
    ask_note(results, run_id)
    names = ["Files", "Config", "Events"]
    files, config, events = st.tabs(names, key="part", on_change="rerun", bind="query-params")
    if files.open:
        with files:
            show_written(view)
            if not any(unit.done for unit in view.units) and not view.made:
                st.caption("No file yet.")
    if config.open:
        with config:
            _show_config(view)
    if events.open:
        with events:
            _show_events(results, run_id)


def _actions(results: str, view: RunView) -> None:
    summary = view.summary
    with st.container(horizontal=True):
        _offer_again(results, view)
        if summary.can_delete and st.button("Delete run", icon=":material/delete:"):
            _confirm_delete(results, view.id)


def _offer_again(results: str, view: RunView) -> None:
    config = view.config
    if isinstance(config, RunConfig):
        if st.button("Run again with these settings", icon=":material/replay:"):
            leave_for("extract", settings_of(config))
    elif config is not None and not view.summary.active:
        st.button(
            "Run again",
            icon=":material/replay:",
            help="A new run that asks for the same. What is on disk unchanged is not made again.",
            on_click=_again,
            args=(results, view.id),
        )


def _again(results: str, run_id: str) -> None:
    try:
        watch_run(control.again(results, run_id).run_id)
    except EmoactError as error:
        st.session_state[_REFUSED] = ("The run was not started", error)


def settings_of(config: RunConfig) -> dict[str, str | list[str]]:
    """The parameters that fill the form of the Extract page as this run was asked for."""
    options = config.options
    chosen: dict[str, str | list[str]] = {
        "models": [model.asked for model in config.models],
        "dataset": config.dataset.source,
        "emotions": list(config.emotions),
        "bos": options.bos,
        "processing": options.processing,
        "dtype": options.dtype,
        "device": options.device,
        "sites": list(options.sites),
    }
    if options.chat is not None:
        # As the form names them.
        chosen |= {**options.chat.words, "chat": "template"}
        del chosen["format"]
    if options.generation is not None:
        response = options.generation
        chosen["generate"] = str(response.max_tokens)
        if response.temperature is not None:
            chosen |= {"temperature": repr(response.temperature), "seed": str(response.seed)}
    switches = {
        "truncate": options.truncate,
        "nonadditive": options.allow_nonadditive_mlp,
        "overwrite": config.overwrite,
    }
    chosen |= {name: "true" for name, on in switches.items() if on}
    places = {"store": (config.store, "pickle"), "executor": (config.executor, "local")}
    chosen |= {name: value for name, (value, default) in places.items() if value != default}
    if options.precision != "lossless":
        chosen["precision"] = options.precision
    return chosen


@st.dialog("Delete this run", icon=":material/delete:")
def _confirm_delete(results: str, run_id: str) -> None:
    st.markdown(
        f"The record of {mono(run_id)} is removed: its settings, events and log. "
        "The activations it wrote stay."
    )
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Keep it"):
            st.rerun()
        if st.button(
            "Delete the record",
            type="primary",
            icon=":material/delete:",
            on_click=_delete,
            args=(results, run_id),
        ):
            st.rerun()


def _delete(results: str, run_id: str) -> None:
    try:
        control.delete(results, run_id)
    except EmoactError as error:
        st.session_state[_REFUSED] = ("The run was not deleted", error)
    else:
        forget_run()


def _show_config(view: RunView) -> None:
    if view.config is None:
        st.caption("The settings of this run cannot be read.")
        return
    if view.config.shell_command:
        st.code(view.config.shell_command, language=None, wrap_lines=True)
    fields = flat(view.config)
    st.dataframe(
        pd.DataFrame({"setting": list(fields), "value": list(fields.values())}),
        hide_index=True,
        alt="Everything this run was asked to do",
    )
    if view.estimate is not None:
        st.caption(
            f"Expected {numbers.duration(view.estimate.seconds)} before the start"
            + (
                f"; it took {numbers.significant(view.estimate_ratio, 2)} times that."
                if view.estimate_ratio
                else "."
            )
        )


def _show_events(results: str, run_id: str) -> None:
    try:
        root = ResultsRoot(results)
        directories = shards_of(root.runs, run_id) or [RunDirectory(root.run_dir(run_id))]
        events = sorted(
            (event for each in directories for event in each.events()), key=lambda event: event.at
        )
    except EmoactError as error:
        error_box(error, title="The events cannot be read")
        return
    shown = [event for event in events if event.kind != "unit_progress"][-_EVENTS_SHOWN:]
    st.dataframe(
        pd.DataFrame(
            {
                "after": numbers.duration(event.elapsed_s),
                "event": event.kind.replace("_", " "),
                "details": ", ".join(f"{key} {value}" for key, value in event.fields.items()),
                "attempt": event.attempt,
                "at": event.at,
            }
            for event in shown
        ),
        hide_index=True,
        column_config={"details": st.column_config.TextColumn("details", width="large")},
        alt="What happened in this run, in order",
    )
