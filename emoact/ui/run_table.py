"""The table of all runs, and which of them are chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import pandas as pd
import streamlit as st

from emoact import numbers
from emoact.jobs.views import RunSummary
from emoact.ui import links
from emoact.ui.boxes import answer, to_extract
from emoact.ui.current_run import PARAMETER, runs_of
from emoact.ui.notes import notes_of
from emoact.ui.states import CANCELLING, RUN_LOOKS, kind_words, run_look
from emoact.views.text import mono

_MOST = 6
_NAMED = 30
"""Models and emotions that a row names; the others are counted."""


def chosen_runs(runs: Sequence[RunSummary]) -> list[str]:
    """The runs that the address names, at most six; others are ignored with a note."""
    ids = {run.id for run in runs}
    named = list(dict.fromkeys(st.query_params.get_all(PARAMETER)))
    for run_id in named:
        if run_id not in ids:
            links.ignore(f"{PARAMETER}={run_id[:80]}", "there is no such run in this folder.")
    known = [run_id for run_id in named if run_id in ids][:_MOST]
    if known != named:
        _choose(known)
    return known


def say(results: str, runs: Sequence[RunSummary]) -> None:
    """State the number of runs and their states."""
    if not runs:
        answer(f"There is no run in {mono(results)} yet.")
        to_extract()
        return
    states = Counter(run_look(run).word for run in runs)
    words = ", ".join(f"{number} {word}" for word, number in states.most_common())
    answer(f"{numbers.plural(len(runs), 'run')}: {words}.")


def show(results: str, runs: Sequence[RunSummary], chosen: Sequence[str]) -> None:
    """Filters and the table; drawn again every two seconds while a run is at work."""
    words = [look.word for look in RUN_LOOKS.values()]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        states = links.choose_many("State", words, key="state")
        search = st.text_input(
            "Find",
            key="find",
            bind="query-params",
            placeholder="Kind, model, emotion, data set or id",
            icon=":material/search:",
            width=320,
        )
    active = any(run.active for run in runs)
    table = st.fragment(_table, run_every=2.0 if active else None)
    table(results, tuple(states), search or "", tuple(chosen), active=active)


def _table(
    results: str, states: tuple[str, ...], search: str, chosen: tuple[str, ...], *, active: bool
) -> None:
    runs = runs_of(results)
    if active and not any(run.active for run in runs):
        st.rerun()
    notes = notes_of(results)
    shown = [run for run in runs if _matches(run, states, search, notes.get(run.id, ""))]
    if not shown:
        st.caption("No run matches.")
        return
    ids = tuple(run.id for run in shown)
    looks = [*RUN_LOOKS.values(), CANCELLING]
    # A selection is a row number. A table with other rows is another table, or the selection would
    # slide to a neighbour when a run appears.
    key = f"runs-{hash((ids, chosen)):x}"
    table = pd.DataFrame([_row(run) | {"notes": notes.get(run.id, "")} for run in shown])
    if not any(table["notes"]):
        del table["notes"]
    if all(run.executor == "local" for run in runs):
        del table["executor"]
    st.dataframe(
        table,
        hide_index=True,
        key=key,
        on_select=_selected,
        selection_mode="multi-row",
        selection_default={"selection": {"rows": [ids.index(c) for c in chosen if c in ids]}},
        column_config={
            "state": st.column_config.MultiselectColumn(
                options=[look.word for look in looks], color=[look.hex for look in looks], width=95
            ),
            "progress": st.column_config.ProgressColumn(
                min_value=0, max_value=100, format="%.0f %%", width=95
            ),
            "kind": st.column_config.Column(width=80),
            "models": st.column_config.Column(width=120),
            "emotions": st.column_config.Column(width=110),
            "data set": st.column_config.Column(width=110),
            "started": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm", width=125),
            "duration": st.column_config.Column(width=75),
            "samples/s": st.column_config.NumberColumn(format="%.1f"),
            "tokens/s": st.column_config.NumberColumn(format="%.0f"),
        },
        placeholder=numbers.MISSING,
        alt="Runs with state, kind, models, emotions, data set, start, duration, rates and size",
    )
    st.session_state["run-rows"] = (key, ids)


def _selected() -> None:
    key, ids = st.session_state["run-rows"]
    rows = st.session_state[key].selection.rows
    # The newest click counts when more are ticked than can be shown.
    before = st.query_params.get_all(PARAMETER)
    picked = [ids[row] for row in rows if row < len(ids)]
    kept = [run_id for run_id in before if run_id in picked]
    fresh = [run_id for run_id in picked if run_id not in before]
    _choose([*kept, *fresh][-_MOST:])
    st.rerun()


def _choose(run_ids: Sequence[str]) -> None:
    if run_ids:
        st.query_params[PARAMETER] = list(run_ids)
    elif PARAMETER in st.query_params:
        del st.query_params[PARAMETER]


def _matches(run: RunSummary, states: tuple[str, ...], search: str, note: str) -> bool:
    if states and RUN_LOOKS[run.state].word not in states:
        return False
    words = [run.id, kind_words(run), *run.models, *run.emotions, run.dataset, note]
    text = " ".join(words).lower()
    return all(word in text for word in search.lower().split())


def _row(run: RunSummary) -> dict[str, object]:
    began = run.started_at or run.created_at
    return {
        "state": [run_look(run).word],
        "kind": kind_words(run),
        "executor": run.executor,
        "models": numbers.some(run.models, limit=_NAMED),
        "emotions": numbers.some(run.emotions, limit=_NAMED),
        "data set": run.dataset,
        "progress": None if run.share is None else 100 * run.share,
        "started": _moment(began),
        "duration": "" if run.elapsed_s is None else numbers.duration(run.elapsed_s),
        "samples/s": run.samples_per_s,
        "tokens/s": run.tokens_per_s,
        "size": numbers.size(run.size) if run.size else "",
        "id": run.id,
        "problem": run.problem or "",
    }


def _moment(text: str | None) -> datetime | None:
    """The moment in the time of this machine."""
    found = numbers.moment_of(text)
    return None if found is None else found.astimezone().replace(tzinfo=None)
