"""Every pair of models at one layer: the raw cosine beside the meaningful measures."""

from __future__ import annotations

import pandas as pd

from emoact.views.analysed import Analysed
from emoact.views.by_layer import HOOK
from emoact.views.view import Choice, Control, Shown, View

_COLUMNS = {
    "model_a": "model_a", "model_b": "model_b", "emotion": "emotion",
    "layer_a": "layer_a", "layer_b": "layer_b",
    "emotion_geometry": "emotion_geometry",
    "emotion_geometry_low": "geometry low", "emotion_geometry_high": "geometry high",
    "emotion_geometry_p_max": "geometry corrected p", "emotion_geometry_other": "matched wrongly",
    "raw_cos": "raw_cos (control)", "raw_low": "chance low", "raw_high": "chance high",
    "score_corr": "score_corr", "ceiling": "ceiling", "score_corr_p_max": "p over layers",
    "procrustes": "procrustes", "procrustes_null": "procrustes null",
    "cka": "cka", "cka_within": "cka_within", "rsa": "rsa",
}  # fmt: skip


def table(across: pd.DataFrame, similarity: pd.DataFrame, layer: int) -> pd.DataFrame:
    """One row for each pair of models and emotion at one site and layer of the first model."""
    here = across[across["layer_a"] == layer]
    if not len(here):
        return here
    whole = similarity[similarity["layer_a"] == layer].pivot_table(
        index=["model_a", "model_b"], columns="measure", values="value", dropna=False
    )
    joined = here.merge(whole.reset_index(), on=["model_a", "model_b"], how="left")
    kept = {name: title for name, title in _COLUMNS.items() if name in joined}
    return joined[list(kept)].rename(columns=kept).reset_index(drop=True)


def _layers(source: Analysed, choice: Choice) -> list[int]:
    known = source.rows("across", site=choice["hook"])["layer_a"]
    return list(range(int(known.max()) + 1)) if len(known) else [0]


def show(source: Analysed, choice: Choice) -> Shown:
    """The table of one layer."""
    across, similarity = (
        source.rows(name, site=choice["hook"]) for name in ("across", "similarity")
    )
    return Shown(
        table=table(across, similarity, choice["layer"]),
        chart=None,
        caption="Every pair of models and emotion at one layer",
        name=f"across-models-layer-{choice['layer']}",
    )


PLAN = View[Analysed](
    name="plan",
    page="across",
    title="Every pair at one layer",
    question="How do all pairs of models compare at one layer?",
    controls=(
        HOOK,
        Control(
            name="layer",
            label="Layer of the first model",
            kind="layer",
            options=_layers,
            default=lambda source, choice: len(_layers(source, choice)) // 2,
        ),
    ),
    show=show,
    answer=lambda _source, _choice, shown: [
        "**raw_cos is a negative control:** two models share no basis, so their directions have no "
        "reason to be similar, and values inside the chance band are expected."
        if shown.table.get("raw_cos (control)", pd.Series()).notna().any()
        else "",
        "emotion_geometry is about emotion, blank where either model does not show it; score_corr, "
        "procrustes, cka and rsa compare how the models respond to the same prompts, with or "
        "without emotion. An emotion_geometry or score_corr beyond 1 is divided by an uncertain "
        "number, and says no more than 1 does.",
    ],
    tab=False,
)
