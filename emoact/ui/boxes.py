"""Errors and empty states, worded and drawn the same on every page."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from emoact.errors import EmoactError
from emoact.ui.text import prose


def error_box(error: EmoactError, *, title: str) -> None:
    """A box with what is wrong and where, and below it what to do next."""
    parts = [prose(error.message)]
    if error.remedy:
        parts.append(f"**Next step:** {prose(error.remedy)}")
    st.error("\n\n".join(parts), title=title, icon=":material/error:")


def answer(*sentences: str) -> None:
    """The answer of the page, before its evidence: one to three sentences in Markdown."""
    st.markdown(" ".join(sentence for sentence in sentences if sentence))


def next_step(
    label: str,
    *,
    page: str,
    icon: str,
    parameters: Mapping[str, str | list[str]] | None = None,
    primary: bool = True,
) -> None:
    """A button that leads to another page."""
    if st.button(label, icon=icon, type="primary" if primary else "secondary"):
        st.switch_page(page, query_params=dict(parameters or {}))
