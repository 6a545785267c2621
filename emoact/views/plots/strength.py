"""Strength of the directions by layer, with what relabelled data give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from emoact import sites as known
from emoact.views.plots.panels import (
    Panel,
    band,
    key_band,
    key_line,
    key_marker,
    layer_axis,
    level,
    line,
    null_fill,
    panel_figure,
    span,
    wrapped,
)
from emoact.views.plots.theme import INK, EmotionStyle, Scheme, emotion_order, plain


@dataclass(frozen=True, kw_only=True)
class StrengthMeasure:
    """One way to say how strong a direction is.

    Attributes:
        title: In the picker.
        axis: Name and unit on the axis.
        column: Of the table `strength`.
        interval: Columns of its 95 % interval, where it has one.
        null: Columns of the band of relabelled data, where there is one.
        relative: Interval and band have to be divided by the layer's median norm.
        chance: What nothing gives, where that is known without relabelling.
        nothing: What `chance` is called.
    """

    title: str
    axis: str
    column: str
    interval: tuple[str, str] | None = None
    null: tuple[str, str] | None = None
    relative: bool = False
    chance: float | None = None
    nothing: str = "no separation"


_CV = ("cv_low", "cv_high")
_NULL = ("null_low", "null_high")

STRENGTH_MEASURES: Mapping[str, StrengthMeasure] = {
    "cv_relative": StrengthMeasure(
        title="cross-validated, relative",
        axis="strength / median norm",
        column="cv_relative",
        interval=_CV,
        null=_NULL,
        relative=True,
    ),
    "cv": StrengthMeasure(
        title="cross-validated",
        axis="strength, model units",
        column="cv",
        interval=_CV,
        null=_NULL,
    ),
    "l2": StrengthMeasure(title="plain L2", axis="L2 norm, model units", column="l2"),
    "l1": StrengthMeasure(title="plain L1", axis="L1 norm, model units", column="l1"),
    "relative": StrengthMeasure(
        title="plain, relative", axis="L2 norm / median norm", column="relative"
    ),
    "d_prime": StrengthMeasure(
        title="held-out d′",
        axis="d′",
        column="d_prime",
        interval=("d_prime_low", "d_prime_high"),
        chance=0.0,
    ),
    "auroc": StrengthMeasure(
        title="held-out AUROC",
        axis="AUROC",
        column="auroc",
        interval=("auroc_low", "auroc_high"),
        chance=0.5,
    ),
    "length_corr": StrengthMeasure(
        title="correlation with length",
        axis="Spearman correlation",
        column="length_corr",
        chance=0.0,
        nothing="no correlation",
    ),
}


def drawn_strength(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Exactly what `strength_figure` draws, one row per (emotion, site, layer).

    Args:
        table: Rows of the table `strength` of one model.
        measure: Key of `STRENGTH_MEASURES`.
    """
    chosen = STRENGTH_MEASURES[measure]
    scale = table["scale"] if chosen.relative else 1.0
    blank = pd.Series(float("nan"), index=table.index)
    low, high = chosen.interval or (None, None)
    null_low, null_high = chosen.null or (None, None)
    return pd.DataFrame(
        {
            "model": table["model"],
            "emotion": table["emotion"],
            "site": table["site"],
            "layer": table["layer"],
            "value": table[chosen.column],
            "low": blank if low is None else table[low] / scale,
            "high": blank if high is None else table[high] / scale,
            "null_low": blank if null_low is None else table[null_low] / scale,
            "null_high": blank if null_high is None else table[null_high] / scale,
            "p_holm": table["p_holm"],
            "significant": table["significant"],
            "length_corr": table["length_corr"],
        }
    ).reset_index(drop=True)


def strength_figure(
    drawn: pd.DataFrame,
    *,
    measure: str,
    styles: Mapping[str, EmotionStyle],
    scheme: Scheme = "light",
) -> go.Figure:
    """One row of panels for each site and one panel for each emotion.

    A filled marker is a layer that is significant over layers, sites, emotions and models.

    Args:
        drawn: From `drawn_strength`.
        measure: The same.
        styles: A style for every emotion among the rows.
        scheme: Light or dark.
    """
    chosen = STRENGTH_MEASURES[measure]
    ink = INK[scheme]
    sites = list(known.in_order(drawn["site"]))
    rows: list[list[Panel]] = []
    for site in sites:
        own = drawn[drawn["site"] == site]
        reach = span(
            *(own[name] for name in ("value", "low", "high", "null_low", "null_high")),
            at_least=None if chosen.chance is None else (chosen.chance, chosen.chance),
        )
        panels = []
        for emotion in emotion_order(own["emotion"]):
            part = own[own["emotion"] == emotion].sort_values("layer")
            layers = part["layer"].tolist()
            style = styles[emotion]
            traces = [band(layers, part["null_low"], part["null_high"], fill=null_fill(scheme))]
            zero = 0.0 if chosen.null else chosen.chance
            if zero is not None:
                traces.append(level(zero, layers, colour=ink.muted))
            traces.append(band(layers, part["low"], part["high"], fill=style.band(scheme)))
            traces.append(
                line(
                    layers,
                    part["value"].tolist(),
                    colour=style.colour,
                    name=plain(emotion),
                    dash=known.site(site).dash,
                    symbol=style.symbol,
                    filled=part["significant"].tolist(),
                    customdata=part[["low", "high", "null_low", "null_high", "p_holm"]]
                    .to_numpy()
                    .tolist(),
                    hover=_hover(chosen),
                )
            )
            panels.append(
                Panel(
                    title=f"<b>{plain(emotion)}</b>  {known.title(site)}",
                    traces=traces,
                    x=layer_axis(layers),
                    y={"title": {"text": chosen.axis}, "range": reach, "tickformat": ",.3~r"},
                )
            )
        rows += wrapped(panels)
    return panel_figure(rows, scheme=scheme, key=_key(chosen, scheme))


def _hover(chosen: StrengthMeasure) -> str:
    parts = ["%{y:,.3~r}"]
    if chosen.interval:
        parts.append("(95 % %{customdata[0]:,.3~r} to %{customdata[1]:,.3~r})")
    if chosen.null:
        parts.append("null %{customdata[2]:,.3~r} to %{customdata[3]:,.3~r},")
    return " ".join([*parts, "Holm p %{customdata[4]:.3~g}"])


def _key(chosen: StrengthMeasure, scheme: Scheme) -> list[go.Scatter]:
    ink = INK[scheme]
    key = [
        key_marker("direction significant (Holm)", ink.text, "circle"),
        key_marker("not significant", ink.text, "circle-open"),
    ]
    if chosen.interval:
        key.append(key_band("95 % interval", _tint(ink.accent)))
    if chosen.null:
        key.append(key_band("95 % of relabelled data", null_fill(scheme)))
    elif chosen.chance is not None:
        key.append(key_line(chosen.nothing, ink.muted, dash="dot"))
    return key


def _tint(colour: str) -> str:
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.25)"
