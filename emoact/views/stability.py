"""Agreement of a direction with itself when it is made of other prompts."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from emoact.models.registry import display_name
from emoact.views.analysed import (
    MODEL,
    SITES,
    Analysed,
    by_site_and_emotion,
    sites_words,
    vector_terms,
)
from emoact.views.beside import BESIDE, of_both, said_of_both
from emoact.views.chart import Axis, Band, Chart, Dash, Key, Level, Line, Mark, of_emotion, span
from emoact.views.direction_answer import answer
from emoact.views.view import Choice, Shown, View


class _Curve(NamedTuple):
    column: str
    title: str
    dash: Dash


CURVES = (
    _Curve("split_half", "split half", "solid"),
    _Curve("leave_one_out", "one scenario left out", "dot"),
    _Curve("pairwise", "within-scenario differences", "dashdot"),
)
"""Columns of the table `stability`, in the order of the legend."""

TERMS = {
    "split half": "cosine between directions made of two disjoint halves of the scenarios, "
    "mean and 95 % over splits; reported raw, not corrected to the full sample. The grey band "
    "holds 95 % of these means when labels are swapped within scenarios.",
    "one scenario left out": "cosine with the direction made without one scenario, mean over "
    "scenarios. Noise alone reads nearly 1, too, so that it is never shown alone.",
    "within-scenario differences": "mean cosine between the differences (emotion minus "
    "reference) of two scenarios: the agreement of single examples "
    "([Braun et al. 2505.22637](https://arxiv.org/abs/2505.22637)).",
}


def chart(drawn: pd.DataFrame) -> Chart:
    """Three cosines by layer in a panel for each emotion and site."""
    y = Axis(
        title="cosine",
        range=span(
            drawn["split_half_low"],
            drawn["split_half_null_low"],
            drawn["pairwise"],
            at_least=(0.0, 1.0),
        ),
    )
    key = [
        Key(
            name=f"{curve.title}, 95 % of splits" if number == 0 else curve.title,
            kind="line",
            colour="text" if number == 0 else "muted",
            dash=curve.dash,
        )
        for number, curve in enumerate(CURVES)
    ]
    if drawn["split_half_null_low"].notna().any():
        key.append(Key(name="split half of relabelled prompts, 95 %", kind="band", colour="null"))
    return Chart(rows=by_site_and_emotion(drawn, _marks, lambda _: y), key=key)


def _marks(part: pd.DataFrame, emotion: str) -> list[Mark]:
    colour = of_emotion(emotion)
    x = part["layer"]
    return [
        Level(at=0.0),
        Band(
            x=x, low=part["split_half_null_low"], high=part["split_half_null_high"], colour="null"
        ),
        Band(x=x, low=part["split_half_low"], high=part["split_half_high"], colour=colour),
        *(
            Line(
                x=x,
                y=part[curve.column],
                colour=colour if number == 0 else "muted",
                name=curve.title,
                dash=curve.dash,
                symbol=colour if number == 0 else None,
                width=2.0 if number == 0 else 1.5,
                hover="%{y:.3f}",
            )
            for number, curve in enumerate(CURVES)
        ),
    ]


def show(source: Analysed, choice: Choice) -> Shown:
    """Table and chart."""
    drawn = source.of_choice("stability", choice).reset_index(drop=True)
    return Shown(
        table=drawn,
        chart=chart(drawn) if len(drawn) else None,
        caption="Agreement of the directions with themselves by layer; "
        f"{display_name(choice['model'])}, {sites_words(choice)}.",
        name=f"stability-{choice['model']}",
    )


STABILITY = View[Analysed](
    name="stability",
    page="directions",
    title="Stability of the directions",
    question="Is the direction the same when it is made of other scenarios?",
    controls=(MODEL, BESIDE, SITES),
    show=of_both(show),
    answer=said_of_both(answer),
    terms=lambda source, choice: {**vector_terms(source, choice), **TERMS},
    empty="There is nothing to draw: no prompt can be held out in these data.",
)
