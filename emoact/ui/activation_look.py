"""What a view of the Activations page is given, and what all of them do alike."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from emoact.schema import Site
from emoact.stats.norms.norm_tables import NormTable
from emoact.store.summaries.measures import UnitMeasures
from emoact.ui.activation_choice import ActivationChoice
from emoact.views.plots.theme import EmotionStyle, Scheme
from emoact.views.text import md


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a view is given.

    Attributes:
        choice: What the reader asked to see.
        units: Those of the chosen models, emotions in order.
        styles: One for each emotion.
        scheme: Light or dark.
        results: The results folder, for commands.
        badges: What marks every figure.
        made: One sentence for captions: models, data, configuration.
    """

    choice: ActivationChoice
    units: tuple[UnitMeasures, ...]
    styles: Mapping[str, EmotionStyle]
    scheme: Scheme
    results: str
    badges: tuple[str, ...]
    made: str

    @property
    def folder(self) -> str:
        """The model of a view that shows one."""
        return self.choice.folders[0]

    @property
    def site(self) -> Site:
        """The site of a view that shows one."""
        return self.choice.sites[0]

    def table(self, **wanted: Any) -> NormTable:
        """A table of norms of what is chosen; by position, prompt and token it has the norm."""
        return NormTable(models=self.choice.folders, **wanted)

    def norms_command(self, table: NormTable) -> str:
        """What makes the same table in a shell."""
        return self.command("norms", table.words(), "norms" if table.by == "layer" else table.by)

    def command(
        self, name: str, words: Sequence[str], file: str, *, last: Sequence[str] = ()
    ) -> str:
        """A command of emoact that reads this results folder and writes a CSV file."""
        where = ["--results", self.results, "--csv", f"{file}.csv"]
        return shlex.join(["python", "-m", "emoact", name, *words, *where, *last])


def one_site(look: Look) -> Site:
    """The site of a view that shows one; with several chosen it is the first, and said so."""
    if len(look.choice.sites) > 1:
        st.caption(
            f"This view shows one site at a time: {look.site}, the first one chosen.",
        )
    return look.site


def alike(units: Sequence[UnitMeasures]) -> list[UnitMeasures]:
    """The units of the first one's width, which alone can be laid side by side; the rest is named.

    Files of one folder differ in width only where somebody put them together by hand.
    """
    kept = [unit for unit in units if unit.d_model == units[0].d_model]
    others = [unit.emotion for unit in units if unit.d_model != units[0].d_model]
    if others:
        st.caption(f"Left out, as d_model is not {kept[0].d_model}: {', '.join(map(md, others))}.")
    return kept


def show_table(data: pd.DataFrame, alt: str, help_of: Mapping[str, str] | None = None) -> None:
    """What a chart draws, in a box that scrolls."""
    figures = {
        name: st.column_config.NumberColumn(format="%.4g")
        for name in data.select_dtypes("floating").columns
    }
    helped = {
        name: st.column_config.TextColumn(help=text) for name, text in (help_of or {}).items()
    }
    st.dataframe(data, hide_index=True, height=280, column_config={**figures, **helped}, alt=alt)
