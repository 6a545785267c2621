"""Saved analyses as pages read them: which one, its tables, and whether it is still of these files.

Tables are kept by the id of their analysis, which is a hash of its files and settings.
"""

from __future__ import annotations

import pandas as pd
import streamlit as st

from emoact.analysis.listing import AnalysisSummary, list_analyses
from emoact.analysis.saved import SavedAnalysis
from emoact.errors import EmoactError, FileRefusedError
from emoact.store.layout import ResultsRoot
from emoact.ui import links
from emoact.ui.boxes import error_box
from emoact.views.text import md

PARAMETER = "analysis"
_LAST = "last-analysis"
_NEXT = "next-analysis"
_MAX_TABLES = 96


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
    wanted = st.session_state.pop(_NEXT, None)
    if wanted in rows:
        st.session_state[PARAMETER] = wanted
    # Another page of the three may have been at another analysis.
    last = st.session_state.get(_LAST)
    links.prefer_one(PARAMETER, last if last in rows else ids[0], allowed=ids)
    with st.sidebar:
        picked = st.selectbox(
            "Analysis",
            ids,
            # Without a default the address keeps the chosen analysis when a newer one appears.
            index=None,
            required=True,
            key=PARAMETER,
            bind="query-params",
            help="Each is a set of files analysed with one set of settings; the newest is first.",
        )
        if picked in rows:
            st.caption(_row_words(rows[picked]))
    st.session_state[_LAST] = picked
    try:
        return SavedAnalysis.open(ResultsRoot(results).analysis_dir(str(picked)))
    except EmoactError as error:
        error_box(error, title="This analysis cannot be opened")
        return None


def open_next(analysis: str) -> None:
    """Show this analysis when the page is drawn again."""
    st.session_state[_NEXT] = analysis


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


def _row_words(row: AnalysisSummary) -> str:
    when = row.created_at.replace("T", " ")[:16]
    parts = [", ".join(md(model) for model in row.models), md(row.pooling), f"{when} UTC"]
    return "  \n".join(parts)
