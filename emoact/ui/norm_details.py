"""What stands below the chart of the Activations page: table, export, settings, explanation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import streamlit as st

from emoact import numbers, sites
from emoact.ui import configuration
from emoact.ui.activation_choice import ActivationChoice
from emoact.ui.activation_look import Look
from emoact.ui.boxes import answer, next_step
from emoact.ui.chart import export_row
from emoact.ui.norm_view import Norms
from emoact.ui.reading import UnitCard
from emoact.views.plots.norms import KIND_TITLES
from emoact.views.text import md, mono

_VIEW_WORDS = {
    "norms": "*relative* divides by the model's own scale: the median over layers of its median "
    "residual norm. *Position 0* has panels of its own: it may be hundreds of times larger.",
    "heatmap": "Each cell is the median over the prompts that have such a position; the last "
    "positions rest on few prompts, and the hover says on how many.",
    "distribution": "Each point is one prompt, or one token. A box reaches from the first to the "
    "third quartile, its whiskers to 1.5 times that. Far points are outliers or massive tokens.",
    "dimensions": "Each point is the median magnitude of one dimension over content tokens; a "
    "median, so that a few massive tokens do not count. From ten times the median dimension one is "
    "called rogue (Timkey & van Schijndel 2021): it counts in a dot product as a hundred do.",
    "growth": r"Growth factor: mean content norm at layer *l + 1* over that at layer *l*. With "
    r"$\Delta = \mathrm{resid}_{l+1} - \mathrm{resid}_l$, the MLP's share is "
    r"$\mathrm{mlp}\cdot\Delta / \Delta\cdot\Delta$; attention makes the rest, so that a share "
    "above 1 means that the two pull in opposite directions.",
    "prompt": "Every token of one prompt by layer; position 0 only where it is asked for, because "
    "a sink there leaves one colour to all others. A few tokens that are many times larger are "
    "massive activations (Sun et al. 2024), on the first token a sink (Xiao et al. 2023).",
    "sentence": "The sentence goes through the same model with the same settings as the saved "
    "files, in a process of its own that keeps the model for some minutes. The distance to a class "
    "is the root mean square over dimensions of (sentence − class mean) / spread within classes: "
    "diagonal linear discriminant analysis. It says which class's prompts look most alike to the "
    "model at that layer, which may be due to words or length as well as to emotion.",
}


def table(norms: Norms, choice: ActivationChoice) -> None:
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


def export(norms: Norms, choice: ActivationChoice, look: Look) -> None:
    """What is drawn as CSV, SVG and PNG, and the command that writes the table in a shell."""
    table = look.table(
        norm=choice.kind,
        relative=choice.relative,
        sites=tuple(s for s in choice.sites if any(s in unit.sites for unit in look.units)),
        content=not choice.first,
    )
    export_row(
        frame(norms, choice),
        key="norms",
        name="-".join(["norms", choice.kind, *choice.folders[:2]]),
        command=look.norms_command(table),
        badges=look.badges,
    )


def settings(cards: Sequence[UnitCard]) -> None:
    """What the drawn files are: their configuration and how they were made."""
    with st.expander("Settings of the files shown", icon=":material/tune:"):
        st.dataframe(
            configuration.frame(cards),
            hide_index=True,
            alt="Configuration of each file that is drawn",
        )


def explain(cards: Sequence[UnitCard], choice: ActivationChoice) -> None:
    """What a point of the chart is."""
    kinds = {
        "l2": r"\sqrt{\sum_d x_d^2}",
        "l1": r"\sum_d |x_d|",
        "rms": r"\sqrt{\tfrac{1}{d}\sum_d x_d^2}",
    }
    with st.expander("What am I looking at", icon=":material/help:"):
        st.markdown("\n".join(f"- {sites.site(site).explained()}." for site in choice.sites))
        st.markdown(
            f"The {KIND_TITLES[choice.kind]} of one position is ${kinds[choice.kind]}$, in the "
            "model's own units. A prompt counts with the mean over its content positions, that is, "
            "all but the BOS; lines are medians over prompts and bands reach from the first to the "
            "third quartile. This is a mean of norms, which is not the norm of a mean. Raw norms "
            "are not comparable between models, and between layers only with care: most models "
            "write larger values the deeper they are."
        )
        if choice.view in _VIEW_WORDS:
            st.markdown(_VIEW_WORDS[choice.view])
        for footnote in configuration.footnotes(cards):
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
                "file": mono(f"{card.file.folder}/{Path(card.file.path).name}"),
                "problem": md(card.problem or ""),
                "next step": md(card.remedy or ""),
            }
            for card in refused
        ),
        hide_index=True,
        border="horizontal",
        alt="Files that were left out, with the reason",
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


def frame(norms: Norms, choice: ActivationChoice) -> pd.DataFrame:
    """Exactly what is drawn, one row for each point."""
    rows = norms.rows
    return rows if choice.first else rows[rows["position"] != "first"]


def _decimals(values: pd.Series) -> int:
    """Decimals that leave three significant digits to the smallest values."""
    smallest = values[values > 0].quantile(0.05) if len(values) else math.nan
    if not math.isfinite(smallest):
        return 2
    return int(min(max(2 - math.floor(math.log10(smallest)), 0), 6))
