"""Strength of the directions by layer, with the band that relabelled data give."""

from __future__ import annotations

import math

import pandas as pd

from emoact import sites as known
from emoact.measures import Measure
from emoact.models.registry import display_name
from emoact.numbers import plural
from emoact.stats import catalogue
from emoact.views.analysed import (
    MODEL,
    SITES,
    Analysed,
    by_site_and_emotion,
    measure_help,
    sites_words,
    vector_terms,
)
from emoact.views.beside import BESIDE, of_both, said_of_both
from emoact.views.chart import Axis, Band, Chart, Key, Level, Line, Mark, of_emotion, span
from emoact.views.direction_answer import answer
from emoact.views.view import Choice, Control, Shown, View

DEFAULT = "cv_relative"
_NULL = ("null_low", "null_high")

TERMS = {
    "cv": r"cross-validated strength, $\mathrm{sign}(S)\sqrt{|S|}$ with $S$ the mean over "
    r"disjoint halves of $d^{(1)}\!\cdot d^{(2)}$; halves split scenarios alike in all "
    "classes. $S$ is unbiased, unlike the square of a plain norm, and may be negative. "
    "The band is a 95 % interval over scenarios (Walther et al. 2016).",
    "cv_relative": "the same divided by the layer's median norm. Norms change with depth, so raw "
    "strengths cannot be compared across layers.",
    "l1, l2": r"plain norms $\sum_i|d_i|$ and $\sqrt{\sum_i d_i^2}$. Biased upward: "
    r"$E\|\hat d\|^2 = \|d\|^2 + \mathrm{tr}\,\Sigma_e/n_e + \mathrm{tr}\,\Sigma_n/n_n$, so that "
    "classes that do not differ still have a norm. `relative` is l2 divided by the median norm.",
    "d_prime, auroc": "separation of held-out projections onto a direction made of other "
    "scenarios, with 95 % intervals for other scenarios. 0 and 0.5 mean no separation.",
    "length_corr": "Spearman correlation of a prompt's number of tokens and its held-out "
    "projection. A direction that follows length may be about length and not about emotion.",
    "null band": "95 % of the same figure when the labels of emotion and reference are swapped "
    "at random within scenarios.",
    "cv_normalised": "the cross-validated strength with every dimension divided by the standard "
    "deviation of its noise, what classes and scenarios leave, so that no large dimension "
    "dominates (Walther et al. 2016).",
    "significant": "a filled marker: this layer of this emotion is significant, with at most a 5 % "
    "chance of any false marker over all layers, sites, emotions and models. The p-value is that "
    "of the maximum over layers and sites, times the number of emotions and models. The test "
    "divides every dimension by its noise, as cv_normalised does: where few dimensions carry the "
    "norm, a filled marker may lie inside the grey band of another measure.",
}


def table(rows: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    """One row for each (emotion, site, layer), in the unit of the measure."""
    scale = rows[measure.per] if measure.per else 1.0
    drawn = rows[["model", "emotion", "site", "layer"]].assign(value=rows[measure.name])
    for bounds, columns in ((("low", "high"), measure.interval), (_NULL, measure.null)):
        for name, column in zip(bounds, columns or (None, None), strict=True):
            drawn[name] = math.nan if column is None else rows[column] / scale
    known = rows[["p_strong", "significant", "length_corr"]]
    return pd.concat([drawn, known], axis=1).reset_index(drop=True)


def chart(drawn: pd.DataFrame, measure: Measure) -> Chart:
    """A row of panels for each site, a panel for each emotion; filled markers are significant."""
    chance = (measure.chance,) * 2 if measure.chance is not None else None
    zero = 0.0 if measure.null else measure.chance

    def marks(part: pd.DataFrame, emotion: str) -> list[Mark]:
        x, colour = part["layer"], of_emotion(emotion)
        return [
            Band(x=x, low=part["null_low"], high=part["null_high"], colour="null"),
            *([] if zero is None else [Level(at=zero)]),
            Band(x=x, low=part["low"], high=part["high"], colour=colour),
            Line(
                x=x,
                y=part["value"],
                colour=colour,
                name=emotion,
                dash=known.site(part["site"].iloc[0]).dash,
                symbol=colour,
                filled=part["significant"].tolist(),
                data=part[["low", "high", *_NULL, "p_strong"]].to_numpy().tolist(),
                hover=_hover(measure),
            ),
        ]

    def axis(own: pd.DataFrame) -> Axis:
        reach = span(*(own[name] for name in ("value", "low", "high", *_NULL)), at_least=chance)
        return Axis(title=measure.axis_title, format=",.3~r", range=reach)

    return Chart(rows=by_site_and_emotion(drawn, marks, axis), key=_key(measure))


def _hover(measure: Measure) -> str:
    parts = ["%{y:,.3~r}"]
    if measure.interval:
        parts.append("(95 % %{customdata[0]:,.3~r} to %{customdata[1]:,.3~r})")
    if measure.null:
        parts.append("null %{customdata[2]:,.3~r} to %{customdata[3]:,.3~r},")
    return " ".join([*parts, "p over all layers %{customdata[4]:.3~g}"])


def _key(measure: Measure) -> list[Key]:
    key = [
        Key(name="significant at this layer", kind="marker", symbol="circle"),
        Key(name="not significant at this layer", kind="marker", symbol="circle-open"),
    ]
    if measure.interval:
        key.append(Key(name="95 % interval", kind="band", colour="accent"))
    if measure.null:
        key.append(Key(name="95 % of relabelled data", kind="band", colour="null"))
    elif measure.chance is not None:
        key.append(Key(name=measure.no_effect, kind="line", colour="muted", dash="dot"))
    return key


def options(source: Analysed, _: Choice) -> list[str]:
    """Labelled measures that the analysis has."""
    rows, saved = source.read("strength"), source.saved
    return [
        each.name
        for each in catalogue.labelled("strength")
        if rows[each.name].notna().any() or each.name not in saved.missing("strength")
    ]


def show(source: Analysed, choice: Choice) -> Shown:
    """Table and chart of one measure."""
    measure = catalogue.measure("strength", choice["measure"])
    drawn = table(source.of_choice("strength", choice), measure)
    figure = (
        "Correlation of held-out projections with prompt length by layer"
        if measure.name == "length_corr"
        else f"Strength of the directions by layer ({measure.label})"
    )
    return Shown(
        table=drawn,
        chart=chart(drawn, measure) if len(drawn) else None,
        caption=f"{figure}; {display_name(choice['model'])}, {sites_words(choice)}."
        + _inside_sentence(drawn),
        name=f"strength-{measure.name}-{choice['model']}",
    )


def _inside_sentence(drawn: pd.DataFrame) -> str:
    """Meaning of filled markers inside the grey band; empty where there is none."""
    inside = drawn["value"].between(drawn["null_low"], drawn["null_high"])
    n = int((inside & drawn["significant"].astype(bool)).sum())
    if not n:
        return ""
    return (
        f" {plural(n, 'filled marker lies', 'filled markers lie')} inside the grey band: the test "
        "divides every dimension by its noise, and this measure does not."
    )


STRENGTH = View[Analysed](
    name="strength",
    page="directions",
    title="Strength of the directions",
    question="At which layers does each emotion lie away from the reference, and by how much?",
    controls=(
        MODEL,
        BESIDE,
        SITES,
        Control(
            name="measure",
            label="Measure",
            kind="select",
            options=options,
            default=lambda source, choice: (
                DEFAULT if DEFAULT in options(source, choice) else options(source, choice)[0]
            ),
            help=lambda _: measure_help(catalogue.labelled("strength")),
            width=150,
        ),
    ),
    show=of_both(show),
    answer=said_of_both(answer),
    terms=lambda source, choice: {**vector_terms(source, choice), **TERMS},
    empty="There is nothing to draw: no emotion has a strength in these data.",
    in_report=lambda source: [
        {"model": model, "site": source.sites, "measure": "cv"} for model in source.saved.models
    ],
)
