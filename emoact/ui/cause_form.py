"""The end of a form about causes: its cost, its command, and the button that starts it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import streamlit as st

from emoact.causes.prepared import Prepared
from emoact.errors import EmoactError
from emoact.ui.boxes import Outcome, error_box, outcome
from emoact.ui.current_run import launched, watch_run
from emoact.ui.reading import UnitFile, unit_card
from emoact.views.text import md, mono
from emoact.views.theme import emotion_order

Request = TypeVar("Request")
_NEUTRAL = "neutral"


def start_form(
    asked: Request,
    words: str,
    *,
    key: str,
    prepare: Callable[[Request], Prepared],
    files: tuple[UnitFile, ...],
    following: str,
    refused: str = "This cannot be computed",
) -> None:
    """The cost of a request, its command, and the button that starts it.

    `prepare` checks the request, once more when the button is pressed. `following` is the key of
    the session state that takes the id of a result to show next; `refused` is the title of the box
    with the reason why it cannot be computed.
    """
    checked = _check(key, asked, files, prepare)
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
        _start(asked, prepare, following)


# What is on disk is part of the key; whether it was computed already changes without it.
@st.cache_resource(max_entries=64, ttl=5, show_spinner="Checking the request")
def _check(
    key: str,
    asked: Request,
    files: tuple[UnitFile, ...],
    _prepare: Callable[[Request], Prepared],
) -> Outcome[Prepared]:
    del key, files
    return outcome(lambda: _prepare(asked))


def _start(asked: Request, prepare: Callable[[Request], Prepared], following: str) -> None:
    try:
        prepared = prepare(asked)
    except EmoactError as error:
        error_box(error, title="The run could not start")
        return
    if prepared.existing is not None:
        st.session_state[following] = prepared.id
        st.rerun()

    run_id = launched(lambda: prepared.config, title="The run could not start")
    if run_id is not None:
        watch_run(run_id)
        st.rerun()


def classes_of(files: list[UnitFile], model: str) -> tuple[list[str], str]:
    """Classes of a model with a direction, and the class that it is measured from.

    Says so where there is no second class.
    """
    own = emotion_order(file.emotion for file in files if file.folder == model)
    neutral = _NEUTRAL if _NEUTRAL in own else own[0]
    emotions = [name for name in own if name != neutral]
    if not emotions:
        st.caption(f"{mono(model)} has the class {md(own[0])} alone; a direction needs two.")
    return emotions, neutral


def layer_input(key: str, n_layers: int) -> int:
    """The field of a layer, first the middle one."""
    last = n_layers - 1
    return int(st.number_input("Layer", 0, last, n_layers // 2, key=key, width=130))


def layers_of(files: list[UnitFile], model: str) -> int:
    """Layers of the model of readable files; 1 where none can be read."""
    cards = (unit_card(file) for file in files if file.folder == model)
    return next((card.unit.n_layers for card in cards if card.unit), 1)
