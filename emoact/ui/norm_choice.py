"""What the reader of the Activations page asked to see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from emoact.analysis.norms import NORM_KINDS, NormKind
from emoact.plots.norms import SITE_TITLES
from emoact.schema import SITES, Site
from emoact.ui import links
from emoact.ui.reading import UnitCard

_SCALES = ("linear", "log")


@dataclass(frozen=True, kw_only=True)
class NormChoice:
    """What the reader asked to see.

    Attributes:
        folders: Models, by folder.
        sites: At least one.
        kind: Which norm.
        log: Logarithmic norms.
        first: Draw position 0 too.
    """

    folders: tuple[str, ...]
    sites: tuple[Site, ...]
    kind: NormKind
    log: bool
    first: bool


def pick_norms(cards: Sequence[UnitCard]) -> NormChoice | None:
    """The controls above the chart; None where there is nothing to choose from."""
    usable = [card for card in cards if card.problem is None]
    if not usable:
        return None
    folders = list(dict.fromkeys(card.file.folder for card in usable))
    found = {site for card in usable for site in card.sites}
    sites: list[Site] = [site for site in SITES if site in found and site in SITE_TITLES]
    sites = [site for site in sites if site != "resid_post"]
    for parameter, allowed in (
        ("model", folders),
        ("site", sites),
        ("norm", NORM_KINDS),
        ("scale", _SCALES),
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
        chosen_sites = st.pills(
            "Site",
            sites,
            selection_mode="multi",
            default=sites[:2],
            key="site",
            bind="query-params",
            help="Hook points: resid_pre is the input of a layer, mlp_out what its MLP adds.",
        )
        kind = st.segmented_control(
            "Norm",
            NORM_KINDS,
            default="l2",
            required=True,
            key="norm",
            bind="query-params",
            help="Of one position: l2 is the root of the sum of squares, l1 the sum of absolute "
            "values, rms is l2 over the root of d_model.",
        )
        scale = st.segmented_control(
            "Scale", _SCALES, default="linear", required=True, key="scale", bind="query-params"
        )
        first = st.toggle(
            "Position 0",
            key="first",
            bind="query-params",
            help="Draws the first position (the BOS, if one was prepended) in panels of its own.",
        )
    links.show_ignored()
    if not chosen or not chosen_sites:
        st.caption("Choose at least one model and one site.")
        st.stop()
    return NormChoice(
        folders=tuple(chosen),
        sites=tuple(site for site in sites if site in chosen_sites),
        kind=kind,
        log=scale == "log",
        first=first,
    )
