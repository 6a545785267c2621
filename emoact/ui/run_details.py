"""One run opened: config, events, log, files, and what can be done."""

from __future__ import annotations

import os
from pathlib import Path

import streamlit as st

from emoact import numbers
from emoact.errors import EmoactError
from emoact.jobs import control
from emoact.jobs.config import RunConfig
from emoact.jobs.directory import RunDirectory
from emoact.jobs.queue import shards_of
from emoact.jobs.views import RunSummary, RunView
from emoact.store.layout import ResultsRoot
from emoact.store.protocol import PooledStore
from emoact.ui import analyse_panel, path
from emoact.ui.boxes import error_box, keep_error, leave_for, next_step, show_kept_error
from emoact.ui.compare import flat
from emoact.ui.current_run import forget_run, watch_run
from emoact.ui.notes import ask_note
from emoact.ui.run_panel import show_run
from emoact.ui.states import UNIT_WORDS
from emoact.views.text import md, mono

EXAMPLE = "example-run"
"""Of the session: run of the small example, which is analysed when it has ended."""
_EVENTS_SHOWN = 500
_NOT_STARTED, _NOT_DELETED = "The run was not started", "The run was not deleted"


def show_details(results: str, run_id: str) -> None:
    """Everything there is of one run."""
    st.header(md(run_id), anchor=False)
    view = show_run(results, run_id)
    if view is None:
        return
    show_kept_error(_NOT_STARTED)
    show_kept_error(_NOT_DELETED)
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
    with keep_error(_NOT_STARTED):
        watch_run(control.again(results, run_id).run_id)


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
    with keep_error(_NOT_DELETED):
        control.delete(results, run_id)
        forget_run()


def _show_config(view: RunView) -> None:
    if view.config is None:
        st.caption("The settings of this run cannot be read.")
        return
    if view.config.shell_command:
        st.code(view.config.shell_command, language=None, wrap_lines=True)
    fields = flat(view.config)
    st.dataframe(
        {"setting": list(fields), "value": list(fields.values())},
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
        [
            {
                "after": numbers.duration(event.elapsed_s),
                "event": event.kind.replace("_", " "),
                "details": ", ".join(f"{key} {value}" for key, value in event.fields.items()),
                "attempt": event.attempt,
                "at": event.at,
            }
            for event in shown
        ],
        hide_index=True,
        column_config={"details": st.column_config.TextColumn("details", width="large")},
        alt="What happened in this run, in order",
    )


def show_written(view: RunView) -> None:
    """The files of a run that has ended, and a button that opens them."""
    if view.summary.active:
        return
    if view.made:
        _show_made(view)
    done = [unit for unit in view.units if unit.done]
    if not done:
        return
    if view.config is not None:
        analyse_example(view.config.results, view.summary)
    shown = [unit.folder for unit in done if not (unit.path or "").endswith(PooledStore.suffix)]
    if shown:
        next_step(
            "Look at the activations",
            "activations",
            parameters={"model": list(dict.fromkeys(shown))},
            primary=view.state == "finished",
        )
    if view.config is not None:
        after = "Look" if shown else "Extract"
        path.show(view.config.results, after=after, primary=False)
    st.dataframe(
        [
            {
                "model": unit.folder,
                "emotion": unit.emotion,
                "state": UNIT_WORDS[unit.state],
                "prompts": unit.n_samples,
                "time": "" if unit.seconds is None else numbers.duration(unit.seconds),
                "samples/s": unit.samples_per_s,
                "size": "" if unit.size is None else numbers.size(unit.size),
                "file": _short(unit.path or "", view),
                "SHA-256": (unit.sha256 or "")[:12],
            }
            for unit in done
        ],
        hide_index=True,
        column_config={
            "model": st.column_config.TextColumn(width=150),
            "samples/s": st.column_config.NumberColumn(format="%.1f"),
        },
        placeholder=numbers.MISSING,
        alt="Files that this run wrote or found on disk",
    )


def analyse_example(results: str, run: RunSummary) -> None:
    """Go on to the analysis where this is the run of the small example, and it has ended."""
    if run.state == "finished" and st.session_state.get(EXAMPLE) == run.id:
        del st.session_state[EXAMPLE]
        analyse_panel.analyse_all(results)


def _show_made(view: RunView) -> None:
    after = {"analyze": "Analyse", "causes": "Causes", "report": "Report"}
    if view.summary.kind == "analyze":
        next_step(
            "Look at the directions",
            "directions",
            parameters={"analysis": Path(view.made[0].path).name},
        )
    elif view.summary.kind == "report":
        next_step("Open the reports", "report")
    elif Path(view.made[0].path).name == "heads.json":
        next_step("Look at the heads", "heads")
    elif view.summary.kind == "causes":
        next_step("Look at the causes", "causes")
    if view.config is not None and view.summary.kind in after:
        here = "heads" if Path(view.made[0].path).name == "heads.json" else ""
        path.show(view.config.results, after=after[view.summary.kind], here=here, primary=False)
    st.dataframe(
        [
            {
                "saved": _short(made.path, view),
                "state": "already on disk" if made.existing else "saved",
                "size": numbers.size(made.size),
            }
            for made in view.made
        ],
        hide_index=True,
        alt="What this run left on disk",
    )


def _short(path: str, view: RunView) -> str:
    """The file below the results folder, which the page names already."""
    root = f"{view.config.results}{os.sep}" if view.config else ""
    return path.removeprefix(root) if root else path
