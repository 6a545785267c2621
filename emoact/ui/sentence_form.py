"""The form of a typed sentence, the model that reads it, and the answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from emoact.errors import EmoactError, RequestError
from emoact.host.client import Looked, is_warm, look_at
from emoact.jobs.controls import known_as
from emoact.models.alike import ModelRequest, check_bos, request_alike
from emoact.models.registry import is_local
from emoact.sites import SiteName
from emoact.store.layout import ResultsRoot
from emoact.store.summaries.measures import UnitMeasures
from emoact.ui.boxes import error_box
from emoact.views.text import mono, prose

_SENTENCE = "sentence-text"
_ANSWERED = "sentence-answered"
_PATH = "model-path"
_PROMPT = "heads-prompt"
_MOST_PROMPTS = 2000
"""Prompts of a class that are listed."""


def typed_sentence(
    results: str,
    units: Sequence[UnitMeasures],
    sites: Sequence[SiteName],
    *,
    prompts: Sequence[UnitMeasures] = (),
    along: tuple[np.ndarray, SiteName, int] | None = None,
    asked_of: str = "",
    apart: bool = False,
) -> Looked | None:
    """Draw the form; what the model of the files answered, or None while there is nothing to show.

    `units` were made alike. The sentence can be taken from the prompts of `prompts`. `asked_of`
    names the direction of `along`: an answer about another one is not shown, and asked for again
    while the model is loaded. `along` and `apart` are as in `look_at`.
    """
    request = _model_of(results, units, sites)
    if request is None:
        return None
    if prompts:
        _offer_prompts(prompts)
    with (
        st.form("sentence-form", border=False),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        text = st.text_input(
            "Sentence",
            key=_SENTENCE,
            bind="query-params",
            placeholder="You drove two hours just to bring me my keys.",
        )
        asked = st.form_submit_button("Look at the sentence", type="primary", width=190)
    answered: tuple[ModelRequest, str, Looked] | None = st.session_state.get(_ANSWERED)
    # The sentence that was read is read again along another direction, without a click.
    again = (
        answered is not None
        and answered[0] == request
        and answered[1] != asked_of
        and answered[2].text == text.strip()
        and is_warm(request)
    )
    if asked or again:
        st.session_state.pop(_ANSWERED, None)
        words = "Reading the sentence" if is_warm(request) else f"Loading {request.model}"
        try:
            with st.spinner(words, show_time=True):
                typed = look_at(request, text, along=along, apart=apart)
            check_bos(typed.bos, units[0].configuration or {})
        except EmoactError as error:
            error_box(error, title="There is no answer")
            return None
        st.session_state[_ANSWERED] = (request, asked_of, typed)
        return typed
    if answered is not None and answered[:2] == (request, asked_of):
        return answered[2]
    loaded = (
        "The model is loaded already."
        if is_warm(request)
        else "The first one loads the model, which takes some seconds; the model then stays for "
        "ten minutes."
    )
    if text.strip():
        # A link must not make a server load a model.
        st.caption("The sentence was not read yet: press *Look at the sentence*.")
    st.caption(
        f"The sentence goes through {mono(request.model)} as the saved prompts did. {loaded}"
    )
    return None


def _model_of(
    results: str, units: Sequence[UnitMeasures], sites: Sequence[SiteName]
) -> ModelRequest | None:
    """The model of saved files; None where it cannot be used, which becomes a box.

    Asks for the path of a model file or folder that is not where the run of the files had it.
    """
    folder, configurations = units[0].folder, [unit.configuration for unit in units]
    name = known_as(ResultsRoot(results), folder, units[0].provenance)
    try:
        return request_alike(folder, configurations, sites, name=name)
    except RequestError as error:
        if not is_local(folder) or not configurations[0]:
            error_box(error, title="A sentence cannot be read as these files were")
            return None
        why = error
    path = st.text_input(
        "Path of the model",
        key=_PATH,
        bind="query-params",
        placeholder="/path/to/model.gguf",
        help="The file or folder that the activations were made with. Its hash is compared with "
        "the one that they record.",
    )
    if not path:
        st.info(f"{prose(why.message)}. Type its path.", icon=":material/folder_open:")
        return None
    try:
        return request_alike(folder, configurations, sites, name=path)
    except RequestError as error:
        error_box(error, title="This is not the model of these files")
        return None


def _offer_prompts(units: Sequence[UnitMeasures]) -> None:
    texts = {
        f"{unit.emotion}: {unit.prompt_id(sample)}": unit.prompt_text(sample)
        for unit in units
        for sample in range(min(unit.n_samples, _MOST_PROMPTS))
    }

    def take() -> None:
        st.session_state[_SENTENCE] = texts.get(st.session_state[_PROMPT], "")

    st.selectbox(
        "Saved prompt",
        list(texts),
        index=None,
        key=_PROMPT,
        on_change=take,
        placeholder="Type a sentence below, or choose a prompt",
        width=420,
    )
