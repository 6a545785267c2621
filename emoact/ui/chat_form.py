"""Fields of the chat format on the page Extract."""

from __future__ import annotations

import streamlit as st

from emoact.errors import EmoactError
from emoact.models.chat import read_template
from emoact.models.resolve import resolve_model
from emoact.schema import ChatFormat
from emoact.ui import links
from emoact.views.text import prose

_CHATS = ("none", "template")


def ask_chat(models: tuple[str, ...]) -> ChatFormat | None:
    """The chat format; offered where the models have a template, with the reason where not."""
    missing = _without_template(models)
    links.note_ignored("chat", _CHATS)
    format_ = st.segmented_control(
        "Chat format",
        _CHATS,
        default=_CHATS[0],
        required=True,
        key="chat",
        bind="query-params",
        disabled=missing is not None and st.session_state.get("chat") != "template",
        help="template: every prompt is the user's turn in the model's own chat template. Means "
        "are over the text of the prompt alone. none: the prompt as it is.",
    )
    if missing is not None:
        st.caption(f"Prompts go in without a chat format: {prose(missing)}.")
    if format_ != "template":
        return None
    with st.container(horizontal=True, gap="medium"):
        system = st.text_input(
            "System prompt", key="system", bind="query-params", help="Stands before every prompt."
        )
        assistant = st.text_input(
            "Beginning of the answer",
            key="assistant",
            bind="query-params",
            help="Stands behind the template, as it is typed.",
        )
    return ChatFormat(system=system or None, assistant=assistant or None)


@st.cache_data(max_entries=64, ttl=10, show_spinner=False)
def _without_template(models: tuple[str, ...]) -> str | None:
    """Why a model that is here cannot take a chat format; None where all can, as far as known."""
    for name in models:
        try:
            source = resolve_model(name)
        except EmoactError:
            continue  # the check of the request says what is wrong with it
        try:
            if source.path is not None:
                read_template(source.path, source.name)
        except EmoactError as error:
            return error.message
    return None
