"""Errors and empty states, worded and drawn the same on every page."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from emoact.errors import EmoactError
from emoact.views.text import prose

_PAGE_WORDS = {
    "pass --overwrite": 'tick "Overwrite files of another configuration"',
    "pass --truncate": 'tick "Truncate long prompts"',
    "pass --allow-nonadditive-mlp": 'tick "Allow a non-additive MLP hook"',
    "pass --allow-pickle-weights": 'tick "Allow weights stored as pickles"',
    "pass --bos none": 'choose "none" as BOS',
    "with --overwrite": 'with "Overwrite files of another configuration" ticked',
    "with --results": "by starting the dashboard with another EMOACT_RESULTS",
    "with --model": "under Models",
    "with --dataset": "as the data set",
    "with --site": "with the site",
    "(--allow-mixed)": "(with the box below)",
    "(--leave-out-nonfinite)": '(tick "Leave out prompts whose vectors are not finite")',
    "(--reference grand_mean)": '("Measured from")',
    "(--neutral)": '("Neutral class")',
    "--dtype": "the precision",
    "--device": "the device",
}


def error_box(error: EmoactError, *, title: str) -> None:
    """A box with what is wrong and where, and below it what to do next."""
    parts = [prose(error.message)]
    if error.remedy:
        parts.append(f"**Next step:** {prose(page_words(error.remedy))}")
    st.error("\n\n".join(parts), title=title, icon=":material/error:")


def page_words(remedy: str) -> str:
    """A remedy in the words of the page, where it speaks of the command line."""
    for option, words in _PAGE_WORDS.items():
        remedy = remedy.replace(option, words)
        # The same at the beginning of a sentence.
        remedy = remedy.replace(option.capitalize(), words[0].upper() + words[1:])
    return remedy


def answer(*sentences: str) -> None:
    """The answer of the page, before its evidence: one to three sentences in Markdown."""
    said = " ".join(sentence for sentence in sentences if sentence)
    if said:
        st.markdown(said)


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
