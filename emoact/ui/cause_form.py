"""The end of a form about causes: its cost, its command, and the button that starts it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from typing import Any

import streamlit as st

from emoact.causes.chosen import CauseRequest
from emoact.causes.prepared import Kind, Prepared
from emoact.causes.saved import SavedCause
from emoact.jobs.config import JobConfig
from emoact.ui.boxes import Outcome, error_box, outcome, start_button
from emoact.ui.current_run import made_by_job, start_here, watched_job
from emoact.ui.reading import UnitFile, unit_card, unit_files
from emoact.views.text import md, mono
from emoact.views.theme import emotion_order

NEXT = "causes-next"
"""Key of the session state with the id of the result to show next."""
_NEUTRAL = "neutral"


def watched_causes(results: str, kinds: Collection[str]) -> str | None:
    """The run that a page about these kinds watches; its result is shown when it has ended."""
    watched = watched_job(results, "causes", about=kinds)
    made = None if watched is None else made_by_job(results, watched)
    if made is not None:
        st.session_state[NEXT] = made.parent.name
        st.rerun()
    return watched


def start_form(
    kind: Kind[Any],
    asked: CauseRequest,
    words: str,
    *,
    refused: str = "This cannot be computed",
) -> None:
    """The cost of a request, its command, and the button that starts it.

    `refused` is the title of the box with the reason why it cannot be computed.
    """
    files = files_of(os.fspath(asked.results), str(asked.model))
    checked = _check(kind.name, asked, files, kind)
    if checked.error is not None:
        error_box(checked.error, title=refused)
    elif checked.value is not None:
        done = checked.value.existing is not None
        st.caption(
            "This was computed already." if done else f":material/schedule: {checked.value.cost}"
        )
        st.caption(f"In a shell: {mono(checked.value.config.command)}")

    def config() -> JobConfig:
        # Checked once more, as what is on disk may have changed.
        prepared = kind.prepare(asked)
        if prepared.existing is not None:
            st.session_state[NEXT] = prepared.id
            st.rerun()
        return prepared.config

    if start_button(words, key=f"{kind.name}-start", possible=checked.error is None):
        start_here(config, title="The run could not start")


# What is on disk is part of the key; whether it was computed already changes without it.
@st.cache_resource(max_entries=64, ttl=5, show_spinner="Checking the request")
def _check(
    name: str, asked: CauseRequest, files: tuple[UnitFile, ...], _kind: Kind[Any]
) -> Outcome[Prepared]:
    del name, files
    return outcome(lambda: _kind.prepare(asked))


def random_badges(shown: Iterable[SavedCause]) -> list[str]:
    """The badge of results of a model with random weights."""
    random = any(each.found["random_weights"] for each in shown)
    return ["random weights, which say nothing about emotion"] if random else []


def files_of(results: str, model: str) -> tuple[UnitFile, ...]:
    """Files of a model; their page has said which cannot be listed."""
    return tuple(file for file in unit_files(results, tell=False) if file.folder == model)


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
