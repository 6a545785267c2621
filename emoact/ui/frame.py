"""The frame around every page: navigation, password, and the results folder in the sidebar."""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import streamlit as st
from starlette.exceptions import HTTPException
from streamlit import runtime
from streamlit.navigation.page import Page
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.runtime import Runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from emoact.errors import EmoactError
from emoact.numbers import some
from emoact.store.layout import ResultsRoot
from emoact.store.remote import remote_of
from emoact.ui.boxes import error_box
from emoact.ui.chart import measure_width
from emoact.ui.folders import known_folders, pick_folder, results_folder
from emoact.views.text import md
from emoact.views.theme import INK

PASSWORD = "EMOACT_PASSWORD"  # noqa: S105
"""Variable with the password that the dashboard asks for; without it there is none."""
# A named icon would be fetched from a server far away.
_ICON = Path(__file__).with_name("browser") / "icon.svg"
_FRAMED = "framed"
_KNOWN = "password-known"
_COOKIE = "emoact"
_PAUSE_S = 1.0
_LET_IN: set[str] = set()
"""Sessions that have given the password, where there is one."""
_MOST_UPLOADS = 3
"""Uploads of a session that the server holds; a page reads one and gives it back at once."""
_SELECTED = (
    '[data-testid="stButtonGroup"] button[data-selected="true"] *,'
    '[data-testid="stSliderThumbValue"]'
)
_PAGES = {
    "Run": {
        "home": "What is on disk, what is running, and the next step.",
        "extract": "Run prompts through models and save activations.",
        "runs": "Every run of this folder: watch, cancel, resume, compare.",
    },
    "Look": {
        "prompts": "The data set: browse it, audit it, import your own.",
        "activations": "Layerwise norms of the residual stream and the MLP output.",
    },
    "Analyse": {
        "directions": "How far each emotion lies from neutral, beyond chance and beyond words.",
        "distances": "How alike the directions of emotions are, and prompts as points.",
        "across_models": "What two models have in common, against what chance gives.",
        "heads": "Which heads, MLPs and layers write a direction.",
        "causes": "What the model does when a direction is added, or a part taken out.",
    },
    "Report": {"report": "One document of everything in this folder, in English or Japanese."},
}
"""Name and help of every page by its group, in the order of the navigation."""


def open_frame() -> Page:
    """Draw the frame and return the page that the address asks for."""
    _refuse_strangers()
    _ask_for_password()
    st.session_state[_FRAMED] = True
    page = _navigation()
    st.set_page_config(page_title=f"{page.title} · emoact", page_icon=_ICON, layout="wide")
    _show_folders()
    measure_width()
    _style()
    return page


def _style() -> None:
    """Give what is selected on a dark page a contrast of 4.5, and controls of a row one height."""
    colour = f"light-dark({INK['light'].accent}, {INK['dark'].accent})"
    st.html(
        f"<style>{_SELECTED} {{ color: {colour} !important; }}"
        ' [data-testid="stButtonGroup"] button[data-rac] { min-height: 2.5rem; }'
        # Above the chart the buttons of plotly would cover its legend.
        " .js-plotly-plot .modebar-container { top: auto !important; bottom: 30px; }"
        # On a phone a badge is longer than the window is wide.
        " .stMarkdownBadge { white-space: normal !important; }"
        # Pickers that ask for a value have one from the start.
        ' [data-testid="stWidgetLabelRequired"] { display: none; }</style>'
    )


def enter() -> None:
    """Make sure that the page stands in its frame; the first statement of every page.

    Because there is a folder called `pages`, the very first visit after a server start runs the
    page's own file without `app.py`. Announcing the navigation ends that; the rerun does the rest.
    """
    if _FRAMED not in st.session_state:
        _navigation()
        st.rerun()


def is_own(origin: str | None, host: str | None) -> bool:
    """True when a page of the dashboard's own address asked, or none that says where it is from."""
    return not origin or urlsplit(origin).netloc.lower() == (host or "").lower()


def _refuse_strangers() -> None:
    """End the script for a page of another port, which Streamlit lets connect."""
    headers = st.context.headers
    if not is_own(headers.get("Origin"), headers.get("Host")):
        st.error("A page of another address has asked for this dashboard. Nothing is shown to it.")
        st.stop()


class _Guarded(Runtime):
    """The server, which takes no upload of a session that has not given the password."""

    def is_active_session(self, session_id: str) -> bool:
        """True when an upload of that session is read."""
        return session_id in _LET_IN and super().is_active_session(session_id)


class _FewUploads(MemoryUploadedFileManager):
    """The uploads that a server holds in memory, which are few of each session."""

    def add_file(self, session_id: str, file: UploadedFileRec) -> None:
        """Hold a file that was read, in place of one of the same id or where there is room."""
        if len(self.file_storage.get(session_id, {}).keys() - {file.file_id}) >= _MOST_UPLOADS:
            raise HTTPException(
                409, f"This page has {_MOST_UPLOADS} uploads in memory. Reload it to add others."
            )
        super().add_file(session_id, file)


def _ask_for_password() -> None:
    """End the script until the password of `EMOACT_PASSWORD` was given, where there is one."""
    password, context = os.environ.get(PASSWORD, ""), get_script_run_ctx()
    files: Any = getattr(context, "uploaded_file_mgr", None)
    if runtime.exists() and not isinstance(server := runtime.get_instance(), _Guarded):
        server.__class__, files.__class__ = _Guarded, _FewUploads
        # What came before the first page of this server was shown.
        for session in list(files.file_storage):
            files.remove_session_files(session)
    if password and not st.session_state.get(_KNOWN):
        _let_in(password)
    _LET_IN.add(getattr(context, "session_id", ""))


def _let_in(password: str) -> None:
    """End the script until the password was typed.

    It may stand in the address as `?password=`, from which it is removed. A cookie of the browser
    session then lets its next tabs in.
    """
    pass_ = hmac.new(password.encode(), b"emoact dashboard", hashlib.sha256).hexdigest()
    if hmac.compare_digest(str(st.context.cookies.get(_COOKIE)).encode(), pass_.encode()):
        st.session_state[_KNOWN] = True
        return
    given = st.query_params.get("password", "")
    if not given:
        box = st.empty()
        given = box.text_input("Password of this dashboard", type="password")
        if not given:
            st.stop()
        box.empty()
    st.query_params.pop("password", None)
    if not hmac.compare_digest(given.encode(), password.encode()):
        # Slows down a program that tries many.
        time.sleep(_PAUSE_S)
        st.error("This is not the password. Reload the page to try again.")
        st.stop()
    st.session_state[_KNOWN] = True
    cookie = f"{_COOKIE}={pass_}; path=/; SameSite=Strict"
    st.html(f"<script>document.cookie = {cookie!r}</script>", unsafe_allow_javascript=True)


def _show_folders() -> None:
    try:
        for folder in known_folders():
            ResultsRoot(folder)
    except EmoactError as error:
        error_box(error, title="The dashboard was started with a results folder that is none")
        st.stop()
    with st.sidebar:
        pick_folder()
        problem = _brought(results_folder())
        if problem:
            st.warning(md(problem))


@st.cache_data(ttl=60, max_entries=8, show_spinner="Looking at the object storage")
def _brought(folder: str) -> str:
    """Bring what is new on object storage, once a minute; what went wrong, in words."""
    try:
        remote = remote_of(ResultsRoot(folder))
        refused = [error.message for error in remote.pull()] if remote is not None else []
    except EmoactError as error:
        return error.message
    return f"Not brought from the object storage: {some(refused, limit=3)}." if refused else ""


def _navigation() -> Page:
    # No icons: the browser would fetch that of the page from a server far away as its favicon.
    groups = {group: [_page(*each) for each in pages.items()] for group, pages in _PAGES.items()}
    return st.navigation(groups, expanded=True)


def _page(name: str, about: str) -> Page:
    title = name.replace("_", " ").capitalize()
    return st.Page(f"pages/{name}.py", title=title, default=name == "home", help=about)
