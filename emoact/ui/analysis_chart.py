"""What the analysis pages share: the first controls, and a chart with its words and table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from emoact import sites as known
from emoact.analysis.saved import SavedAnalysis
from emoact.ui import analyses, analysis_details, links
from emoact.ui.chart import show_chart
from emoact.ui.scheme import current_scheme


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A chart, what it is made of, and its words."""

    figure: go.Figure
    data: pd.DataFrame
    caption: str
    name: str


def sites_of(saved: SavedAnalysis) -> list[str]:
    """The sites of an analysis in the order of every page."""
    return list(known.in_order(saved.sites))


def pick_model_sites_view(
    saved: SavedAnalysis, views: Sequence[str]
) -> tuple[str, tuple[str, ...], str]:
    """One model, any of its sites (maybe none), and one of the views."""
    sites = sites_of(saved)
    model = st.selectbox("Model", saved.models, key="model", bind="query-params", width=180)
    chosen = st.pills(
        "Site",
        sites,
        selection_mode="multi",
        default=sites,
        key="site",
        bind="query-params",
        help=known.definitions(sites),
    )
    view = st.segmented_control(
        "View", views, default=views[0], required=True, key="view", bind="query-params"
    )
    return str(model), tuple(site for site in sites if site in chosen), str(view)


def note_ignored(saved: SavedAnalysis, allowed: Mapping[str, Sequence[str]]) -> None:
    """Look through the address before any control does; `model` and `site` are among them."""
    for parameter, values in {"model": saved.models, "site": sites_of(saved), **allowed}.items():
        links.note_ignored(parameter, values)
    links.prefer_one("model", saved.models[0], allowed=saved.models)


def show_drawn(
    saved: SavedAnalysis,
    drawn: Drawn,
    *,
    key: str,
    alt: str,
    results: str,
    between: Callable[[Any], None] = lambda _: None,
    **selects: Any,
) -> None:
    """The chart with its badges, and the table of what it is made of.

    Args:
        saved: Where it comes from.
        drawn: The chart.
        key: Of the chart.
        alt: The table in one sentence.
        results: The results folder.
        between: Draws what stands between chart and table, from the chart's event.
        selects: How points are selected, as `st.plotly_chart` takes it.
    """
    event = show_chart(
        drawn.figure,
        key=key,
        name=drawn.name,
        caption=f"{drawn.caption} {analyses.made_words(saved)}",
        alt=f"{drawn.caption} The table below holds the values.",
        scheme=current_scheme(),
        badges=saved.badges,
        **selects,
    )
    between(event)
    analysis_details.table_and_export(
        saved, drawn.data, results=results, key=key, name=drawn.name, alt=alt
    )
