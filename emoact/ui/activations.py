"""The pieces of the Activations page: choices, answer, table and the settings of what is drawn."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from emoact.analysis.norms import NORM_KINDS, FirstTokenRow, NormKind, NormRow
from emoact.plots.norms import KIND_TITLES, SITE_TITLES
from emoact.plots.theme import emotion_order
from emoact.schema import SITES, Site
from emoact.ui import answers, configuration, links, numbers
from emoact.ui.boxes import answer, next_step
from emoact.ui.reading import UnitCard, unit_norms
from emoact.ui.text import md, mono

_SCALES = ("linear", "log")


@dataclass(frozen=True, kw_only=True)
class Choice:
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


def pick(cards: Sequence[UnitCard]) -> Choice | None:
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
    return Choice(
        folders=tuple(chosen),
        sites=tuple(site for site in sites if site in chosen_sites),
        kind=kind,
        log=scale == "log",
        first=first,
    )


def empty(results: str, cards: Sequence[UnitCard]) -> None:
    """What to do where there is nothing to draw."""
    if cards:
        answer(
            f"None of the {numbers.plural(len(cards), 'file')} in {mono(results)} can be read; "
            "the reasons are below."
        )
        list_problems(cards)
    else:
        answer(
            f"There are no activations in {mono(results)} yet. A run of the embedded model over "
            "the shipped prompts makes them in about a minute."
        )
    next_step("Set up an extraction", page="pages/extract.py", icon=":material/play_circle:")


def measure(cards: Sequence[UnitCard], choice: Choice) -> Norms:
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


def say(norms: Norms, choice: Choice) -> None:
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


def chart_config(choice: Choice) -> dict[str, Any]:
    """Tools of the chart: one button that saves what is seen as a vector image."""
    name = "-".join(["norms", choice.kind, *choice.folders[:2]])
    return {
        "displaylogo": False,
        "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
        "toImageButtonOptions": {"format": "svg", "filename": name[:80]},
    }


def alternative(norms: Norms, choice: Choice) -> str:
    """The chart in one sentence."""
    emotions = emotion_order(card.file.emotion for card in norms.cards)
    return (
        f"Median {KIND_TITLES[choice.kind]} by layer of {', '.join(choice.sites)} for "
        f"{', '.join(emotions)}; {', '.join(choice.folders)}; the table below holds the values"
    )


def frame(norms: Norms, choice: Choice) -> pd.DataFrame:
    """Exactly what is drawn, one row for each point."""
    shown = [row.to_row() for row in norms.rows if choice.first or row.position != "first"]
    return pd.DataFrame(shown)


def table(norms: Norms, choice: Choice) -> None:
    """The table of exactly what is drawn, with its download."""
    data = frame(norms, choice)
    figure_of = st.column_config.NumberColumn
    st.dataframe(
        data,
        hide_index=True,
        height=280,
        key="norm-table",
        column_order=[
            "model",
            "emotion",
            "site",
            "layer",
            "position",
            "median",
            "q25",
            "q75",
            "mean",
            "n",
        ],
        column_config={
            "layer": figure_of("layer", format="%d"),
            **{
                name: figure_of(name, format=f"%.{_decimals(data[name])}f")
                for name in ("median", "q25", "q75", "mean")
            },
            "n": figure_of("n", help="Prompts that have such a position."),
        },
        alt="Norms by model, emotion, site and layer, as drawn above",
    )


def _decimals(values: pd.Series) -> int:
    """Decimals that leave three significant digits to the smallest values."""
    smallest = values[values > 0].quantile(0.05) if len(values) else math.nan
    if not math.isfinite(smallest):
        return 2
    return int(min(max(2 - math.floor(math.log10(smallest)), 0), 6))


def export(norms: Norms, results: str) -> None:
    """The rows as CSV, and the command that writes them in a shell."""
    data = pd.DataFrame([row.to_row() for row in norms.rows])
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "Download CSV",
            data.to_csv(index=False),
            file_name="emoact-norms.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
        st.caption(
            f"In a shell: {mono(f'python -m emoact norms --results {results} --csv norms.csv')}"
        )


def settings(norms: Norms) -> None:
    """What the drawn files are: their configuration and how they were made."""
    with st.expander("Settings of the files shown", icon=":material/tune:"):
        st.dataframe(
            configuration.frame(norms.cards),
            hide_index=True,
            alt="Configuration of each file that is drawn",
        )


def explain(norms: Norms, choice: Choice) -> None:
    """What a point of the chart is."""
    kinds = {
        "l2": r"\sqrt{\sum_d x_d^2}",
        "l1": r"\sum_d |x_d|",
        "rms": r"\sqrt{\tfrac{1}{d}\sum_d x_d^2}",
    }
    hooks = {
        "resid_pre": "`blocks.{l}.hook_resid_pre`: the residual stream as layer *l* receives it.",
        "mlp_out": "`blocks.{l}.hook_mlp_out`: what the MLP of layer *l* adds to it.",
        "attn_out": "`blocks.{l}.hook_attn_out`: what the attention of layer *l* adds to it.",
    }
    with st.expander("What am I looking at", icon=":material/help:"):
        st.markdown("\n".join(f"- {hooks[site]}" for site in choice.sites))
        st.markdown(
            f"The {KIND_TITLES[choice.kind]} of one position is ${kinds[choice.kind]}$, in the "
            "model's own units. A prompt counts with the mean over its content positions, that is, "
            "all but the BOS; lines are medians over prompts and bands reach from the first to the "
            "third quartile. This is a mean of norms, which is not the norm of a mean. Raw norms "
            "are not comparable between models, and between layers only with care: most models "
            "write larger values the deeper they are."
        )
        for footnote in configuration.footnotes(norms.cards):
            st.caption(md(footnote))


def list_problems(cards: Sequence[UnitCard]) -> None:
    """The files that cannot be used, each with its reason."""
    refused = [card for card in cards if card.problem is not None]
    if not refused:
        return
    st.header(f"{numbers.plural(len(refused), 'file')} left out")
    st.table(
        pd.DataFrame(
            {
                "file": mono(f"{card.file.folder}/activations_{card.file.emotion}.pkl"),
                "problem": md(card.problem or ""),
                "next step": md(card.remedy or ""),
            }
            for card in refused
        ),
        hide_index=True,
        border="horizontal",
        alt="Files that were left out, with the reason",
    )
