"""A second model, or another configuration of the same one, in the panels of the first."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TypeGuard

import pandas as pd

from emoact.models.registry import display_name
from emoact.views.analysed import Analysed
from emoact.views.chart import Axis, Band, Chart, Colour, Key, Level, Line, Mark, Panel, Points
from emoact.views.text import md
from emoact.views.view import Carded, Choice, Control, Shown

_NONE = "none"
_REFERENCES = ("muted", "null", "axis", "page")
"""Colours of what is no figure of the model itself."""
_SHIFT = 0.17
"""Of a row."""
_SHAPE = "diamond-tall"
"""Markers of the second model; open and filled ones mean what they mean in the first."""
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
    help="Another model of this analysis, or another configuration of the same model, drawn with "
    "the first. Grey bands are those of the first.",
    width=180,
)


def of_both(show: Show, *, stacked: bool = False) -> Show:
    """A view of one model that draws a second one with it where it is asked to.

    `stacked` panels of the second one are below those of the first, as its axes or cells are its
    own.
    """
    join, where = (
        (_below, "Below")
        if stacked
        else (
            _laid_over,
            "Grey marks and dotted levels are of this model; in the second colour, with diamonds",
        )
    )

    def shown(source: Analysed, choice: Choice) -> Shown:
        first = show(source, choice)
        models = _models(choice)
        if len(models) < 2:
            return first
        second = show(source, {**choice, "model": models[1]})
        tables = [part.table for part in (first, second) if len(part.table)]
        both = first.chart and second.chart and join(first.chart, second.chart, models)
        return dataclasses.replace(
            first,
            table=pd.concat(tables, ignore_index=True) if tables else first.table,
            chart=both or first.chart or second.chart,
            caption=f"{first.caption} "
            + (
                f"{where}: {display_name(models[1])}.{second.of_values}"
                if both
                else f"{display_name(models[1])} has nothing to draw here."
            ),
            name=f"{first.name}-{models[1]}",
        )

    return shown


def said_of_both(answer: Answer, *, named: bool = False) -> Answer:
    """The sentences on each of the models that are drawn.

    With `named` the sentences name the model themselves.
    """

    def said(source: Analysed, choice: Choice, shown: Shown) -> list[str]:
        models = _models(choice)
        sentences = list[str]()
        for model in models:
            name = "" if named or len(models) < 2 else f"**{md(display_name(model))}:** "
            for sentence in filter(None, answer(source, {**choice, "model": model}, shown)):
                kind = type(sentence)
                # The cards are those of the first model.
                if kind is Carded and model != models[0]:
                    kind = str
                said = kind(f"{name}{sentence}")
                # Both models may say the same of themselves; a remark holds once.
                sentences += [said] if type(said) is str or said not in sentences else []
                name = name if kind is Carded else ""
        return sentences

    return said


def _models(choice: Choice) -> list[str]:
    beside = choice.get("beside", _NONE)
    return [choice["model"], *([] if beside == _NONE else [beside])]


def _below(first: Chart, second: Chart, models: Sequence[str]) -> Chart:
    rows = list[list[Panel]]()
    for part, model in zip((first, second), models, strict=True):
        name = display_name(model)
        rows += [[_named(panel, name) for panel in row] for row in part.rows]
    return dataclasses.replace(first, rows=rows, heights=[*first.heights, *second.heights])


def _named(panel: Panel, name: str) -> Panel:
    if panel.y.title:
        return dataclasses.replace(panel, title=f"{panel.title} {name}".strip())
    return dataclasses.replace(panel, y=dataclasses.replace(panel.y, title=name))


def _laid_over(first: Chart, second: Chart, models: Sequence[str]) -> Chart:
    others = {(tuple(p.emotions), p.title): p for row in second.rows for p in row}
    names = [display_name(model) for model in models]
    own = [mark for row in first.rows for panel in row for mark in panel.marks if _is_figure(mark)]
    colours = {mark.colour for mark in own if not mark.colour.startswith("emotion:")}
    accent = "accent" in colours
    rows = [
        [
            _over(panel, others.get((tuple(panel.emotions), panel.title)), names[1], "second")
            for panel in row
        ]
        for row in first.rows
    ]
    line = any(isinstance(mark, Line) for mark in own)
    key = [
        Key(
            name=names[0],
            kind="line" if line else "marker",
            colour="accent" if accent else "text",
            symbol="circle",
        ),
        Key(
            name=names[1],
            kind="line" if line else "marker",
            colour="second",
            dash="dash",
            symbol=_SHAPE,
        ),
    ]
    return dataclasses.replace(
        first,
        rows=rows,
        key=[*key, *first.key, *(each for each in second.key if each not in first.key)],
    )


def _over(panel: Panel, other: Panel | None, name: str, colour: Colour) -> Panel:
    if other is None:
        return panel
    marks = [_as_second(mark, name, colour) for mark in other.marks if _is_figure(mark)]
    both = dataclasses.replace(
        panel,
        marks=[*panel.marks, *marks],
        x=_wide(panel.x, other.x),
        y=_wide(panel.y, other.y),
    )
    if panel.y.scale != "category":
        return both
    # Intervals of one row would lie over each other.
    rows = list(panel.y.categories)[::-1]
    shifted = [_in_row(mark, rows, _SHIFT) for mark in panel.marks]
    shifted += [_in_row(mark, rows, -_SHIFT) for mark in marks]
    y = dataclasses.replace(both.y, scale="linear", ticks=rows, range=(-0.6, len(rows) - 0.4))
    return dataclasses.replace(both, marks=shifted, y=y)


def _in_row(mark: Mark, rows: Sequence[str], shift: float) -> Mark:
    """Points of named rows at numbers, a little above or below them."""
    if not isinstance(mark, Points):
        return mark
    names = [str(name) for name in mark.y]
    return dataclasses.replace(
        mark,
        y=[rows.index(name) + shift for name in names],
        hover=mark.hover.replace("%{y}", "%{hovertext}"),
        hovertexts=names,
    )


def _is_figure(mark: Mark) -> TypeGuard[Band | Level | Line | Points]:
    if isinstance(mark, Level):
        # A dashed level is a figure of its model, a dotted one a reference.
        return mark.dash == "dash"
    return isinstance(mark, Band | Line | Points) and mark.colour not in _REFERENCES


def _as_second(mark: Band | Level | Line | Points, name: str, colour: Colour) -> Mark:
    """The same mark in the colour and with the markers of the second model."""
    if isinstance(mark, Line):
        return dataclasses.replace(
            mark, colour=colour, name=name, dash="dash", symbol=mark.symbol and _SHAPE, legend=False
        )
    if isinstance(mark, Points):
        # A cross says that a value cannot be, in either model.
        symbol = mark.symbol if mark.symbol == "x" else _SHAPE
        return dataclasses.replace(mark, colour=colour, name=name, symbol=symbol)
    return dataclasses.replace(mark, colour=colour)


def _wide(one: Axis, other: Axis) -> Axis:
    if one.range is None or other.range is None:
        return one
    low, high = zip(one.range, other.range, strict=True)
    return dataclasses.replace(one, range=(min(low), max(high)))
