"""What the Across models page says first: which comparisons mean something, and the control."""

from __future__ import annotations

import math

import pandas as pd

from emoact.stats.across.between import CREDIBLE
from emoact.ui.direction_answers import site_words
from emoact.views.plots.theme import emotion_order
from emoact.views.text import listed, md, mono

ALPHA = 0.05


def scores_sentence(across: pd.DataFrame) -> str:
    """The headline: how alike two models rank the same prompts along an emotion.

    Args:
        across: Rows of one pair of models and one site.
    """
    parts = []
    for emotion in emotion_order(across["emotion"]):
        rows = across[across["emotion"] == emotion]
        tested = rows[rows["score_corr_p_max"].notna()]
        beyond = int((tested["score_corr_p_max"] <= ALPHA).sum())
        parts.append(
            f"{md(emotion)} {_corrected(rows['score_corr'].median())} "
            f"({_two(rows['score_corr_raw'].median())} before correction, beyond re-paired prompts "
            f"at {beyond} of {len(tested)} layers)"
        )
    first, second = (mono(str(across[name].iloc[0])) for name in ("model_a", "model_b"))
    where = site_words(str(across["site"].iloc[0]))
    return (
        f"**{first} and {second}, {where}:** median score correlation over matched layers, "
        f"corrected for reliability where it is known: {listed(parts)}."
    )


def similarity_sentence(similarity: pd.DataFrame) -> str:
    """The models as wholes, before and after the class means are removed."""
    medians = similarity.groupby("measure")["value"].median()
    if not len(medians) or "cka" not in medians:
        return ""
    return (
        f"As wholes they share {_two(medians['cka'])} unbiased CKA, "
        f"{_two(medians.get('cka_within', math.nan))} once class means are removed, and "
        f"{_two(medians.get('rsa', math.nan))} RSA (medians)."
    )


def control_sentence(across: pd.DataFrame, reason: str = "") -> str:
    """What the plan's raw cosine says, as the negative control that it is.

    Args:
        across: Rows of one pair of models and one site.
        reason: Why there is no raw cosine, where there is none.
    """
    known = across[across["raw_cos"].notna()]
    if not len(known):
        why = reason or "the models have different widths"
        return f"The plan's raw cosine is refused: {md(why)}."
    inside = known["raw_cos"].between(known["raw_low"], known["raw_high"])
    return (
        "The plan's raw cosine has no basis in common and serves as negative control: "
        f"{int(inside.sum())} of {len(known)} values lie inside the chance band "
        f"(largest {known['raw_cos'].abs().max():.2f})."
    )


def _corrected(median: float) -> str:
    return "no value, its reliability is near 0" if abs(median) > CREDIBLE else _two(median)


def _two(value: float) -> str:
    return "–" if not math.isfinite(value) else f"{value:.2f}"
