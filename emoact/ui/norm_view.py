"""The norms that the Activations page draws, and what it says of them first."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from emoact.schema import Site
from emoact.stats.findings.finding import ActivationFinding, FindingKind
from emoact.stats.norms import norm_tables
from emoact.stats.norms.norm_tables import own_scale
from emoact.ui import answers, configuration
from emoact.ui.activation_choice import ActivationChoice
from emoact.ui.boxes import answer
from emoact.ui.reading import UnitCard, measures, unit_norms
from emoact.views.plots.norms import KIND_TITLES
from emoact.views.plots.theme import emotion_order
from emoact.views.text import md


@dataclass(frozen=True, kw_only=True)
class Norms:
    """What is drawn.

    Attributes:
        cards: The files, emotions in order within each model.
        rows: `model` is the folder, which tells two configurations of one model apart.
        ratios: Position 0 over the rest.
    """

    cards: tuple[UnitCard, ...]
    rows: pd.DataFrame
    ratios: pd.DataFrame


def measure(cards: Sequence[UnitCard], choice: ActivationChoice) -> Norms:
    """The norms of the chosen models and sites, each file measured once."""
    chosen = [card for card in cards if card.problem is None and card.file.folder in choice.folders]
    order = emotion_order(card.file.emotion for card in chosen)
    chosen.sort(
        key=lambda card: (choice.folders.index(card.file.folder), order.index(card.file.emotion))
    )
    found = [
        unit_norms(card.file, site, choice.kind)
        for card in chosen
        for site in choice.sites
        if site in card.sites
    ]
    rows, ratios = (pd.concat(frames, ignore_index=True) for frames in zip(*found, strict=True))
    return Norms(cards=tuple(chosen), rows=rows, ratios=ratios)


def say(norms: Norms, choice: ActivationChoice, found: Sequence[ActivationFinding]) -> None:
    """The answer, model by model, and whatever makes the drawn files hard to compare."""
    for folder in choice.folders:
        own = [card for card in norms.cards if card.file.folder == folder]
        site = choice.sites[0]
        ratios, content = (
            table[(table["model"] == folder) & (table["site"] == site)]
            for table in (norms.ratios, norms.rows[norms.rows["position"] == "content"])
        )
        starts = {card.content_start for card in own}
        sink = _of(found, "first_token_sink", folder, site)
        if sink is not None:
            # The finding speaks of all classes together; the page must not name two figures.
            ratios = ratios[:1].assign(ratio=sink.figures["ratio"], layer=sink.figures["layer"])
        massive = _of(found, "massive_tokens", folder, site)
        answer(
            f"**{md(folder)}:**" if len(choice.folders) > 1 else "",
            answers.massive_sentence(massive),
            # Files with and without a BOS have no position 0 in common; a warning names the field.
            answers.sink_sentence(ratios, content_start=starts.pop()) if len(starts) == 1 else "",
            "" if massive else answers.course_sentence(content),
            answers.spread_sentence(content, without=massive.layers if massive else ()),
        )
    for warning in (answers.broken_sentence(norms.rows), *configuration.warnings(norms.cards)):
        if warning:
            st.warning(warning, icon=":material/warning:")


def _of(
    found: Sequence[ActivationFinding], kind: FindingKind, folder: str, site: Site
) -> ActivationFinding | None:
    return next((f for f in found if (f.kind, f.model, f.site) == (kind, folder, site)), None)


def relative(norms: Norms, choice: ActivationChoice) -> Norms:
    """The same in units of each model's own scale, whichever of its sites are drawn."""
    scales = {
        folder: own_scale(
            [measures(card.file) for card in norms.cards if card.file.folder == folder], choice.kind
        )
        for folder in choice.folders
    }
    return dataclasses.replace(norms, rows=norm_tables.relative(norms.rows, scales))


def caption(choice: ActivationChoice, made: str) -> str:
    """What the chart shows, for a reader who has only the image."""
    where = "position 0 in panels of its own" if choice.first else "position 0 left out"
    units = " divided by the model's median residual norm" if choice.relative else ""
    return (
        f"Median {KIND_TITLES[choice.kind]}{units} by layer over the mean of each prompt's content "
        f"positions ({where}); bands reach from the first to the third quartile of prompts. {made}"
    )


def alternative(norms: Norms, choice: ActivationChoice) -> str:
    """The chart in one sentence."""
    emotions = emotion_order(card.file.emotion for card in norms.cards)
    return (
        f"Median {KIND_TITLES[choice.kind]} by layer of {', '.join(choice.sites)} for "
        f"{', '.join(emotions)}; {', '.join(choice.folders)}; the table below holds the values"
    )
