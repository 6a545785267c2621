"""Two models side by side: measures by layer with their nulls, and layer against layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from emoact.stats.across.between import CREDIBLE
from emoact.views.plots.cosines import diverging
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

ALPHA = 0.05


@dataclass(frozen=True, kw_only=True)
class AcrossMeasure:
    """One way to compare two models.

    Attributes:
        title: In the picker.
        axis: On the axis.
        of_emotion: Of one emotion's direction; else of the models as wholes.
    """

    title: str
    axis: str
    of_emotion: bool = True


ACROSS_MEASURES: Mapping[str, AcrossMeasure] = {
    "score_corr": AcrossMeasure(title="score correlation", axis="Spearman correlation"),
    "procrustes": AcrossMeasure(title="Procrustes", axis="held-out cosine"),
    "cka": AcrossMeasure(title="CKA", axis="unbiased CKA", of_emotion=False),
    "cka_within": AcrossMeasure(title="CKA within classes", axis="unbiased CKA", of_emotion=False),
    "rsa": AcrossMeasure(title="RSA", axis="Spearman correlation", of_emotion=False),
    "raw_cos": AcrossMeasure(title="raw cosine (negative control)", axis="cosine"),
}
MAPS = ("score_corr", "cka", "cka_within", "rsa")
"""Measures that exist for every layer against every layer."""


def drawn_across(across: pd.DataFrame, similarity: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Exactly what `across_figure` draws, one row per (emotion, layer).

    Columns that a measure lacks are NaN; `null_low` to `null_high` holds 95 % of its null, which
    for `score_corr` is that of the uncorrected correlation.

    Args:
        across: Rows of the table of one pair and site.
        similarity: Likewise.
        measure: Key of `ACROSS_MEASURES`.
    """
    if not ACROSS_MEASURES[measure].of_emotion:
        rows = similarity[similarity["measure"] == measure]
        return _tidy(rows.assign(emotion=""), rows["value"], rows["null_mean"], rows["null_sd"])
    if measure == "score_corr":
        drawn = _tidy(
            across, across["score_corr"], across["score_corr_null"], across["score_corr_null_sd"]
        )
        drawn["uncorrected"] = across["score_corr_raw"].to_numpy()
        drawn["ceiling"] = across["ceiling"].to_numpy()
        drawn["p"] = across["score_corr_p"].to_numpy()
        drawn["p_max"] = across["score_corr_p_max"].to_numpy()
        return drawn
    if measure == "procrustes":
        drawn = _tidy(
            across, across["procrustes"], across["procrustes_null"], across["procrustes_null_sd"]
        )
        drawn["p"] = across["procrustes_p"].to_numpy()
        drawn["p_max"] = across["procrustes_p_max"].to_numpy()
        return drawn
    drawn = _tidy(across, across["raw_cos"], None, None)
    drawn["null_low"] = across["raw_low"].to_numpy()
    drawn["null_high"] = across["raw_high"].to_numpy()
    return drawn


def _tidy(
    rows: pd.DataFrame,
    value: pd.Series,
    null_mean: pd.Series | None,
    null_sd: pd.Series | None,
) -> pd.DataFrame:
    blank = pd.Series(float("nan"), index=rows.index)
    mean = blank if null_mean is None else null_mean
    reach = blank if null_sd is None else 1.96 * null_sd
    return pd.DataFrame(
        {
            "model_a": rows["model_a"],
            "model_b": rows["model_b"],
            "site": rows["site"],
            "emotion": rows["emotion"],
            "layer_a": rows["layer_a"],
            "layer_b": rows["layer_b"],
            "value": value,
            "uncorrected": blank,
            "ceiling": blank,
            "null_low": mean - reach,
            "null_high": mean + reach,
            "p": rows.get("p", blank),
            "p_max": rows.get("p_max", blank),
        }
    ).reset_index(drop=True)


def across_figure(
    drawn: pd.DataFrame,
    *,
    measure: str,
    styles: Mapping[str, EmotionStyle],
    scheme: Scheme = "light",
) -> go.Figure:
    """One panel for each emotion, or one panel where the measure is of the models as wholes.

    Args:
        drawn: From `drawn_across`.
        measure: The same.
        styles: A style for every emotion among the rows.
        scheme: Light or dark.
    """
    chosen, ink = ACROSS_MEASURES[measure], INK[scheme]
    # One such value would flatten every other; the table has it, and the caption says so.
    drawn = drawn.assign(value=drawn["value"].mask(beyond(drawn)))
    reach = span(
        *(drawn[name] for name in ("value", "uncorrected", "ceiling", "null_low", "null_high")),
        at_least=(0.0, 0.5),
    )
    panels = []
    for emotion in emotion_order(drawn["emotion"]):
        part = drawn[drawn["emotion"] == emotion].sort_values("layer_a")
        layers = part["layer_a"].tolist()
        colour = styles[emotion].colour if emotion else ink.accent
        traces = [
            band(
                layers, part["null_low"].tolist(), part["null_high"].tolist(),
                fill=null_fill(scheme),
            ),
            level(0.0, layers, colour=ink.axis, dash="solid"),
        ]  # fmt: skip
        if part["ceiling"].notna().any():
            traces += [
                line(layers, part["ceiling"].tolist(), colour=ink.text, name="ceiling", dash="dot",
                     width=1.4, hover="%{y:.3f}"),
                line(layers, part["uncorrected"].tolist(), colour=colour, name="uncorrected",
                     width=1.2, hover="%{y:.3f}"),
            ]  # fmt: skip
        traces.append(
            line(
                layers,
                part["value"].tolist(),
                colour=colour,
                name=chosen.title,
                symbol=styles[emotion].symbol if emotion else "circle",
                filled=_outside(part),
                customdata=part[["layer_b", "p_max", "null_low", "null_high"]]
                .to_numpy(dtype=float)
                .tolist(),
                hover=_hover(measure),
            )
        )
        panels.append(
            Panel(
                title=f"<b>{plain(emotion)}</b>" if emotion else "",
                traces=traces,
                x=layer_axis(layers, title=f"layer of {plain(str(part['model_a'].iloc[0]))}"),
                y={"title": {"text": chosen.axis}, "range": reach},
            )
        )
    key = _key(drawn, measure, scheme)
    return panel_figure(wrapped(panels, 3), scheme=scheme, key=key, height=300)


def beyond(drawn: pd.DataFrame) -> pd.Series:
    """True for the rows that are not drawn."""
    return drawn["value"].abs() > CREDIBLE


def _outside(part: pd.DataFrame) -> list[bool]:
    """Layers that stand out: over all layers where there is such a test, else beyond the band."""
    if part["p_max"].notna().any():
        return list((part["p_max"] <= ALPHA).tolist())
    beyond = (part["value"] < part["null_low"]) | (part["value"] > part["null_high"])
    return list(beyond.tolist())


def _hover(measure: str) -> str:
    there = "%{y:.3f} (layer %{customdata[0]} there"
    if measure == "raw_cos":
        return there + ", chance %{customdata[2]:.2f} to %{customdata[3]:.2f})"
    return there + ", p over layers %{customdata[1]:.3f})"


def _key(drawn: pd.DataFrame, measure: str, scheme: Scheme) -> list[go.Scatter]:
    ink = INK[scheme]
    tested = drawn["p_max"].notna().any()
    key = [
        key_marker(
            "p ≤ .05 over all layers" if tested else "outside the chance band", ink.text, "circle"
        ),
        key_marker("not" if tested else "inside it", ink.text, "circle-open"),
    ]
    if drawn["ceiling"].notna().any():
        key += [
            key_line("reliability ceiling", ink.text, dash="dot"),
            key_line("before dividing by it (thin)", ink.muted),
        ]
    if drawn["null_low"].notna().any():
        words = "relabelled data" if measure == "raw_cos" else "re-paired prompts"
        words += ", uncorrected" if measure == "score_corr" else ""
        key.append(key_band(f"95 % of {words}", null_fill(scheme)))
    return key


def map_figure(cells: pd.DataFrame, *, measure: str, scheme: Scheme = "light") -> go.Figure:
    """Every layer of one model against every layer of the other.

    Args:
        cells: Rows of the table `maps` of one pair, site, measure and emotion.
        measure: Key of `ACROSS_MEASURES`.
        scheme: Light or dark.
    """
    grid = cells.pivot_table(index="layer_b", columns="layer_a", values="value", dropna=False)
    # No measure means anything beyond 1; a corrected correlation may go there and must not set
    # the colours of all others.
    largest = min(1.0, float(cells["value"].abs().max())) if cells["value"].notna().any() else 1.0
    models = (str(cells["model_a"].iloc[0]), str(cells["model_b"].iloc[0]))
    panel = Panel(
        title="",
        traces=[
            go.Heatmap(
                z=grid.to_numpy().tolist(),
                x=grid.columns.tolist(),
                y=grid.index.tolist(),
                coloraxis="coloraxis",
                hovertemplate="layer %{x} and layer %{y}: %{z:.3f}<extra></extra>",
            )
        ],
        x={**layer_axis(grid.columns), "range": None, "showgrid": False,
           "title": {"text": f"layer of {plain(models[0])}"}},
        y={"title": {"text": f"layer of {plain(models[1])}"}, "showgrid": False},
    )  # fmt: skip
    figure = panel_figure([[panel]], scheme=scheme, height=430)
    return figure.update_layout(
        hovermode="closest",
        # A cell without a value must not look like 0.
        plot_bgcolor=null_fill(scheme) if cells["value"].isna().any() else None,
        coloraxis={
            "colorscale": diverging(scheme),
            "cmin": -largest,
            "cmax": largest,
            "colorbar": {
                "title": {
                    "text": ACROSS_MEASURES[measure].axis,
                    "side": "right",
                    "font": {"size": 12},
                },
                "tickfont": {"size": 12},
                "thickness": 12,
                "outlinewidth": 0,
            },
        },
    )
