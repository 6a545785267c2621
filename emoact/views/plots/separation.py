"""Held-out accuracy of the probes, with every classifier that sees less next to it."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from emoact.views.plots.norms import SITE_TITLES
from emoact.views.plots.panels import (
    COLUMNS,
    Panel,
    band,
    key_band,
    key_line,
    layer_axis,
    level,
    line,
    null_fill,
    panel_figure,
    span,
)
from emoact.views.plots.strength import SITE_DASHES
from emoact.views.plots.theme import INK, EmotionStyle, Scheme, emotion_order, plain

EVALUATIONS: Mapping[str, str] = {
    "cross_validated": "cross-validated",
    "explicit_to_implicit": "explicit → implicit",
}
PROBES: Mapping[str, str] = {
    "logistic": "logistic",
    "lda": "shrinkage LDA",
    "mass_mean": "mass-mean",
}
CLASSIFIERS: Mapping[str, str] = {
    "probe resid_pre": "probe, residual stream",
    "probe mlp_out": "probe, MLP output",
    "layer_0": "layer 0",
    "char_tfidf": "characters, TF-IDF",
    "tfidf": "words, TF-IDF",
    "bag_of_words": "bag of words",
    "punctuation": "punctuation only",
    "length": "length only",
    "majority": "majority class",
}
"""Everything that the lower panels show, from top to bottom."""

_ROW = 23


def drawn_separation(
    probes: pd.DataFrame,
    baselines: pd.DataFrame,
    headline: pd.DataFrame,
    *,
    evaluation: str,
    probe: str,
) -> pd.DataFrame:
    """Exactly what `separation_figure` draws.

    A row with a layer is the probe at that layer; a row without one is a classifier as a whole: a
    baseline, or the headline probe with its layer chosen on training prompts.

    Args:
        probes: Rows of the table of one model.
        baselines: Likewise.
        headline: Likewise.
        evaluation: Key of `EVALUATIONS`.
        probe: Which probe is drawn layer by layer.
    """
    columns = ["model", "emotion", "site", "layer", "classifier", "accuracy", "low", "high"]
    layered = probes[(probes["evaluation"] == evaluation) & (probes["probe"] == probe)]
    layered = layered.assign(classifier=probe)[[*columns, "shuffled", "n"]]
    nested = headline[headline["evaluation"] == evaluation]
    nested = nested.assign(
        classifier="probe " + nested["site"].astype(str),
        low=nested["accuracy_low"],
        high=nested["accuracy_high"],
        layer=pd.NA,
    )[columns]
    plain_ones = baselines[baselines["evaluation"] == evaluation]
    plain_ones = plain_ones.assign(classifier=plain_ones["baseline"], site="", layer=pd.NA)
    plain_ones = plain_ones[[*columns, "n"]]
    frames = [frame.astype({"layer": "Int64"}) for frame in (layered, nested, plain_ones)]
    return pd.concat([frame for frame in frames if len(frame)], ignore_index=True)


def separation_figure(
    drawn: pd.DataFrame, *, styles: Mapping[str, EmotionStyle], scheme: Scheme = "light"
) -> go.Figure:
    """Accuracy by layer above, every classifier as a whole below, one column for each emotion.

    Args:
        drawn: From `drawn_separation`.
        styles: A style for every emotion among the rows.
        scheme: Light or dark.
    """
    by_layer = drawn[drawn["layer"].notna()]
    whole = drawn[drawn["layer"].isna()]
    names = [name for name in CLASSIFIERS if name in set(whole["classifier"])]
    reach = span(
        drawn["accuracy"], drawn["low"], drawn["high"], drawn["shuffled"], at_least=(0.5, 1.0)
    )
    emotions = emotion_order(drawn["emotion"])
    rows: list[list[Panel]] = []
    heights: list[int] = []
    for start in range(0, len(emotions), COLUMNS):
        chunk = emotions[start : start + COLUMNS]
        for site in SITE_TITLES:
            own = by_layer[by_layer["site"] == site]
            if len(own):
                rows.append([_by_layer(own, whole, e, site, styles, scheme, reach) for e in chunk])
                heights.append(220)
        if names:
            rows.append([_whole(whole, emotion, names, styles, scheme, reach) for emotion in chunk])
            heights.append(_ROW * len(names) + 24)
    ink = INK[scheme]
    key = [
        key_line("probe", ink.text, symbol="circle"),
        key_band("95 % interval", null_fill(scheme)),
        key_line("best of the words", ink.text, dash="dash"),
        key_line("majority", ink.muted, dash="dot"),
    ]
    if drawn["shuffled"].notna().any():
        key.append(key_line("probe on shuffled labels", ink.muted))
    return panel_figure(rows, scheme=scheme, key=key, heights=heights)


def _by_layer(
    rows: pd.DataFrame,
    whole: pd.DataFrame,
    emotion: str,
    site: str,
    styles: Mapping[str, EmotionStyle],
    scheme: Scheme,
    reach: list[float],
) -> Panel:
    part = rows[rows["emotion"] == emotion].sort_values("layer")
    layers = [int(layer) for layer in part["layer"]]
    style, ink = styles[emotion], INK[scheme]
    others = whole[whole["emotion"] == emotion]
    words = others[others["classifier"].isin(WORDS)]
    majority = others[others["classifier"] == "majority"]
    traces = [
        band(layers, part["low"].tolist(), part["high"].tolist(), fill=style.band(scheme)),
        line(
            layers,
            part["shuffled"].tolist(),
            colour=ink.muted,
            name="shuffled labels",
            width=1.2,
            hover="%{y:.1%}",
        ),
        *(
            level(float(at), layers, colour=ink.muted, dash="dot")
            for at in majority["accuracy"].head(1)
        ),
    ]
    if len(words):
        traces.append(level(float(words["accuracy"].max()), layers, colour=ink.text, dash="dash"))
    traces.append(
        line(
            layers,
            part["accuracy"].tolist(),
            colour=style.colour,
            name="probe",
            dash=SITE_DASHES.get(site, "solid"),
            symbol=style.symbol,
            customdata=part[["low", "high"]].to_numpy(dtype=float).tolist(),
            hover="%{y:.1%} (95 % %{customdata[0]:.1%} to %{customdata[1]:.1%})",
        )
    )
    return Panel(
        title=f"<b>{plain(emotion)}</b>  {SITE_TITLES[site]}",  # type: ignore[index]
        traces=traces,
        x=layer_axis(layers),
        y={"title": {"text": "held-out accuracy"}, "range": reach, "tickformat": ".0%"},
    )


WORDS = ("bag_of_words", "tfidf", "char_tfidf", "layer_0")
"""Classifiers that see words only; layer 0 holds token embeddings and positions."""


def _whole(
    whole: pd.DataFrame,
    emotion: str,
    names: list[str],
    styles: Mapping[str, EmotionStyle],
    scheme: Scheme,
    reach: list[float],
) -> Panel:
    part = whole[whole["emotion"] == emotion].set_index("classifier")
    style, ink = styles[emotion], INK[scheme]
    own = [name for name in names if name in part.index]
    probes = [name.startswith("probe ") for name in own]
    values = part.loc[own]
    trace = go.Scatter(
        x=values["accuracy"].tolist(),
        y=[CLASSIFIERS[name] for name in own],
        mode="markers",
        name=plain(emotion),
        marker={
            "symbol": [style.symbol if probe else "circle-open" for probe in probes],
            "size": [10 if probe else 8 for probe in probes],
            "color": [style.colour if probe else ink.muted for probe in probes],
            "line": {"width": 1.4},
        },
        error_x={
            "type": "data",
            "symmetric": False,
            "array": (values["high"] - values["accuracy"]).tolist(),
            "arrayminus": (values["accuracy"] - values["low"]).tolist(),
            "color": ink.muted,
            "thickness": 1.2,
            "width": 0,
        },
        customdata=values[["low", "high"]].to_numpy(dtype=float).tolist(),
        hovertemplate=(
            "%{y}: %{x:.1%} (95 % %{customdata[0]:.1%} to %{customdata[1]:.1%})<extra></extra>"
        ),
        showlegend=False,
    )
    return Panel(
        title="",
        traces=[trace],
        x={
            "title": {"text": "held-out accuracy"},
            "range": reach,
            "tickformat": ".0%",
            "unifiedhovertitle": {"text": ""},
        },
        y={
            "type": "category",
            "categoryorder": "array",
            "categoryarray": [CLASSIFIERS[name] for name in reversed(names)],
            "range": [-0.6, len(names) - 0.4],
            "ticks": "",
        },
    )
