"""Cosines of every emotion with every other at one layer, as matrices."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from emoact import sites as known
from emoact.models.registry import display_name
from emoact.numbers import two
from emoact.views import cosines
from emoact.views.analysed import LAYER, MODEL, SITES, Analysed, sites_words
from emoact.views.beside import BESIDE, of_both
from emoact.views.chart import Axis, Cells, Chart, Panel
from emoact.views.theme import emotion_order
from emoact.views.view import Choice, Shown, View

MATRICES: Mapping[str, str] = {
    "cv_cosine": "cross-validated",
    "cosine": "plain",
    "cv_zscored": "cross-validated, z-scored",
}
"""Columns of the table `distances`."""


def chart(drawn: pd.DataFrame) -> Chart:
    """A row of matrices for each site: cross-validated, plain, and z-scored."""
    labels = emotion_order([*drawn["emotion_a"], *drawn["emotion_b"]])
    names = Axis(scale="category", categories=labels)
    rows = [
        [
            Panel(
                lead=title,
                title=known.title(site),
                marks=[_cells(drawn[drawn["site"] == site], labels, column)],
                x=names,
                y=names,
            )
            for column, title in MATRICES.items()
        ]
        for site in known.in_order(drawn["site"])
    ]
    height = max(150, 46 * len(labels) + 30)
    return Chart(rows=rows, heights=[height] * len(rows), gap=0.05, unified=False)


def _cells(rows: pd.DataFrame, labels: list[str], column: str) -> Cells:
    swapped = rows.rename(columns={"emotion_a": "emotion_b", "emotion_b": "emotion_a"})
    both = pd.concat([rows, swapped], ignore_index=True)
    # Files of others may hold a pair twice.
    both = both.drop_duplicates(["emotion_a", "emotion_b"], keep="last")
    chance = both["cosine"].between(both["null_low"], both["null_high"]) & (column == "cosine")

    def grid(values: pd.Series) -> list[list[float]]:
        square = both.assign(value=values).pivot(
            index="emotion_a", columns="emotion_b", values="value"
        )
        cells = square.reindex(index=labels, columns=labels).to_numpy(dtype=float, copy=True)
        np.fill_diagonal(cells, 1.0)
        return list(cells.tolist())

    return Cells(
        values=grid(both[column].mask(chance)),
        x=labels,
        y=labels,
        title="cosine",
        diverging=True,
        low=-1,
        high=1,
        text=[[two(value) for value in row] for row in grid(both[column])],
        hover="%{y} – %{x}: %{customdata[0]:.3f}",
    )


def show(source: Analysed, choice: Choice) -> Shown:
    """Table and matrices of one layer."""
    layer = choice["layer"]
    rows = source.of_choice("distances", choice)
    drawn = cosines.table(rows[rows["layer"] == layer])
    return Shown(
        table=drawn,
        chart=chart(drawn) if len(drawn) else None,
        caption=f"Cosines between the directions of emotions at layer {layer}; "
        f"{display_name(choice['model'])}, "
        f"{sites_words(choice)}. Grey: a plain cosine inside 95 % of relabelled data, or no value.",
        name=f"cosines-layer-{layer}-{choice['model']}",
    )


MATRIX = View[Analysed](
    name="matrix",
    page="distances",
    title="Cosines between emotions at one layer",
    question="Which emotions are similar at one layer?",
    controls=(MODEL, BESIDE, SITES, LAYER),
    show=of_both(show, stacked=True),
    answer=cosines.COSINES.answer,
    terms=cosines.COSINES.terms,
    empty=cosines.EMPTY,
)
