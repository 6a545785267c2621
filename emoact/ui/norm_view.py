"""The norms that the Activations page draws, and what it says of them first."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from emoact.analysis.norms import FirstTokenRow, NormRow
from emoact.plots.norms import KIND_TITLES
from emoact.plots.theme import emotion_order
from emoact.ui import answers, configuration
from emoact.ui.boxes import answer
from emoact.ui.norm_choice import NormChoice
from emoact.ui.reading import UnitCard, unit_norms
from emoact.ui.text import md


@dataclass(frozen=True, kw_only=True)
class Norms:
    """What is drawn.

    Attributes:
        cards: The files, emotions in order within each model.
        rows: `model` is the folder, which tells two configurations of one model apart.
        ratios: Position 0 over the rest.
    """

    cards: tuple[UnitCard, ...]
    rows: tuple[NormRow, ...]
    ratios: tuple[FirstTokenRow, ...]


def measure(cards: Sequence[UnitCard], choice: NormChoice) -> Norms:
    """The norms of the chosen models and sites, each file measured once."""
    chosen = [card for card in cards if card.problem is None and card.file.folder in choice.folders]
    order = emotion_order(card.file.emotion for card in chosen)
    chosen.sort(
        key=lambda card: (choice.folders.index(card.file.folder), order.index(card.file.emotion))
    )
    rows: list[NormRow] = []
    ratios: list[FirstTokenRow] = []
    for card in chosen:
        for site in choice.sites:
            if site not in card.sites:
                continue
            measured = unit_norms(card.file, site, choice.kind)
            folder, emotion = card.file.folder, card.file.emotion
            rows += [
                dataclasses.replace(row, model=folder, emotion=emotion) for row in measured.rows
            ]
            ratios += [
                dataclasses.replace(row, model=folder, emotion=emotion) for row in measured.ratios
            ]
    return Norms(cards=tuple(chosen), rows=tuple(rows), ratios=tuple(ratios))


def say(norms: Norms, choice: NormChoice) -> None:
    """The answer, model by model, and whatever makes the drawn files hard to compare."""
    for folder in choice.folders:
        own = [card for card in norms.cards if card.file.folder == folder]
        site = choice.sites[0]
        ratios = [row for row in norms.ratios if (row.model, row.site) == (folder, site)]
        content = [
            row
            for row in norms.rows
            if (row.model, row.site, row.position) == (folder, site, "content")
        ]
        starts = {card.content_start for card in own}
        answer(
            f"**{md(folder)}:**" if len(choice.folders) > 1 else "",
            # Files with and without a BOS have no position 0 in common; a warning names the field.
            answers.sink_sentence(ratios, content_start=starts.pop()) if len(starts) == 1 else "",
            answers.course_sentence(content),
            answers.spread_sentence(content),
        )
    for warning in (answers.broken_sentence(norms.rows), *configuration.warnings(norms.cards)):
        if warning:
            st.warning(warning, icon=":material/warning:")


def chart_config(choice: NormChoice) -> dict[str, Any]:
    """Tools of the chart: one button that saves what is seen as a vector image."""
    name = "-".join(["norms", choice.kind, *choice.folders[:2]])
    return {
        "displaylogo": False,
        "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
        "toImageButtonOptions": {"format": "svg", "filename": name[:80]},
    }


def alternative(norms: Norms, choice: NormChoice) -> str:
    """The chart in one sentence."""
    emotions = emotion_order(card.file.emotion for card in norms.cards)
    return (
        f"Median {KIND_TITLES[choice.kind]} by layer of {', '.join(choice.sites)} for "
        f"{', '.join(emotions)}; {', '.join(choice.folders)}; the table below holds the values"
    )
