"""Table of prompts: search, filters and token counts."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from emoact import numbers
from emoact.analysis.table_files import csv_of
from emoact.models.registry import DEFAULT_MODEL
from emoact.schema import Dataset
from emoact.ui import links
from emoact.ui.boxes import download
from emoact.ui.prompt_data import Version, listed_prompts, tokenizer_files, version_of
from emoact.views.text import prose
from emoact.views.theme import emotion_order

SHOWN = 2000
"""Most rows of the table: a browser gets all of them at each change."""
_NONE = "(none)"


def show(dataset: Dataset) -> None:
    """Show the filters, the number of matching prompts, and the prompts."""
    subsets = list(dict.fromkeys(prompt.subset or _NONE for prompt in dataset.prompts))
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
        emotions = links.choose_many("Emotion", emotion_order(dataset.emotions), key="emotion")
        if len(subsets) > 1:
            parts = links.choose_many("Subset", subsets, key="subset")
        else:
            parts = []
            links.note_ignored("subset", subsets)
        counted = _ask_models()
    links.show_ignored()
    for note in dataset.notes:
        st.caption(prose(note))
    data = listed_prompts(dataset.sha256, counted, dataset)
    kept = _matching(data, query or "", emotions, parts)
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


def _ask_models() -> list[tuple[str, Version]]:
    """Installed models whose tokens are counted, each with the version of its tokenizer."""
    files = tokenizer_files()
    links.note_ignored("tokens", files)
    if not files:
        return []
    models = st.multiselect(
        "Tokens of",
        list(files),
        default=[model for model in files if model == DEFAULT_MODEL],
        key="tokens",
        bind="query-params",
        width=240,
        help="Installed models whose tokens are counted, without BOS.",
    )
    return [(model, version_of(str(files[model]))) for model in models]


def _matching(
    data: pd.DataFrame, query: str, emotions: Sequence[str], subsets: Sequence[str]
) -> pd.DataFrame:
    """Rows with these labels and all words of the query; without any, all rows."""
    kept = data
    if emotions:
        kept = kept[kept["emotion"].isin(emotions)]
    if subsets:
        kept = kept[kept["subset"].fillna(_NONE).isin(subsets)]
    searched = kept["text"] + " " + kept["id"] + " " + kept["scenario"].fillna("")
    for word in query.casefold().split():
        found = searched.str.casefold().str.contains(word, regex=False)
        kept, searched = kept[found], searched[found]
    return kept
