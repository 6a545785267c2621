"""What the reader of the Activations page asked to see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import streamlit as st

from emoact import sites as known
from emoact.positions import NORM_KINDS, NormKind
from emoact.schema import Site
from emoact.ui import links
from emoact.ui.reading import UnitCard

View = Literal["norms", "heatmap", "distribution", "dimensions", "growth", "prompt", "sentence"]
Units = Literal["raw", "relative"]

VIEWS: tuple[View, ...] = get_args(View)
_SCALES = ("linear", "log")
_UNITS: tuple[Units, ...] = get_args(Units)
_ONE_MODEL = ("heatmap", "distribution", "dimensions", "prompt", "sentence")


@dataclass(frozen=True, kw_only=True)
class ActivationChoice:
    """What the reader asked to see.

    Attributes:
        view: Which of the views.
        folders: Models, by folder; one where a view shows one.
        sites: At least one.
        kind: Which norm.
        log: Logarithmic norms.
        first: Draw position 0 too.
        relative: Divide by the model's own scale.
    """

    view: View
    folders: tuple[str, ...]
    sites: tuple[Site, ...]
    kind: NormKind
    log: bool
    first: bool
    relative: bool


def pick_view() -> View:
    """The control that chooses among the views."""
    links.note_ignored("view", VIEWS)
    view: View = st.segmented_control(
        "View",
        VIEWS,
        default="norms",
        required=True,
        key="view",
        bind="query-params",
        label_visibility="collapsed",
    )
    return view


def pick_activations(cards: Sequence[UnitCard], view: View) -> ActivationChoice:
    """The controls above the chart; ends the page where nothing is chosen.

    Args:
        cards: At least one of them of a file that can be read.
        view: The chosen view, which decides what there is to choose.
    """
    usable = [card for card in cards if card.problem is None]
    folders = list(dict.fromkeys(card.file.folder for card in usable))
    found = {site for card in usable for site in card.sites}
    # Views show sites by layer; one that is read after the last layer only has no line there.
    sites = [name for name in known.in_order(found) if known.site(name).layers == "all"]
    for parameter, allowed in (
        ("model", folders),
        ("site", sites),
        ("norm", NORM_KINDS),
        ("scale", _SCALES),
        ("units", _UNITS),
        ("first", ("true", "false")),
    ):
        links.note_ignored(parameter, allowed)
    links.prefer("model", folders[:1], allowed=folders)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        chosen = st.multiselect(
            "Model",
            folders,
            key="model",
            bind="query-params",
            width=280,
            help="Folders under activations; each has one file for each emotion.",
        )
        chosen_sites: list[Site] = sites[:2]
        if view != "growth":
            chosen_sites = st.pills(
                "Site",
                sites,
                selection_mode="multi",
                default=sites[:2],
                key="site",
                bind="query-params",
                help=f"Hook points. {known.definitions(sites)}",
            )
        kind: NormKind = "l2"
        if view in ("norms", "heatmap", "distribution", "prompt", "sentence"):
            kind = st.segmented_control(
                "Norm",
                NORM_KINDS,
                default="l2",
                required=True,
                key="norm",
                bind="query-params",
                help="Of one position: l2 is the root of the sum of squares, l1 the sum of "
                "absolute values, rms is l2 over the root of d_model.",
            )
        scale = "linear"
        if view in ("norms", "heatmap", "distribution", "prompt"):
            scale = st.segmented_control(
                "Scale", _SCALES, default="linear", required=True, key="scale", bind="query-params"
            )
        units, first = "raw", False
        if view == "norms":
            units = st.segmented_control(
                "Units",
                _UNITS,
                default="raw",
                required=True,
                key="units",
                bind="query-params",
                help="relative divides by the model's own scale, the median residual norm of its "
                "content over all layers, so that models can be laid side by side.",
            )
        if view in ("norms", "heatmap", "prompt"):
            first = st.toggle(
                "Position 0",
                key="first",
                bind="query-params",
                help="Draws the first position (the BOS, if one was prepended) as well.",
            )
    links.show_ignored()
    if not chosen or not chosen_sites:
        st.caption("Choose at least one model and one site.")
        st.stop()
    if view in _ONE_MODEL and len(chosen) > 1:
        st.caption(f"This view shows one model at a time: {chosen[0]}, the first one chosen.")
        chosen = chosen[:1]
    return ActivationChoice(
        view=view,
        folders=tuple(chosen),
        sites=tuple(site for site in sites if site in chosen_sites),
        kind=kind,
        log=scale == "log",
        first=first,
        relative=units == "relative",
    )


def pick_layer(n_layers: int, *, default: int | None = None) -> int:
    """A slider over the layers; a layer of the address that the model lacks is ignored."""
    links.note_ignored("layer", [str(layer) for layer in range(n_layers)])
    kept = st.session_state.get("layer")
    if kept is not None and not 0 <= int(kept) < n_layers:
        del st.session_state["layer"]
    if n_layers < 2:
        return 0
    value: int = st.slider(
        "Layer",
        0,
        n_layers - 1,
        value=n_layers // 2 if default is None else default,
        key="layer",
        bind="query-params",
        width=340,
    )
    return value


def pick_one(label: str, options: Sequence[str], *, key: str, width: int = 220) -> str:
    """A select box whose value stands in the address; an unknown one is ignored."""
    links.note_ignored(key, options)
    if st.session_state.get(key) not in (None, *options):
        del st.session_state[key]
    value: str = st.selectbox(label, options, key=key, bind="query-params", width=width)
    return value
