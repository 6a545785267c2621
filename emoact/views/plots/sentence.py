"""Norms of one sentence beside those of the saved classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from emoact.views.plots.panels import Panel, band, key_line, layer_axis, line, panel_figure
from emoact.views.plots.theme import INK, EmotionStyle, Scheme, plain


def beside_classes(
    classes: Mapping[str, tuple[Sequence[float], Sequence[float], Sequence[float]]],
    sentence: Sequence[float],
    *,
    styles: Mapping[str, EmotionStyle],
    scheme: Scheme,
    value_title: str,
) -> go.Figure:
    """One line for the sentence over a line with its quartile band for each class.

    Args:
        classes: First quartile, median and third quartile by layer, by emotion.
        sentence: By layer.
        styles: By emotion.
        scheme: Light or dark.
        value_title: What the values are.
    """
    layers = [float(layer) for layer in range(len(sentence))]
    ink = INK[scheme].text
    traces: list[go.Scatter] = []
    for emotion, (low, _, high) in classes.items():
        traces.append(band(layers, low, high, fill=styles[emotion].band(scheme)))
    for emotion, (_, middle, _) in classes.items():
        style = styles[emotion]
        traces.append(line(layers, middle, colour=style.colour, name=plain(emotion)))
    traces.append(
        line(layers, sentence, colour=ink, name="your sentence", width=2.6, symbol="circle")
    )
    return panel_figure(
        [
            [
                Panel(
                    title="",
                    traces=traces,
                    x=layer_axis(range(len(sentence))),
                    y={"title": {"text": value_title}, "tickformat": ",.3~r"},
                )
            ]
        ],
        scheme=scheme,
        height=300,
        key=[
            key_line("your sentence", ink, symbol="circle"),
            *(key_line(plain(emotion), styles[emotion].colour) for emotion in classes),
        ],
    )
