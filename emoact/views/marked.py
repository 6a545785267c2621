"""A selected prompt in every chart that draws prompts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from emoact.views.chart import Box, Chart, Key, Mark, Panel, Points

Marked = tuple[str, str]
"""Emotion and id of a prompt."""
_KEY = Key(name="selected prompt", kind="marker", symbol="circle-open")


def ringed(chart: Chart, marked: Marked) -> Chart:
    """The chart with a ring around the prompt, and the chart itself where it is not drawn.

    The rows of `data` of points begin with emotion and id; boxes are of emotions, and their `texts`
    are ids.
    """
    rows = [
        [dataclasses.replace(panel, marks=[*panel.marks, *_rings(panel, marked)]) for panel in row]
        for row in chart.rows
    ]
    before = sum(len(panel.marks) for row in chart.rows for panel in row)
    if sum(len(panel.marks) for row in rows for panel in row) == before:
        return chart
    return dataclasses.replace(chart, rows=rows, key=[*chart.key, _KEY])


def _rings(panel: Panel, marked: Marked) -> Iterator[Mark]:
    for mark in panel.marks:
        if isinstance(mark, Points):
            owners = [tuple(map(str, row[:2])) for row in mark.data]
            xs, ys, zs = list(mark.x), list(mark.y), list(mark.z)
            for at, owner in enumerate(owners):
                if owner == marked:
                    yield _ring(xs[at], ys[at], [zs[at]] if zs else [])
        elif isinstance(mark, Box) and mark.name == marked[0]:
            for value, text in zip(mark.values, mark.texts, strict=False):
                if text == marked[1]:
                    yield _ring(value, mark.name, [])


def _ring(x: Any, y: Any, z: list[Any]) -> Points:
    return Points(
        x=[x], y=[y], z=z, colour="text", size=15, filled=False, opacity=1.0, name="selected prompt"
    )
