"""Which data set the Prompts page shows."""

from __future__ import annotations

import streamlit as st

from emoact.store.imported import kept_datasets
from emoact.store.layout import ResultsRoot
from emoact.ui.extract_form import DEFAULT_DATASET
from emoact.ui.prompt_import import DATASET


def pick_dataset(results: str) -> str:
    """The path that was chosen: the shipped file, one that was imported, or one that was typed."""
    options = [DEFAULT_DATASET, *map(str, kept_datasets(ResultsRoot(results)))]
    chosen = st.selectbox(
        "Data set",
        options,
        key=DATASET,
        bind="query-params",
        accept_new_options=True,
        width=460,
        help="The shipped prompts, those that were imported into this results folder, or the path "
        "of a file.",
    )
    return chosen or DEFAULT_DATASET
