"""Fields on the page Extract: chat format, response, rounding, and choices among records."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from emoact.errors import EmoactError
from emoact.jobs.executor import Executor
from emoact.models.chat import read_template
from emoact.models.resolve import resolve_model
from emoact.schema import MOST_GENERATED, ChatFormat, Generation, Precision
from emoact.store.protocol import Store
from emoact.ui import links
from emoact.views.text import prose

_CHATS = ("none", "template")


def ask_chat(models: tuple[str, ...]) -> ChatFormat | None:
    """The chat format; offered where the models have a template, with the reason where not."""
    missing = _without_template(models)
    if missing is not None:
        st.caption(f"Prompts go in without a chat format: {prose(missing)}.")
        # A field that cannot be used is hard to read, so that it is not drawn.
        if "template" not in (st.session_state.get("chat"), st.query_params.get("chat")):
            return None
    links.note_ignored("chat", _CHATS)
    format_ = st.segmented_control(
        "Chat format",
        _CHATS,
        default=_CHATS[0],
        required=True,
        key="chat",
        bind="query-params",
        help="template: every prompt is the user's turn in the model's own chat template. Means "
        "are over the text of the prompt alone. none: the prompt as it is.",
    )
    if format_ != "template":
        return None
    with st.container(horizontal=True, gap="medium"):
        system = st.text_input(
            "System prompt", key="system", bind="query-params", help="Stands before every prompt."
        )
        assistant = st.text_input(
            "Beginning of the response",
            key="assistant",
            bind="query-params",
            help="Stands behind the template, as it is typed.",
        )
    return ChatFormat(system=system or None, assistant=assistant or None)


def ask_generation() -> Generation | None:
    """The response that is asked for behind every prompt; None without one."""
    with st.container(horizontal=True, gap="medium"):
        longest = st.number_input(
            "Response, at most tokens",
            # A field of whole numbers ends in an error where the address has an infinite one.
            min_value=0.0,
            max_value=float(MOST_GENERATED),
            step=1.0,
            format="%.0f",
            key="generate",
            bind="query-params",
            width=200,
            help="The model continues every prompt, and the activations and the text of what it "
            "writes are saved too. 0: no response.",
        )
        if not longest:
            return None
        temperature = st.number_input(
            "Temperature",
            min_value=0.0,
            max_value=10.0,
            step=0.1,
            key="temperature",
            bind="query-params",
            width=200,
            help="0: the most probable token each time. Else tokens are drawn, from the "
            "probabilities of logits divided by this.",
        )
        if not temperature:
            return Generation(max_tokens=int(longest))
        seed = st.number_input(
            "Seed of the draws",
            min_value=0.0,
            max_value=2.0**53,
            step=1.0,
            format="%.0f",
            key="seed",
            bind="query-params",
            width=200,
        )
    return Generation(max_tokens=int(longest), temperature=float(temperature), seed=int(seed or 0))


@st.cache_data(max_entries=64, ttl=10, show_spinner=False)
def _without_template(models: tuple[str, ...]) -> str | None:
    """Reason for which an installed model takes no chat format; None where none is known."""
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


def ask_precision(store: Store) -> Precision:
    """Rounding of the values; asked for only where the store can round."""
    allowed = list(store.precisions)
    if len(allowed) == 1:
        return allowed[0]
    links.note_ignored("precision", allowed)
    found: Precision | None = st.segmented_control(
        "Rounding",
        allowed,
        default=allowed[0],
        required=True,
        key="precision",
        bind="query-params",
        help="lossless: every bit. rel1e-3, rel8e-3: each value within 0.1 % or 0.8 % of itself, "
        "and files less than half or a third as large.",
    )
    return found or allowed[0]


def ask_one(title: str, key: str, records: Sequence[Store | Executor], about: str) -> str:
    """Name of a store or an executor; asked for only where there is a choice."""
    labels = {record.name: record.label for record in records}
    if len(labels) == 1:
        return records[0].name
    # The address has the label of what is chosen.
    links.note_ignored(key, labels.values())
    said = " ".join(f"{record.label}: {record.about}." for record in records)
    chosen = st.segmented_control(
        title,
        list(labels),
        format_func=labels.__getitem__,
        default=records[0].name,
        required=True,
        key=key,
        bind="query-params",
        help=f"{about} {said}",
    )
    return str(chosen or records[0].name)
