"""The form of a typed sentence, and the answer of the model to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import streamlit as st

from emoact.errors import EmoactError
from emoact.host.client import Looked, is_warm, look_at
from emoact.models.alike import ModelRequest, check_bos
from emoact.sites import SiteName
from emoact.ui.boxes import error_box
from emoact.views.text import mono

SENTENCE = "sentence-text"
"""Key of the field, whose text another control may set before it is drawn."""
_ANSWERED = "sentence-answered"


def typed_sentence(
    request: ModelRequest,
    configuration: Mapping[str, Any],
    *,
    along: tuple[np.ndarray, SiteName, int] | None = None,
    asked_of: str = "",
    apart: bool = False,
) -> Looked | None:
    """Draw the form; what the model answered, or None where there is nothing to show yet.

    Args:
        request: The model, and the settings of the saved files.
        configuration: What the files record.
        along: As in `look_at`.
        asked_of: Name of that direction; an answer about another one is not shown.
        apart: As in `look_at`.
    """
    with (
        st.form("sentence-form", border=False),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        text = st.text_input(
            "Sentence",
            key=SENTENCE,
            bind="query-params",
            placeholder="You drove two hours just to bring me my keys.",
        )
        asked = st.form_submit_button("Look at the sentence", type="primary", width=190)
    if asked:
        st.session_state.pop(_ANSWERED, None)
        words = "Reading the sentence" if is_warm(request) else f"Loading {request.model}"
        try:
            with st.spinner(words, show_time=True):
                typed = look_at(request, text, along=along, apart=apart)
            check_bos(typed.bos, configuration)
        except EmoactError as error:
            error_box(error, title="There is no answer")
            return None
        st.session_state[_ANSWERED] = (request, asked_of, typed)
    answered: tuple[ModelRequest, str, Looked] | None = st.session_state.get(_ANSWERED)
    if answered is not None and answered[:2] == (request, asked_of):
        return answered[2]
    loaded = (
        "The model is loaded already."
        if is_warm(request)
        else "The first one loads the model, which takes some seconds; the model then stays for "
        "ten minutes."
    )
    st.caption(
        f"The sentence goes through {mono(request.model)} as the saved prompts did. {loaded}"
    )
    return None
