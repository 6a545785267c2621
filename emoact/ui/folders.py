"""The results folders of the sidebar: switch among them, and make one beside the first."""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import Path

import streamlit as st
from streamlit.errors import StreamlitAPIException

from emoact.decode import read_json
from emoact.errors import EmoactError, RequestError
from emoact.store.atomic import write_json
from emoact.store.layout import ResultsRoot, check_id, is_id, results_folders
from emoact.store.remote import remote_of
from emoact.ui import links
from emoact.ui.boxes import keep_error, show_kept_error
from emoact.views.text import md, mono, shortened

FOLDER = "results"
"""Parameter of the address that names the results folder."""
_OPEN = "open-folder"
_NEW = "new-folder"
_REFUSED = "No folder was made"
_MOST, _LARGEST = 30, 100_000
_RESULTS = {"activations", "runs", "datasets", "manifest.json", "folders.json"}


def known_folders() -> list[str]:
    """The folders that the server was started with, then those that were made on a page."""
    started = results_folders()
    # A received list may name any folder beside the first one.
    made = [folder for folder in made_folders(started[0]) if _holds_results(Path(folder))]
    return list(dict.fromkeys([*started, *made]))


def made_folders(first: str) -> list[str]:
    """Folders that were made beside the first one; none where their list is damaged."""
    try:
        names = read_json(ResultsRoot(first).folders, limit=_LARGEST)
    except EmoactError:
        return []
    listed = names if isinstance(names, list) else []
    safe = [name for name in listed if isinstance(name, str) and is_id(name)]
    return [os.fspath(Path(first).parent / name) for name in safe[:_MOST]]


def make_folder(first: str, name: str) -> str:
    """Make a results folder beside the first one, or take one that is there; returns its path.

    Raises:
        RequestError: The name is not allowed, other things have it, or there are too many.
        EmoactError: The folder cannot be made or recorded.
    """
    folder = Path(first).parent / check_id(name, kind="results folder")
    others = [Path(each).name for each in made_folders(first) if Path(each) != folder]
    if len(others) >= _MOST:
        raise RequestError(
            f"{_MOST} results folders were made on pages already",
            remedy=f"Remove names from {ResultsRoot(first).folders}.",
        )
    if os.path.lexists(folder) and not _holds_results(folder):
        raise RequestError(f"{folder} is there and holds no results", remedy="Choose another name.")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise EmoactError(f"{folder} cannot be made: {error.strerror or error}") from error
    write_json(ResultsRoot(first).folders, [*others, folder.name])
    return os.fspath(folder)


def results_folder() -> str:
    """The results folder that was picked."""
    folders = known_folders()
    picked = st.session_state.get(FOLDER)
    return picked if picked in folders else folders[0]


def pick_folder() -> None:
    """Show the picker in the sidebar; with one folder there is nothing to pick and it is named."""
    folders = known_folders()
    if len(folders) > 1:
        links.note_ignored(FOLDER, folders)
        # A page that is left before the browser has drawn its picker loses the folder's parameter.
        if FOLDER not in st.query_params and st.session_state.get(_OPEN) in folders:
            st.session_state[FOLDER] = st.session_state[_OPEN]
        st.session_state[_OPEN] = st.selectbox(
            "Results folder",
            folders,
            key=FOLDER,
            bind="query-params",
            on_change=_remember,
            help="The folders that the server was started with (EMOACT_RESULTS), and those that "
            "were made here.",
        )
    else:
        shown = mono(shortened(folders[0]))
        st.caption(f"Results folder  \n{shown}", help=mono(str(Path(folders[0]).absolute())))
    with contextlib.suppress(EmoactError):
        # A folder beside the copy of one on object storage would be nowhere else.
        if remote_of(ResultsRoot(folders[0])) is None:
            _offer()


def _remember() -> None:
    """Keep what was picked: the first folder has no parameter in the address."""
    st.session_state[_OPEN] = st.session_state[FOLDER]


def _offer() -> None:
    show_kept_error(_REFUSED)
    # The next press of the tabulator comes to the form, and Enter makes the folder.
    with (
        st.expander("New folder", icon=":material/create_new_folder:"),
        st.form("new-folder-form", border=False),
    ):
        st.text_input(
            "Name of the results folder",
            key=_NEW,
            max_chars=80,
            help="A folder of this name beside the first results folder is made, or opened where "
            "it is there. Letters, digits and . _ - are allowed.",
        )
        st.form_submit_button("Make and open", on_click=_make)


def _make() -> None:
    open_folder(str(st.session_state[_NEW]).strip())


def open_folder(name: str) -> None:
    """Make the folder of this name beside the first one, or take it; a callback of a button."""
    with keep_error(_REFUSED):
        # A callback runs before the picker is drawn, which then shows the folder.
        made = make_folder(known_folders()[0], name)
        st.session_state[FOLDER] = st.session_state[_OPEN] = made
        # Before there were two folders, no picker was bound to the address.
        with contextlib.suppress(StreamlitAPIException):
            st.query_params[FOLDER] = made
        st.session_state[_NEW] = ""


def offer_folder(dataset: str | os.PathLike[str]) -> None:
    """The button that opens a results folder of its own, named after a data set."""
    first = Path(known_folders()[0])
    name = f"{first.absolute().name}-{Path(dataset).stem}"
    if not is_id(name) or remote_of(ResultsRoot(first)) is not None:
        return
    if Path(results_folder()).absolute() == first.absolute().parent / name:
        return
    st.button(
        f"Extract into the results folder {md(name)}",
        icon=":material/create_new_folder:",
        key="own-folder",
        on_click=open_folder,
        args=(name,),
        help="Makes this folder beside the first results folder, or opens it; the choices stay.",
    )


def _holds_results(folder: Path) -> bool:
    """True for a folder that is empty or holds results; a link is none."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    try:
        names = {path.name for path in itertools.islice(folder.iterdir(), 1000)}
    except OSError:
        return False
    return not names or bool(names & _RESULTS)
