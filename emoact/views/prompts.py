"""Prompts as points on principal axes, in two or three dimensions."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from emoact import sites as known
from emoact.models.registry import display_name
from emoact.numbers import plural, significant
from emoact.stats.distances.geometry import MAX_POINTS
from emoact.views.analysed import LAYER, MODEL, SITES, Analysed, of, site_words, vector_terms
from emoact.views.beside import BESIDE, of_both, said_of_both
from emoact.views.chart import Axis, Chart, Key, Line, Mark, Panel, Points, of_emotion, span
from emoact.views.text import listed, md
from emoact.views.theme import emotion_order, plain
from emoact.views.view import Choice, Control, Link, Shown, View

BASES: Mapping[str, str] = {"fixed": "one for all layers", "per_layer": "each layer's own"}
TERMS = {
    "fixed basis": "principal axes of all layers together, each layer centred and scaled to "
    "the same total variance first; coordinates are shares of the layer's own spread.",
    "per layer": "each layer's own principal axes, in the model's own units.",
    "explained variance": "share of the variance of this layer that an axis holds. Principal "
    "axes follow variance and not emotion: a strong direction may not be visible here.",
}
_COMPONENTS = ("pc1", "pc2", "pc3")
_HEIGHT = 460
_FAR = 3.0
"""Interquartile ranges beyond the quartiles after which a prompt does not set the axes."""
_CORNERS = 49
_HOVER_WIDTH = 56


def table(
    points: pd.DataFrame, texts: Mapping[tuple[str, str], str], *, layer: int, basis: str
) -> pd.DataFrame:
    """One row for each (site, prompt) at one layer, with the text of the prompt.

    Prompts without a text are shown by their id.
    """
    here = of(points, layer=layer, basis=basis)
    keys = zip(here["emotion"], here["prompt_id"], strict=True)
    return here.assign(text=[texts.get(key, "") for key in keys]).reset_index(drop=True)


def chart(drawn: pd.DataFrame, axes: pd.DataFrame, fitted: pd.DataFrame, *, solid: bool) -> Chart:
    """A panel for each site; hovering a point shows its prompt, as text and not as markup.

    The axes show the range of the rows `fitted` of the table `points`.
    """
    sites = known.in_order(drawn["site"])
    panels = []
    for site in sites:
        shares = {
            f"pc{axis + 1}": float(share)
            for axis, share in of(axes, site=site)[["axis", "explained"]].itertuples(index=False)
        }
        x, y, z = (
            Axis(
                title=_title(name, shares.get(name), solid),
                range=_range(of(fitted, site=site)[name], robust=not solid),
            )
            for name in _COMPONENTS
        )
        own = drawn[drawn["site"] == site]
        panels.append(
            Panel(
                lead=known.title(site),
                marks=[
                    *(_points(own, emotion, solid) for emotion in emotion_order(own["emotion"])),
                    *([] if solid else _classes(own, x.range, y.range)),
                ],
                x=x,
                y=y,
                z=z if solid else None,
            )
        )
    return Chart(
        rows=[panels],
        heights=[] if solid else [_HEIGHT],
        share_y=False,
        gap=0.09,
        unified=False,
        key=[]
        if solid
        else [
            Key(name="class mean", kind="marker", symbol="cross-open"),
            Key(name="ellipse: half of a class, if normal", kind="line"),
        ],
    )


def _range(values: pd.Series, *, robust: bool) -> tuple[float, float]:
    """Range of an axis; a robust one leaves out prompts far beyond the quartiles."""
    if not robust:
        return span(values)
    low, high = values.quantile(0.25), values.quantile(0.75)
    reach = _FAR * (high - low)
    return span(values[values.between(low - reach, high + reach)])


def _classes(rows: pd.DataFrame, *ranges: tuple[float, float] | None) -> list[Mark]:
    """Mean of each class, and the ellipse that holds half of a normal distribution like it.

    Of the prompts within the axes, as those outside would make an ellipse of nothing but them.
    """
    inside = pd.Series(data=True, index=rows.index)
    for name, ends in zip(_COMPONENTS, ranges, strict=False):
        inside &= rows[name].between(*(ends or (-math.inf, math.inf)))
    marks: list[Mark] = []
    for emotion in emotion_order(rows["emotion"]):
        own = (rows["emotion"] == emotion) & inside
        xy = rows.loc[own, ["pc1", "pc2"]].to_numpy(dtype=float)
        if not len(xy):
            continue
        mean = xy.mean(axis=0)
        if len(xy) > 2:
            values, vectors = np.linalg.eigh(np.cov(xy.T))
            angle = np.linspace(0.0, 2 * np.pi, _CORNERS)
            circle = np.sqrt(values.clip(0.0) * 2 * np.log(2))[:, None] * [
                np.cos(angle),
                np.sin(angle),
            ]
            x, y = mean[:, None] + vectors @ circle
            marks.append(
                Line(
                    x=x,
                    y=y,
                    colour=of_emotion(emotion),
                    width=1.6,
                    name=emotion,
                    hover=f"half of {plain(emotion)}, if normal<extra></extra>",
                )
            )
        # On a larger one in the colour of the page, so that it is seen among the prompts.
        marks += [
            Points(
                x=[mean[0]],
                y=[mean[1]],
                colour=colour,
                symbol="cross",
                size=size,
                opacity=1.0,
                name=emotion,
                hover=f"mean of {plain(emotion)}",
            )
            for colour, size in (("page", 20), (of_emotion(emotion), 15))
        ]
    return marks


def _points(rows: pd.DataFrame, emotion: str, solid: bool) -> Points:
    part = rows[rows["emotion"] == emotion]
    return Points(
        x=part["pc1"],
        y=part["pc2"],
        z=part["pc3"].tolist() if solid else (),
        colour=of_emotion(emotion),
        symbol=of_emotion(emotion),
        name=emotion,
        size=7,
        opacity=0.6,
        legend=True,
        data=part[["emotion", "prompt_id"]].to_numpy().tolist(),
        hovertexts=[hover_text(row.text or row.prompt_id, emotion) for row in part.itertuples()],
        hover="%{hovertext}",
    )


def hover_text(text: str, emotion: str) -> str:
    """The prompt in lines, with every character escaped that plotly would read as markup."""
    lines = textwrap.wrap(text, _HOVER_WIDTH) or [""]
    return "<br>".join([*(plain(line) for line in lines), f"<i>{plain(emotion)}</i>"])


def _outside(drawn: pd.DataFrame, fitted: pd.DataFrame) -> int:
    """Prompts beyond the robust axes of any site."""
    far = set()
    for site, own in drawn.groupby("site"):
        for name in _COMPONENTS[:2]:
            ends = _range(of(fitted, site=site)[name], robust=True)
            here = own[~own[name].between(*ends)]
            far |= set(zip(here["emotion"], here["prompt_id"], strict=True))
    return len(far)


def _title(name: str, share: float | None, short: bool) -> str:
    number = name.removeprefix("pc")
    # With fewer prompts or dimensions than axes the last ones hold nothing.
    if share is None or not math.isfinite(share):
        return f"PC {number}"
    return f"PC {number} ({share:.1%})" if short else f"PC {number}, {share:.1%} of the variance"


def _axes(source: Analysed, choice: Choice) -> pd.DataFrame:
    return of(source.of_choice("axes", choice), layer=choice["layer"], basis=choice["basis"])


def show(source: Analysed, choice: Choice) -> Shown:
    """Table and points of one layer."""
    layer, basis = choice["layer"], choice["basis"]
    points = source.of_choice("points", choice)
    texts = source.texts(choice["model"])
    drawn = table(points, texts, layer=layer, basis=basis)
    n_drawn = len(drawn.drop_duplicates(["emotion", "prompt_id"]))
    some = (
        f" {n_drawn:,} of {len(texts):,} prompts are drawn, of scenarios at random; the axes are "
        "those of all."
        if n_drawn < len(texts) and len(texts) > MAX_POINTS
        else ""
    )
    fitted = of(points, basis=basis)
    if choice["range"] == "layer":
        fitted = of(fitted, layer=layer)
    solid = choice["axes"] == "3"
    outside = 0 if solid else _outside(drawn, fitted)
    some += (
        f" {plural(outside, 'prompt lies', 'prompts lie')} outside of the axes and "
        f"{'is' if outside == 1 else 'are'} not in means and ellipses; the table has "
        f"{'it' if outside == 1 else 'them'}."
        if outside
        else ""
    )
    return Shown(
        table=drawn,
        chart=chart(drawn, _axes(source, choice), fitted, solid=solid) if len(drawn) else None,
        caption=f"Prompts on principal axes ({BASES[basis]}) at layer {layer}, explained variance "
        f"on the axes; {display_name(choice['model'])}.{some}",
        of_values=some,
        name=f"prompts-layer-{layer}-{choice['model']}",
    )


def answer(source: Analysed, choice: Choice, _: Shown) -> list[str]:
    """Share of the variance that the drawn axes hold."""
    axes = _axes(source, choice)
    return [space_sentence(axes)] if len(axes) else []


def space_sentence(axes: pd.DataFrame) -> str:
    """Share of the variance that two and three axes hold."""
    parts = []
    for site, rows in axes.groupby("site", sort=False):
        shares = rows.sort_values("axis")["explained"].tolist()
        two, three = _percent(sum(shares[:2])), _percent(sum(shares[:3]))
        parts.append(f"{two} (three axes {three}) in the {site_words(str(site))}")
    return (
        f"Two axes hold {listed(parts)} of the variance at layer {int(axes['layer'].iloc[0])}. "
        "The axes do not know the classes: classes that are separate here are so among these "
        "prompts; classes that overlap here may be separate on other axes."
    )


def _percent(share: float) -> str:
    return "–" if not math.isfinite(share) else f"{significant(100 * share, 2)} %"


def selected(_: Analysed, choice: Choice, shown: Shown, row: Sequence[Any]) -> Link | None:
    """The text of the selected prompt, and its activations."""
    emotion, prompt_id = map(str, row[:2])
    rows = of(shown.table, emotion=emotion, prompt_id=prompt_id)
    text = str(rows["text"].iloc[0]) if len(rows) else ""
    return Link(
        text=f"**{md(emotion)}** {md(prompt_id)}: {md(text)}",
        label="Open this prompt in Activations",
        page="activations",
        parameters={
            "view": "prompt",
            "model": choice["model"],
            "emotion": emotion,
            "prompt": prompt_id,
        },
    )


PROMPTS = View[Analysed](
    name="prompts",
    page="distances",
    title="Prompts on principal axes",
    question="Do the prompts of different emotions lie apart at one layer?",
    controls=(
        MODEL,
        BESIDE,
        SITES,
        Control(
            name="basis",
            label="Basis",
            kind="one",
            options=lambda _source, _choice: tuple(BASES),
            help="fixed: one set of axes for all layers, so that a change from layer to layer is a "
            "change of the prompts. per_layer: each layer on its own principal axes.",
        ),
        Control(name="axes", label="Axes", kind="one", options=lambda _source, _choice: ("2", "3")),
        Control(
            name="range",
            label="Range",
            kind="one",
            options=lambda _source, _choice: ("layer", "all"),
            help="Axes that show the points of this layer, or those of all layers, so that moving "
            "the layer moves the points and not the axes.",
        ),
        LAYER,
    ),
    show=of_both(show, stacked=True),
    answer=said_of_both(answer),
    terms=lambda source, choice: {**vector_terms(source, choice), **TERMS},
    empty="There is nothing to draw: the analysis has no prompts at this layer.",
    selected=selected,
    hint="On two axes, click a point to open its prompt; on three, hover it.",
)
