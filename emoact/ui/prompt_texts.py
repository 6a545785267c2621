"""Texts of the prompts on disk, by emotion and prompt id."""

from __future__ import annotations

import streamlit as st

from emoact.errors import EmoactError
from emoact.store.reading import read
from emoact.ui.reading import UnitFile, unit_files


def texts_of(results: str, folder: str) -> dict[tuple[str, str], str]:
    """Texts of one model's files by emotion and prompt id, without unreadable files."""
    return {
        (file.emotion, prompt_id): text
        for file in unit_files(results)
        if file.folder == folder
        for prompt_id, text in _texts(file).items()
    }


@st.cache_data(max_entries=512, show_spinner=False)
def _texts(file: UnitFile) -> dict[str, str]:
    try:
        prompts = read(file.path).prompts or ()
    except EmoactError:
        return {}
    return {
        str(prompt.get("id", index)): str(prompt.get("text", ""))
        for index, prompt in enumerate(prompts)
    }
