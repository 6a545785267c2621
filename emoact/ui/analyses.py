"""Saved analyses as pages read them: which one, its tables, and whether it is still of these files.

Tables are kept by the id of their analysis, which is a hash of its files and settings.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from emoact.analysis.inputs import FileHashes
from emoact.analysis.listing import AnalysisSummary, list_analyses
from emoact.analysis.saved import SavedAnalysis
from emoact.errors import EmoactError, FileRefusedError
from emoact.store.layout import ResultsRoot
from emoact.ui import links
from emoact.ui.boxes import error_box
from emoact.ui.reading import unit_files
from emoact.ui.scheme import current_scheme
from emoact.views.plots.theme import EmotionStyle, emotion_styles
from emoact.views.text import listed, md, mono, prose

PARAMETER = "analysis"
_LAST = "last-analysis"
_NEXT = "next-analysis"
_MAX_TABLES = 96


def saved_analyses(results: str) -> tuple[AnalysisSummary, ...]:
    """What is saved, newest first; a folder that cannot be listed becomes a box."""
    try:
        return list_analyses(ResultsRoot(results))
    except EmoactError as error:
        error_box(error, title="The analyses cannot be listed")
        return ()


def pick_analysis(results: str, saved: tuple[AnalysisSummary, ...]) -> SavedAnalysis | None:
    """The analysis that the sidebar names, opened; None where there is none.

    Its id stands in the address even when nobody chose it, so that a link shows the same tomorrow.
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
            # Without a default of its own the address keeps what was chosen, whatever is newest.
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


def styles_of(saved: SavedAnalysis) -> dict[str, EmotionStyle]:
    """A style for every label of the files, so that a colour means the same on every page."""
    return emotion_styles((each.emotion for each in saved.inputs), current_scheme())


def changes_since(results: str, saved: SavedAnalysis) -> list[str]:
    """How the files on disk differ from those that were analysed, in Markdown."""
    root = ResultsRoot(results)
    hashes = FileHashes(root)
    missing, other = [], []
    for each in saved.inputs:
        path = root.path / each.file
        name = mono(f"{each.folder}/{each.emotion}")
        if not path.exists():
            missing.append(name)
        elif hashes.known(path) not in (None, each.sha256) or _newer(path, each.size, saved):
            other.append(name)
    known = {each.folder for each in saved.inputs}
    analysed = {(each.folder, each.emotion) for each in saved.inputs}
    added = [
        mono(f"{file.folder}/{file.emotion}")
        for file in unit_files(results)
        if file.folder in known and (file.folder, file.emotion) not in analysed
    ]
    said = []
    for names, what in ((other, "written again"), (missing, "removed"), (added, "added")):
        if names:
            shown = listed(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
            verb = "was" if len(names) == 1 else "were"
            said.append(f"{shown} {verb} {what} since this analysis was made.")
    return said


def mark_badges(saved: SavedAnalysis) -> None:
    """What a reader must know before any figure and any sentence."""
    if saved.badges:
        st.markdown(
            "  \n".join(f":orange-badge[:material/warning: {md(badge)}]" for badge in saved.badges)
        )


def mark_refusals(saved: SavedAnalysis) -> None:
    """What was not made, and why."""
    for finding in saved.refusals:
        st.caption(f":material/block: {md(finding.where)}: {prose(finding.message)}")


def made_words(saved: SavedAnalysis) -> str:
    """How the figures were made, for a caption."""
    settings = saved.settings
    reference = (
        f"against {settings.neutral}"
        if settings.reference == "neutral"
        else "against the mean of all classes"
    )
    return (
        f"{settings.pooling} pooling, {reference}, {settings.n_permutations:,} permutations, "
        f"alpha {settings.alpha:g}. emoact analysis {saved.id}."
    )


def command(results: str, saved: SavedAnalysis) -> str:
    """The shell command that makes this analysis."""
    from emoact.analysis.request import AnalyzeRequest, analyze_command

    folders = saved.models
    on_disk = {file.folder for file in unit_files(results)}
    return analyze_command(
        AnalyzeRequest(
            results=results,
            settings=saved.settings,
            models=None if on_disk <= set(folders) else folders,
        )
    )


def of(table_rows: pd.DataFrame, **wanted: Any) -> pd.DataFrame:
    """The rows whose columns have these values; a tuple or list allows several."""
    chosen = table_rows
    for column, value in wanted.items():
        allowed = value if isinstance(value, list | tuple) else [value]
        chosen = chosen[chosen[column].isin(list(allowed))]
    return chosen


@st.cache_data(max_entries=_MAX_TABLES, show_spinner="Reading the analysis")
def _table(path: str, key: str, created_at: str, name: str) -> pd.DataFrame:
    del key, created_at  # part of what is kept: an analysis that was made again is read again
    frame: pd.DataFrame = SavedAnalysis.open(path).table(name)
    return frame


def _newer(path: Path, size: int, saved: SavedAnalysis) -> bool:
    """Whether the file was written after the analysis; only asked where no hash is known."""
    status = path.stat()
    if status.st_size != size:
        return True
    try:
        made = datetime.fromisoformat(saved.created_at).timestamp()
    except ValueError:
        return False
    return status.st_mtime > made


def _row_words(row: AnalysisSummary) -> str:
    when = row.created_at.replace("T", " ")[:16]
    parts = [", ".join(md(model) for model in row.models), md(row.pooling), f"{when} UTC"]
    return "  \n".join(parts)
