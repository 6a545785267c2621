"""Saved analyses as pages read them: which one, its tables, and whether it is still of these files.

Tables are kept by the id of their analysis, which is a hash of its files and settings.
"""

from __future__ import annotations

from typing import NoReturn

import pandas as pd
import streamlit as st

from emoact.analysis.listing import AnalysisSummary, list_analyses
from emoact.analysis.saved import SavedAnalysis
from emoact.errors import EmoactError, FileRefusedError
from emoact.models.registry import display_name
from emoact.numbers import moment_of, plural
from emoact.store.layout import ResultsRoot
from emoact.ui import links
from emoact.ui.boxes import error_box
from emoact.ui.notes import notes_of
from emoact.views.text import md, mono

PARAMETER = "analysis"
_LAST = "last-analysis"
_NEXT = "next-analysis"
_MAX_TABLES = 96
_NOTE = 20


def saved_analyses(results: str) -> tuple[AnalysisSummary, ...]:
    """Saved analyses, newest first; a folder that cannot be listed becomes a box."""
    try:
        return list_analyses(ResultsRoot(results))
    except EmoactError as error:
        error_box(error, title="The analyses cannot be listed")
        return ()


def pick_analysis(results: str, saved: tuple[AnalysisSummary, ...]) -> SavedAnalysis | None:
    """The analysis that the sidebar names, opened; None where there is none.

    Its id stands in the address even when it is the default, so that a link keeps its meaning.
    """
    rows = {row.id: row for row in saved if row.problem is None}
    ids = list(rows)
    links.note_ignored(PARAMETER, ids)
    if not ids:
        return None
    # A widget that is bound to the address would write its words there in place of the id.
    named, last = st.query_params.get(PARAMETER), st.session_state.get(_LAST)
    wanted = (
        st.session_state.pop(_NEXT, None),
        named if named != last else None,
        st.session_state.get(PARAMETER),
        # Another page of the three may have been at another analysis.
        last,
    )
    st.session_state[PARAMETER] = next((each for each in wanted if each in rows), ids[0])
    notes = notes_of(results)
    with st.sidebar:
        picked = st.selectbox(
            "Analysis",
            ids,
            format_func=lambda name: _name(rows[name], notes.get(name, "")),
            required=True,
            key=PARAMETER,
            help="Each is a set of files analysed with one set of settings; the newest is first.",
        )
        st.caption(_row_words(rows[picked]))
        if picked in notes:
            st.caption(md(notes[picked]))
    st.session_state[_LAST] = st.query_params[PARAMETER] = picked
    try:
        return SavedAnalysis.open(ResultsRoot(results).analysis_dir(str(picked)))
    except EmoactError as error:
        error_box(error, title="This analysis cannot be opened")
        return None


def turn_to(analysis: str) -> NoReturn:
    """Draw the page again, with this analysis."""
    st.session_state[_NEXT] = analysis
    st.rerun()


def names(results: str) -> dict[str, str]:
    """Names of the analyses that can be read, by id, newest first."""
    notes = notes_of(results)
    rows = (row for row in saved_analyses(results) if row.problem is None)
    return {row.id: _name(row, notes.get(row.id, "")) for row in rows}


def table(saved: SavedAnalysis, name: str) -> pd.DataFrame:
    """One table of an analysis; a file that is damaged becomes a box and ends the page."""
    try:
        return _table(str(saved.path), saved.id, saved.created_at, name)
    except FileRefusedError as error:
        error_box(error, title="This analysis is damaged")
        st.stop()


@st.cache_data(max_entries=_MAX_TABLES, show_spinner="Reading the analysis")
def _table(path: str, key: str, created_at: str, name: str) -> pd.DataFrame:
    del key, created_at  # part of what is kept: an analysis that was made again is read again
    frame: pd.DataFrame = SavedAnalysis.open(path).table(name)
    return frame


def _name(row: AnalysisSummary, note: str) -> str:
    """Note, date and content of an analysis, and its id, so that no two are alike."""
    made = moment_of(row.created_at)
    when = f"{made:%d %b %H:%M}" if made else "at an unknown time"
    lead = f"{note[:_NOTE]}, " if note else ""
    return f"{lead}{when}, {plural(len(row.models), 'model')} ({row.id[:4]})"


def _row_words(row: AnalysisSummary) -> str:
    when = row.created_at.replace("T", " ")[:16]
    models = ", ".join(md(display_name(model)) for model in row.models)
    return "  \n".join([models, md(row.pooling), f"{when} UTC", mono(row.id)])
