"""What stands below the charts of the analysis pages: table, export, definitions, settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from emoact import numbers
from emoact.analysis.saved import SavedAnalysis
from emoact.errors import EmoactError
from emoact.ui import analyses, configuration
from emoact.ui.boxes import error_box
from emoact.ui.chart import export_row
from emoact.ui.reading import unit_cards
from emoact.views.text import md, mono, prose

_TABLE_HEIGHT = 280


def table_and_export(
    saved: SavedAnalysis, drawn: pd.DataFrame, *, results: str, key: str, name: str, alt: str
) -> None:
    """The table of exactly what is drawn, and its ways out.

    Args:
        saved: Where it comes from.
        drawn: What the chart was made of.
        results: The results folder.
        key: Of the chart.
        name: Of the files, without an ending.
        alt: The table in one sentence.
    """
    table_only(
        drawn,
        key=key,
        name=name,
        command=analyses.command(results, saved),
        badges=saved.badges,
        alt=alt,
        images=True,
    )


def table_only(
    drawn: pd.DataFrame,
    *,
    key: str,
    name: str,
    command: str,
    badges: Sequence[str],
    alt: str,
    images: bool = False,
) -> None:
    """A table with its export; `images` where a chart of the same key stands above it."""
    floats = [column for column in drawn.columns if pd.api.types.is_float_dtype(drawn[column])]
    st.dataframe(
        drawn,
        hide_index=True,
        height=_TABLE_HEIGHT if len(drawn) > 7 else "content",
        key=f"{key}-table",
        column_config={
            column: st.column_config.NumberColumn(column, format="%.4g") for column in floats
        },
        placeholder=numbers.MISSING,
        alt=alt,
    )
    export_row(drawn, key=key, name=name, command=command, badges=badges, images=images)


def explain(definitions: Mapping[str, str]) -> None:
    """Each term with its formula, what it is measured on, and its source."""
    with st.expander("What am I looking at", icon=":material/help:"):
        st.markdown("\n".join(f"- **{term}**: {words}" for term, words in definitions.items()))


def settings(saved: SavedAnalysis, results: str) -> None:
    """How the analysis was made, the files it rests on, and what was remarked."""
    with st.expander("Settings of the analysis and of its units", icon=":material/tune:"):
        made = [
            ("analysis", saved.id),
            ("made", saved.created_at),
            ("by run", saved.run_id or numbers.MISSING),
            *((name, _plain(value)) for name, value in saved.settings.to_json().items()),
            *((f"version of {name}", value) for name, value in saved.versions.items()),
        ]
        left, right = st.columns([2, 3])
        with left:
            st.dataframe(
                pd.DataFrame(made, columns=["setting", "value"]),
                hide_index=True,
                height=_TABLE_HEIGHT,
                alt="Settings of the analysis",
            )
        with right:
            st.dataframe(
                pd.DataFrame(
                    {
                        "model": each.folder,
                        "emotion": each.emotion,
                        "hub id": each.model,
                        "size": numbers.size(each.size),
                        "SHA-256": each.sha256,
                    }
                    for each in saved.inputs
                ),
                hide_index=True,
                height=_TABLE_HEIGHT,
                alt="Files that were analysed, with their hashes",
            )
        files = {(each.folder, each.emotion) for each in saved.inputs}
        cards = [
            card
            for card in unit_cards(results)
            if card.problem is None and (card.file.folder, card.file.emotion) in files
        ]
        if cards:
            st.dataframe(
                configuration.frame(cards),
                hide_index=True,
                alt="Configuration of each of these files as it is on disk now",
            )
        for note in configuration.footnotes(cards):
            st.caption(md(note))
        for finding in saved.findings:
            st.caption(f":material/info: {md(finding.where)}: {prose(finding.message)}")


def downloads(saved: SavedAnalysis, model: str, sites: Sequence[str]) -> None:
    """The directions themselves, `[layer, d_model]` for each emotion, as safetensors."""
    with st.expander(
        "Directions as files",
        icon=":material/download:",
        key="directions-files",
        on_change="rerun",
    ) as box:
        if not box.open:
            return
        st.markdown(
            "One tensor `[layer, d_model]` for each emotion, in the model's own units and positive "
            "towards the emotion, with how it was made in the metadata. "
            f"{mono('emoact.analysis')} reads them back with {mono('directions(folder, site)')}."
        )
        with st.container(horizontal=True):
            for site in sites:
                try:
                    path = saved.directions_path(model, site)
                except EmoactError as error:
                    error_box(error, title="These directions are damaged")
                    continue
                st.download_button(
                    f"{site} ({numbers.size(path.stat().st_size)})",
                    path.read_bytes(),
                    file_name=path.name,
                    mime="application/octet-stream",
                    icon=":material/download:",
                    on_click="ignore",
                    key=f"directions-{site}",
                )


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
