"""Distribution of norms, or of lengths, over the prompts or tokens of each class."""

from __future__ import annotations

import pandas as pd

from emoact.numbers import significant
from emoact.sites import words
from emoact.stats.norms.norm_tables import NormTable
from emoact.views.activations import (
    KIND_TITLES,
    MODELS,
    NORM,
    SCALE,
    SITES,
    Activations,
    layer_control,
    norm_terms,
    one,
)
from emoact.views.chart import Axis, Box, Chart, Panel, of_emotion
from emoact.views.text import md
from emoact.views.theme import by_emotion
from emoact.views.view import Choice, Control, Shown, View

_BOX_HEIGHT = 84
OF = Control[Activations](
    name="of",
    label="Values",
    kind="select",
    options=lambda _source, _choice: ("prompts", "tokens", "lengths"),
    width=220,
)
_COLUMNS = {"prompts": "mean", "tokens": "value", "lengths": "tokens"}


def _wanted(choice: Choice) -> NormTable:
    (folder, site), of = one(choice), choice["of"]
    if of == "lengths":
        return NormTable(by="length", models=(folder,))
    return NormTable(
        by="token" if of == "tokens" else "prompt",
        norm=choice["norm"],
        models=(folder,),
        sites=(site,),
        layer=choice["layer"],
        content=of == "tokens",
    )


def show(source: Activations, choice: Choice) -> Shown:
    """Table and chart."""
    (folder, site), of = one(choice), choice["of"]
    units = source.of_one(choice) if of != "lengths" else source.chosen({"model": [folder]})
    rows = _wanted(choice).frame(units) if units else pd.DataFrame()
    kind = KIND_TITLES[choice["norm"]]
    what, title, where = {
        "prompts": (f"Mean {kind} over content", f"mean {kind} over content, model units", ""),
        "tokens": (f"{kind} of a token", f"{kind} of a token, model units", ""),
        "lengths": ("Content tokens", "content tokens", ""),
    }[of]
    if of != "lengths":
        where = f" of the {words(site)} at layer {choice['layer']}"
    return Shown(
        table=rows,
        chart=_chart(rows, choice, title) if len(rows) else None,
        caption=f"{what}{where}. Boxes reach from the first to the third quartile, whiskers to 1.5 "
        "times that; points are single values.",
        columns=f"norms_{of.removesuffix('s')}",
        name=f"distribution-{of}-{folder}-{site}-layer{choice.get('layer', 0)}",
    )


def _chart(rows: pd.DataFrame, choice: Choice, title: str) -> Chart:
    of, names = choice["of"], rows["prompt"]
    if of == "tokens":
        names = names + " " + rows["position"].astype(str) + " " + rows["token"]
    parts = by_emotion(rows.assign(name=names))
    boxes = [
        Box(
            values=own[_COLUMNS[of]].astype(float),
            name=emotion,
            colour=of_emotion(emotion),
            symbol=of_emotion(emotion),
            texts=own["name"].tolist(),
        )
        for emotion, own in parts
    ]
    log = choice["scale"] == "log" and of != "lengths"
    panel = Panel(
        marks=boxes,
        x=Axis(title=title, scale="log" if log else "linear", format=",.3~r"),
        y=Axis(scale="category", categories=[emotion for emotion, _ in parts]),
    )
    return Chart(rows=[[panel]], heights=[_BOX_HEIGHT * len(parts)], unified=False)


def answer(_source: Activations, choice: Choice, shown: Shown) -> list[str]:
    """Medians of the classes."""
    if shown.chart is None:
        return []
    medians = ", ".join(
        f"{md(emotion)} {significant(own[_COLUMNS[choice['of']]].median())}"
        for emotion, own in by_emotion(shown.table)
    )
    where = "of content tokens" if choice["of"] == "lengths" else f"at layer {choice['layer']}"
    return [f"Medians {where}: {medians}."]


DISTRIBUTION = View[Activations](
    name="distribution",
    page="activations",
    title="Distribution over prompts and tokens",
    question="Do the classes overlap, and which prompts or tokens are far from the others?",
    controls=(MODELS, SITES, NORM, SCALE, OF, layer_control()),
    single=("model", "site"),
    show=show,
    answer=answer,
    terms=lambda source, choice: {
        **norm_terms(source, choice),
        "point": "one prompt, or one token. Far points are outliers or massive tokens.",
        "box": "first to third quartile; its whiskers reach to 1.5 times that range.",
    },
    command=lambda source, choice: source.command(_wanted(choice)),
    empty="There is no value to show.",
)
