"""The pieces of the Report page: what to make, the run that makes it, and what was made."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import streamlit as st

from emoact import numbers
from emoact.decode import is_text, read_regular
from emoact.errors import EmoactError, RequestError
from emoact.report.document import preview
from emoact.report.words import FORMATS, LANGUAGES, Language
from emoact.report.worker import ReportRequest, prepare_report
from emoact.ui import links
from emoact.ui.boxes import answer, download, error_box, start_button
from emoact.ui.current_run import made_by_job, start_here, watched_job
from emoact.ui.reading import ReportFile, UnitFile
from emoact.views.text import listed, mono

_LANGUAGES: dict[Language, str] = {"en": "English", "ja": "Japanese"}
_NEXT = "report-next"
_REPORT = "report"
_PREVIEW_BYTES = 8_000_000
_MOST_BYTES = 200_000_000


def say(results: str, files: list[UnitFile], made: list[ReportFile]) -> None:
    """Say what a report will contain and how many exist."""
    folders = [mono(folder) for folder in dict.fromkeys(file.folder for file in files)]
    answer(
        f"A report on {numbers.plural(len(files), 'file')} of {listed(folders)} takes a few "
        "seconds: one file that can be sent to a colleague and opens without a network."
        if files
        else f"There are no activations in {mono(results)} to report on yet.",
        f"{numbers.plural(len(made), 'report')} made before." if made else "",
    )


def ask(results: str) -> ReportRequest:
    """Language and format."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        lang = links.choose_one(
            "Language",
            LANGUAGES,
            key="lang",
            help="en: English. ja: Japanese, in the order of the phase-2 report.",
        )
        form = links.choose_one(
            "Format",
            FORMATS,
            key="format",
            help="html: one file that needs nothing else. md: Markdown with its figures beside it.",
        )
    return ReportRequest(results=results, lang=lang, form=form)


def make(asked: ReportRequest, *, possible: bool) -> None:
    """The button that starts the run, and the run while it works."""
    run_id = watched_job(asked.results, "report")
    links.show_ignored()
    label = f"Make the {_LANGUAGES[asked.lang]} report"
    if start_button(label, key="make", possible=possible, icon="description"):
        start_here(lambda: prepare_report(asked), title="The report could not be started")
    st.caption(f"In a shell: {mono(asked.command)}")
    report = None if run_id is None else made_by_job(asked.results, run_id)
    if report is not None:
        st.session_state[_NEXT] = report.name
        st.rerun()


def show(made: list[ReportFile]) -> None:
    """The reports on disk, newest first, one of them opened."""
    if not made:
        return
    st.header("Reports")
    names = [report.path.name for report in made]
    links.note_ignored(_REPORT, names)
    wanted = st.session_state.pop(_NEXT, None)
    if wanted in names:
        st.session_state[_REPORT] = wanted
    name = st.selectbox("Report", names, key=_REPORT, bind="query-params", width=460)
    chosen = next((report for report in made if report.path.name == name), made[0])
    st.caption(f"Made {chosen.made:%Y-%m-%d %H:%M} UTC, {numbers.size(chosen.size)}.")
    _open(chosen)


def _open(report: ReportFile) -> None:
    try:
        data = _read(report.path)
        packed = _archive(report.path, data) if report.path.suffix == ".md" else b""
    except EmoactError as error:
        error_box(error, title="The report cannot be opened")
        return
    if report.path.suffix == ".md":
        download(
            "Download with its figures",
            packed,
            name=f"{report.path.stem}.zip",
            mime="application/zip",
        )
    else:
        download("Download", data, name=report.path.name, mime="text/html")
    if len(data) > _PREVIEW_BYTES:
        st.caption(f"Reports of more than {numbers.size(_PREVIEW_BYTES)} are not shown here.")
        return
    text = data.decode("utf-8", errors="replace")
    if report.path.suffix == ".md":
        st.code(text, language="markdown", height=520)
    else:
        # The folder may hold a file of another origin.
        st.iframe(preview(text), height=720, alt=f"Preview of {report.path.name}")


def _archive(path: Path, text: bytes) -> bytes:
    folder = path.with_name(f"{path.stem}_figures")
    figures = folder.is_dir() and not folder.is_symlink()
    packed, left = io.BytesIO(), _MOST_BYTES
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(path.name, text)
        for figure in sorted(folder.glob("*.svg")) if figures else []:
            if not is_text(figure.name) or "\\" in figure.name:
                raise RequestError(f"{figure.name!a} is no name of a figure")
            data = _read(figure, limit=left)
            left -= len(data)
            archive.writestr(f"{folder.name}/{figure.name}", data)
    return packed.getvalue()


def _read(path: Path, *, limit: int = _MOST_BYTES) -> bytes:
    """A file of the folder of reports; no link, which could lead out of the results."""
    data = read_regular(path, limit=limit + 1)
    if len(data) > limit:
        raise RequestError(f"{path.name} is larger than {limit:,} bytes")
    return data
