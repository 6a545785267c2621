"""Cosines between the emotions of one model: by layer, and as matrices at a layer."""

from __future__ import annotations

from collections.abc import Mapping

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

COSINE_MEASURES: Mapping[str, str] = {
    "cosine": "cosine",
    "zscored": "z-scored twin",
    "top_share": "share of the top 3 dimensions",
}
MATRICES: Mapping[str, str] = {
    "cv_cosine": "cross-validated",
    "cosine": "plain",
    "cv_zscored": "cross-validated, z-scored",
}


def drawn_cosines(table: pd.DataFrame) -> pd.DataFrame:
    """Exactly what `cosine_figure` draws, one row per (pair, site, layer).

    Args:
        table: Rows of the table `distances` of one model.
    """
    columns = [
        "model", "emotion_a", "emotion_b", "site", "layer", "cv_cosine", "cv_se", "cosine",
        "expectation", "null_mean", "null_low", "null_high", "cv_zscored", "zscored", "top_share",
        "twin_differs",
    ]  # fmt: skip
    return table[columns].reset_index(drop=True)


def cosine_figure(
    drawn: pd.DataFrame,
    *,
    measure: str,
    styles: Mapping[str, EmotionStyle],
    scheme: Scheme = "light",
) -> go.Figure:
    """One row of panels for each site and one panel for each pair of emotions.

    Args:
        drawn: From `drawn_cosines`.
        measure: Key of `COSINE_MEASURES`.
        styles: A style for every emotion among the rows.
        scheme: Light or dark.
    """
    reach = _reach(drawn, measure)
    rows: list[list[Panel]] = []
    for site in known.in_order(drawn["site"]):
        panels = []
        own = drawn[drawn["site"] == site]
        for a, b in _pairs(own):
            part = own[(own["emotion_a"] == a) & (own["emotion_b"] == b)].sort_values("layer")
            layers = part["layer"].tolist()
            panels.append(
                Panel(
                    title=f"{pair_title(a, b, styles)}  {known.title(site)}",
                    traces=_traces(part, layers, measure, known.site(site).dash, scheme),
                    x=layer_axis(layers),
                    y={
                        "title": {"text": "share" if measure == "top_share" else "cosine"},
                        "range": reach,
                        "tickformat": ".0%" if measure == "top_share" else None,
                    },
                )
            )
        rows += wrapped(panels, 3)
    return panel_figure(rows, scheme=scheme, key=_key(measure, drawn, scheme))


def pair_title(a: str, b: str, styles: Mapping[str, EmotionStyle]) -> str:
    """Both labels in their colours, safe to stand in a figure."""
    one, other = (
        f'<b><span style="color:{styles[label].colour}">{plain(label)}</span></b>'
        for label in emotion_order([a, b])
    )
    return f"{one} – {other}"


def matrix_figure(
    drawn: pd.DataFrame, *, layer: int, scheme: Scheme = "light", marks: bool = True
) -> go.Figure:
    """Every emotion against every other at one layer: validated, plain, and z-scored.

    Args:
        drawn: From `drawn_cosines`.
        layer: Which layer.
        scheme: Light or dark.
        marks: Write the values into the cells.
    """
    here = drawn[drawn["layer"] == layer]
    labels = emotion_order([*here["emotion_a"], *here["emotion_b"]])
    rows = []
    for site in known.in_order(here["site"]):
        own = here[here["site"] == site]
        rows.append(
            [
                Panel(
                    title=f"<b>{title}</b>  {known.title(site)}",
                    traces=[_heatmap(own, labels, column, marks=marks)],
                    x={"type": "category", "ticks": "", "showgrid": False, "showline": False},
                    y={
                        "type": "category",
                        "autorange": "reversed",
                        "ticks": "",
                        "showgrid": False,
                        "showline": False,
                    },
                )
                for column, title in MATRICES.items()
            ]
        )
    figure = panel_figure(rows, scheme=scheme, height=max(150, 46 * len(labels) + 30), gap=0.05)
    return figure.update_layout(
        hovermode="closest",
        coloraxis={
            "colorscale": diverging(scheme),
            "cmin": -1,
            "cmax": 1,
            "colorbar": {
                "title": {"text": "cosine", "font": {"size": 12}},
                "tickfont": {"size": 12},
                "thickness": 12,
                "outlinewidth": 0,
            },
        },
    )


def diverging(scheme: Scheme) -> list[list[float | str]]:
    """A scale from brown over the page's own colour to teal, for values about 0."""
    middle = INK[scheme].page if scheme == "light" else "#23282E"
    low, high = ("#8C4A0B", "#0B5C66") if scheme == "light" else ("#E0914A", "#4CC3CF")
    return [[0.0, low], [0.5, middle], [1.0, high]]


def _pairs(rows: pd.DataFrame) -> list[tuple[str, str]]:
    order = emotion_order([*rows["emotion_a"], *rows["emotion_b"]])
    found = dict.fromkeys(zip(rows["emotion_a"], rows["emotion_b"], strict=True))
    # One panel order on every page, whichever of the two the table names first.
    return sorted(found, key=lambda pair: sorted(map(order.index, pair)))


def _reach(drawn: pd.DataFrame, measure: str) -> list[float]:
    if measure == "top_share":
        return span(drawn["top_share"], at_least=(0.0, 0.2))
    if measure == "zscored":
        return span(drawn["cv_zscored"], drawn["zscored"], at_least=(0.0, 1.0))
    return span(
        *(drawn[name] for name in ("cv_cosine", "cosine", "null_low", "null_high")),
        at_least=(0.0, 1.0),
    )


def _traces(
    part: pd.DataFrame, layers: list[int], measure: str, dash: str, scheme: Scheme
) -> list[go.Scatter]:
    ink = INK[scheme]
    if measure == "top_share":
        share = line(
            layers,
            part["top_share"].tolist(),
            colour=ink.accent,
            name="top 3 dimensions",
            dash=dash,
            symbol="circle",
            hover="%{y:.1%}",
        )
        return [share]
    validated, plain_one = (
        ("cv_zscored", "zscored") if measure == "zscored" else ("cv_cosine", "cosine")
    )
    traces = [level(0.0, layers, colour=ink.axis, dash="solid")]
    if measure == "cosine":
        error = 1.96 * part["cv_se"]
        low, high = part["cv_cosine"] - error, part["cv_cosine"] + error
        traces += [
            band(
                layers,
                part["null_low"].tolist(),
                part["null_high"].tolist(),
                fill=null_fill(scheme),
            ),
            level(float(part["expectation"].iloc[0]), layers, colour=ink.text),
            band(layers, low.tolist(), high.tolist(), fill=_tint(ink.accent)),
        ]
    traces.append(
        line(
            layers,
            part[plain_one].tolist(),
            colour=ink.muted,
            name="plain",
            width=1.4,
            customdata=part[["null_low", "null_high"]].to_numpy(dtype=float).tolist(),
            hover="%{y:.3f} (null %{customdata[0]:.2f} to %{customdata[1]:.2f})"
            if measure == "cosine"
            else "%{y:.3f}",
        )
    )
    traces.append(
        line(
            layers,
            part[validated].tolist(),
            colour=ink.accent,
            name="cross-validated",
            dash=dash,
            symbol="circle",
            # Open where three dimensions tell the story and not the whole vector.
            filled=[not differs for differs in part["twin_differs"]],
            customdata=part[["cv_se", "top_share"]].to_numpy(dtype=float).tolist(),
            hover="%{y:.3f} ± %{customdata[0]:.3f} (top 3 dimensions %{customdata[1]:.0%})"
            if measure == "cosine"
            else "%{y:.3f}",
        )
    )
    return traces


def _key(measure: str, drawn: pd.DataFrame, scheme: Scheme) -> list[go.Scatter]:
    ink = INK[scheme]
    if measure == "top_share":
        return []
    key = [
        key_line("cross-validated", ink.accent, symbol="circle"),
        key_line("plain", ink.muted),
    ]
    if measure == "cosine":
        key += [
            key_band("95 % of relabelled data (plain)", null_fill(scheme)),
            key_line("plain cosine of noise", ink.text, dash="dot"),
        ]
    if drawn["twin_differs"].any():
        key.append(key_marker("z-scored twin differs by > .2", ink.accent, "circle-open"))
    return key


def _tint(colour: str) -> str:
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"


def _heatmap(rows: pd.DataFrame, labels: list[str], column: str, *, marks: bool) -> go.Heatmap:
    values = {
        frozenset((row.emotion_a, row.emotion_b)): float(getattr(row, column))
        for row in rows.itertuples()
    }
    cells = [
        [1.0 if a == b else values.get(frozenset((a, b)), float("nan")) for b in labels]
        for a in labels
    ]
    names = [plain(label) for label in labels]
    return go.Heatmap(
        z=cells,
        x=names,
        y=names,
        coloraxis="coloraxis",
        xgap=2,
        ygap=2,
        texttemplate="%{z:.2f}" if marks else None,
        textfont={"size": 12},
        hovertemplate="%{y} – %{x}: %{z:.3f}<extra></extra>",
    )
