"""Table of prompts: search, filters and token counts."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from emoact import numbers
from emoact.analysis.table_files import csv_of
from emoact.models.registry import DEFAULT_MODEL
from emoact.schema import Dataset
from emoact.ui import links
from emoact.ui.boxes import download
from emoact.ui.prompt_data import listed_prompts, tokenizer_files, version_of
from emoact.views.text import prose
from emoact.views.theme import emotion_order

SHOWN = 2000
"""Most rows of the table: a browser gets all of them at each change."""
_NONE = "(none)"


@dataclass(frozen=True, kw_only=True)
class PromptChoice:
    """Filters of the table, empty for all, and models to count for; all words of `query` occur."""

    query: str
    emotions: tuple[str, ...]
    subsets: tuple[str, ...]
    models: tuple[str, ...]


def pick(dataset: Dataset) -> PromptChoice:
    """Show the controls above the table, and return their values."""
    emotions = emotion_order(dataset.emotions)
    subsets = list(dict.fromkeys(prompt.subset or _NONE for prompt in dataset.prompts))
    models = list(tokenizer_files())
    for parameter, allowed in (("emotion", emotions), ("subset", subsets), ("tokens", models)):
        links.note_ignored(parameter, allowed)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        query = st.text_input(
            "Search",
            key="q",
            bind="query-params",
            width=260,
            icon=":material/search:",
            placeholder="Words of the text, or an id",
            help="Prompts with all of these words in text, id or scenario.",
        )
        chosen = st.pills(
            "Emotion", emotions, selection_mode="multi", key="emotion", bind="query-params"
        )
        parts = (
            st.pills("Subset", subsets, selection_mode="multi", key="subset", bind="query-params")
            if len(subsets) > 1
            else []
        )
        counted = (
            st.multiselect(
                "Tokens of",
                models,
                default=[model for model in models if model == DEFAULT_MODEL],
                key="tokens",
                bind="query-params",
                width=240,
                help="Installed models whose tokens are counted, without BOS.",
            )
            if models
            else []
        )
    return PromptChoice(
        query=query or "", emotions=tuple(chosen), subsets=tuple(parts), models=tuple(counted)
    )


def matching(data: pd.DataFrame, choice: PromptChoice) -> pd.DataFrame:
    """Rows that match the filters."""
    kept = data
    if choice.emotions:
        kept = kept[kept["emotion"].isin(choice.emotions)]
    if choice.subsets:
        kept = kept[kept["subset"].fillna(_NONE).isin(choice.subsets)]
    if not choice.query.strip():
        return kept
    searched = kept["text"] + " " + kept["id"] + " " + kept["scenario"].fillna("")
    for word in choice.query.casefold().split():
        found = searched.str.casefold().str.contains(word, regex=False)
        kept, searched = kept[found], searched[found]
    return kept


def show(dataset: Dataset, choice: PromptChoice) -> None:
    """Show the number of matching prompts, and the prompts."""
    for note in dataset.notes:
        st.caption(prose(note))
    files = tokenizer_files()
    counted = [(model, version_of(str(files[model]))) for model in choice.models if model in files]
    data = listed_prompts(dataset.sha256, counted, dataset)
    kept = matching(data, choice)
    st.caption(
        f"{numbers.plural(len(kept), 'prompt')}"
        + (f" of {len(data):,}" if len(kept) != len(data) else "")
        + (f"; the first {SHOWN:,} are shown, the CSV file has all" if len(kept) > SHOWN else "")
    )
    empty = [name for name in ("subset", "scenario") if data[name].isna().all()]
    st.dataframe(
        kept[:SHOWN].drop(columns=empty),
        hide_index=True,
        height=420,
        key="prompt-table",
        column_config={
            "text": st.column_config.TextColumn(width=520),
            **{
                f"tokens {model}": st.column_config.NumberColumn(
                    format="%d", help=f"Tokens of {model}, without BOS."
                )
                for model, _ in counted
            },
        },
        placeholder=numbers.MISSING,
        alt="Prompts with label, scenario and lengths",
    )
    download("Download CSV", lambda: csv_of(kept, ()), name="emoact-prompts.csv", mime="text/csv")
