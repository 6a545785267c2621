"""The end of a form about causes: its cost, its command, and the button that starts it."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from emoact.causes.prepared import Prepared
from emoact.errors import EmoactError
from emoact.jobs.config import JobConfig
from emoact.ui.boxes import Outcome, error_box
from emoact.ui.current_run import launched, watch_run
from emoact.ui.reading import UnitFile, unit_card
from emoact.views.text import mono


def start_form(
    checked: Outcome[Prepared],
    words: str,
    *,
    key: str,
    prepare: Callable[[], Prepared],
    following: str,
    refused: str = "This cannot be computed",
) -> None:
    """The cost of a request, its command, and the button that starts it.

    Args:
        checked: The request, checked.
        words: On the button.
        key: Of the button.
        prepare: Checks the request again, when the button is pressed.
        following: Key of the session state that takes the id of a result to show next.
        refused: Title of the box with the reason why it cannot be computed.
    """
    if checked.error is not None:
        error_box(checked.error, title=refused)
    elif checked.value is not None:
        done = checked.value.existing is not None
        st.caption(
            "This was computed already." if done else f":material/schedule: {checked.value.cost}"
        )
        st.caption(f"In a shell: {mono(checked.value.config.command)}")
    clicked = st.button(
        words,
        type="primary",
        icon=":material/play_circle:",
        disabled=checked.error is not None,
        key=key,
    )
    if clicked:
        _start(prepare, following)


def _start(prepare: Callable[[], Prepared], following: str) -> None:
    try:
        prepared = prepare()
    except EmoactError as error:
        error_box(error, title="The run could not start")
        return
    if prepared.existing is not None:
        st.session_state[following] = prepared.id
        st.rerun()

    def config() -> JobConfig:
        return prepared.config

    run_id = launched(config, title="The run could not start")
    if run_id is not None:
        watch_run(run_id)
        st.rerun()


def layers_of(files: list[UnitFile], model: str) -> int:
    """Layers of the model of readable files; 1 where none can be read."""
    cards = (unit_card(file) for file in files if file.folder == model)
    return next((card.unit.n_layers for card in cards if card.unit), 1)
