"""Picker of the results folder among those that the server was started with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import streamlit as st

from emoact.ui import links
from emoact.views.text import mono, shortened

PARAMETER = "results"


def results_folders(environment: Mapping[str, str] | None = None) -> list[str]:
    """The folders of `EMOACT_RESULTS`, in its order and each once; `results` when it is not set."""
    named = (os.environ if environment is None else environment).get("EMOACT_RESULTS", "")
    return list(dict.fromkeys(part for part in named.split(os.pathsep) if part)) or ["results"]


def pick_results_folder() -> None:
    """Show the picker in the sidebar; with one folder there is nothing to pick and it is named."""
    folders = results_folders()
    with st.sidebar:
        if len(folders) > 1:
            links.note_ignored(PARAMETER, folders)
            st.selectbox(
                "Results folder",
                folders,
                key=PARAMETER,
                bind="query-params",
                help="The folders that the server was started with (EMOACT_RESULTS).",
            )
        else:
            shown = mono(shortened(folders[0]))
            st.caption(f"Results folder  \n{shown}", help=mono(str(Path(folders[0]).absolute())))


def results_folder() -> str:
    """The folder that was picked."""
    folders = results_folders()
    picked = st.session_state.get(PARAMETER)
    return picked if picked in folders else folders[0]
