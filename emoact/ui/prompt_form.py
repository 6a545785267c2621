"""Fields on the page Extract: chat format, response, rounding, and choices among records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from emoact.errors import EmoactError
from emoact.jobs.executor import Executor
from emoact.models.chat import read_template
from emoact.models.resolve import resolve_model
from emoact.schema import MOST_GENERATED, ChatFormat, Generation, Precision
from emoact.store.protocol import Store
from emoact.ui import links
from emoact.views.text import prose


def ask_chat(models: tuple[str, ...]) -> ChatFormat | None:
    """The chat format; offered where the models have a template, with the reason where not."""
    missing = _without_template(models)
    if missing is not None:
        st.caption(f"Prompts go in without a chat format: {prose(missing)}.")
        # A field that cannot be used is hard to read, so that it is not drawn.
        if "template" not in (st.session_state.get("chat"), st.query_params.get("chat")):
            return None
    format_ = links.choose_one(
        "Chat format",
        ("none", "template"),
        key="chat",
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
        longest = _whole_number(
            "Response, at most tokens",
            MOST_GENERATED,
            key="generate",
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
            return Generation(max_tokens=longest)
        seed = _whole_number("Seed of the draws", 2**53, key="seed")
    return Generation(max_tokens=longest, temperature=float(temperature), seed=seed)


def _whole_number(label: str, most: int, *, key: str, help: str | None = None) -> int:  # noqa: A002
    # A field of whole numbers ends in an error where the address has an infinite one.
    fields: dict[str, Any] = {"step": 1.0, "format": "%.0f", "bind": "query-params", "width": 200}
    return int(st.number_input(label, 0.0, float(most), key=key, help=help, **fields) or 0)


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
    return links.choose_one(
        "Rounding",
        allowed,
        key="precision",
        help="lossless: every bit. rel1e-3, rel8e-3: each value within 0.1 % or 0.8 % of itself, "
        "and files less than half or a third as large.",
    )


def ask_one(title: str, key: str, records: Sequence[Store | Executor], about: str) -> str:
    """Name of a store or an executor; asked for only where there is a choice."""
    labels = {record.name: record.label for record in records}
    if len(labels) == 1:
        return records[0].name
    said = " ".join(f"{record.label}: {record.about}." for record in records)
    # The address has the label of what is chosen.
    return links.choose_one(
        title, list(labels), key=key, format_func=labels.__getitem__, help=f"{about} {said}"
    )
