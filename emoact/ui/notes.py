"""Tags and notes on runs and analyses: `notes.json` of a results folder, by their id."""

from __future__ import annotations

import streamlit as st

from emoact.decode import read_json
from emoact.errors import RequestError
from emoact.store.atomic import write_json
from emoact.store.layout import ResultsRoot
from emoact.ui.boxes import keep_error, show_kept_error

_LARGEST = 5_000_000
_LONGEST = 200
_REFUSED = "The note could not be kept"


def notes_of(results: str) -> dict[str, str]:
    """Notes by the id of their run or analysis; none where the file is missing or damaged."""
    try:
        return _read(results)
    except RequestError:
        return {}


def write_note(results: str, name: str, note: str) -> None:
    """Put a note on a run or an analysis; an empty one removes it.

    Raises:
        EmoactError: It cannot be written, or the notes that are there cannot be read.
    """
    notes = {**_read(results), name: note.strip()[:_LONGEST]}
    write_json(ResultsRoot(results).notes, {key: each for key, each in notes.items() if each})


def _read(results: str) -> dict[str, str]:
    path = ResultsRoot(results).notes
    try:
        found = read_json(path, limit=_LARGEST)
    except RequestError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return {}
        raise RequestError(error.message, remedy=f"Move {path} away.") from error
    if not isinstance(found, dict):
        raise RequestError(f"{path.name} holds no notes", remedy=f"Move {path} away.")
    return {name: note[:_LONGEST] for name, note in found.items() if isinstance(note, str)}


def ask_note(results: str, name: str) -> None:
    """A line of text that is kept with a run or an analysis."""
    show_kept_error(_REFUSED)
    st.text_input(
        "Tags and notes",
        notes_of(results).get(name, ""),
        key=f"note-{name}",
        max_chars=_LONGEST,
        on_change=_keep,
        args=(results, name),
        help="Kept in notes.json of the results folder; shown in the picker of analyses and in the "
        "table of runs, where it can be searched.",
    )


def _keep(results: str, name: str) -> None:
    with keep_error(_REFUSED):
        write_note(results, name, str(st.session_state[f"note-{name}"] or ""))
