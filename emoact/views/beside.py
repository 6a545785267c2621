"""A second model, or another configuration of the same one, in the panels of the first."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import pandas as pd

from emoact.models.registry import display_name
from emoact.views.analysed import Analysed
from emoact.views.chart import Axis, Band, Chart, Key, Line, Mark, Panel, Points
from emoact.views.text import md
from emoact.views.view import Choice, Control, Shown

_NONE = "none"
_COLOUR = "accent"
Show = Callable[[Analysed, Choice], Shown]
Answer = Callable[[Analysed, Choice, Shown], Sequence[str]]

BESIDE = Control[Analysed](
    name="beside",
    label="Beside",
    kind="select",
    options=lambda source, choice: [
        _NONE,
        *(model for model in source.saved.models if model != choice["model"]),
    ],
    when=lambda source, _: len(source.saved.models) > 1,
    help="Another model of this analysis, or another configuration of the same model, drawn in the "
    "same panels. Grey bands and levels of words are those of the first.",
    width=180,
)


def of_both(show: Show) -> Show:
    """A view of one model that draws a second one in the same panels where it is asked to."""

    def shown(source: Analysed, choice: Choice) -> Shown:
        first = show(source, choice)
        models = _models(choice)
        if len(models) < 2:
            return first
        second = show(source, {**choice, "model": models[1]})
        tables = [part.table for part in (first, second) if len(part.table)]
        both = first.chart and second.chart and _laid_over(first.chart, second.chart, models)
        return dataclasses.replace(
            first,
            table=pd.concat(tables, ignore_index=True) if tables else first.table,
            chart=both or first.chart or second.chart,
            caption=f"{first.caption} In the second colour: {display_name(models[1])}.",
            name=f"{first.name}-{models[1]}",
        )

    return shown


def said_of_both(answer: Answer) -> Answer:
    """The sentences on each of the models that are drawn."""

    def said(source: Analysed, choice: Choice, shown: Shown) -> list[str]:
        models = _models(choice)
        if len(models) < 2:
            return list(answer(source, choice, shown))
        sentences = list[str]()
        for model in models:
            own = answer(source, {**choice, "model": model}, shown)
            name = f"**{md(display_name(model))}:** "
            for sentence in filter(None, own):
                sentences.append(f"{name}{sentence}")
                name = ""
        return sentences

    return said


def _models(choice: Choice) -> list[str]:
    beside = choice.get("beside", _NONE)
    return [choice["model"], *([] if beside == _NONE else [beside])]


def _laid_over(first: Chart, second: Chart, models: Sequence[str]) -> Chart:
    others = {(tuple(p.emotions), p.title): p for row in second.rows for p in row}
    names = [display_name(model) for model in models]
    rows = [
        [_over(panel, others.get((tuple(panel.emotions), panel.title)), names[1]) for panel in row]
        for row in first.rows
    ]
    key = [
        Key(name=names[0], kind="line", symbol="circle"),
        Key(name=names[1], kind="line", colour=_COLOUR, dash="dash", symbol="circle-open"),
    ]
    return dataclasses.replace(first, rows=rows, key=[*key, *first.key])


def _over(panel: Panel, other: Panel | None, name: str) -> Panel:
    if other is None:
        return panel
    marks = [each for mark in other.marks if (each := _as_second(mark, name)) is not None]
    return dataclasses.replace(
        panel,
        marks=[*panel.marks, *marks],
        x=_wide(panel.x, other.x),
        y=_wide(panel.y, other.y),
    )


def _as_second(mark: Mark, name: str) -> Mark | None:
    """The mark of an emotion in the colour of the second model; None for all other marks."""
    if not isinstance(mark, Band | Line | Points) or not mark.colour.startswith("emotion:"):
        return None
    if isinstance(mark, Line):
        # Where markers say something they go on saying it.
        filled = mark.filled or [False] * len(list(mark.x))
        return dataclasses.replace(
            mark, colour=_COLOUR, name=name, dash="dash", filled=filled, legend=False
        )
    if isinstance(mark, Points):
        return dataclasses.replace(mark, colour=_COLOUR, name=name, filled=False)
    return dataclasses.replace(mark, colour=_COLOUR)


def _wide(one: Axis, other: Axis) -> Axis:
    """The first axis, long enough for both."""
    if one.range is None or other.range is None:
        return one
    low, high = zip(one.range, other.range, strict=True)
    return dataclasses.replace(one, range=(min(low), max(high)))
