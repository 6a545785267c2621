"""What the Distances page says first: how alike the emotions are, and what inflates that."""

from __future__ import annotations

import math

import pandas as pd

from emoact.numbers import plural, significant
from emoact.ui.direction_answers import site_words
from emoact.views.plots.theme import emotion_order
from emoact.views.text import listed, md


def cosine_sentence(distances: pd.DataFrame) -> str:
    """The cross-validated cosines of every pair over the layers.

    Args:
        distances: Rows of one model and site.
    """
    parts = []
    for (a, b), rows in distances.groupby(["emotion_a", "emotion_b"], sort=False):
        known = rows[rows["cv_cosine"].notna()]
        one, other = emotion_order([a, b])
        if len(known):
            parts.append(
                f"{md(one)}–{md(other)} {_two(known['cv_cosine'].median())} "
                f"({_two(known['cv_cosine'].min())} to {_two(known['cv_cosine'].max())})"
            )
    if not parts:
        return "No cross-validated cosine exists here: no two emotions both have a strength."
    return (
        f"Cross-validated cosines in the {site_words(str(distances['site'].iloc[0]))}, median over "
        f"layers and range: {listed(parts)}."
    )


def null_sentence(distances: pd.DataFrame) -> str:
    """How often the plain cosine leaves the band of relabelled data, and where that band lies."""
    known = distances[distances["null_low"].notna() & distances["cosine"].notna()]
    if not len(known):
        expected = distances["expectation"].iloc[0]
        return f"Measured from the grand mean, the plain cosine of noise is {_two(expected)}."
    above = int((known["cosine"] > known["null_high"]).sum())
    below = int((known["cosine"] < known["null_low"]).sum())
    return (
        "Plain cosines of pure noise would already be about "
        f"{_two(known['expectation'].iloc[0])}, because all emotions subtract one neutral mean; "
        f"{above} of {len(known)} plain values lie above the band of relabelled data and {below} "
        "below it."
    )


def twin_sentence(distances: pd.DataFrame) -> str:
    """A warning where three dimensions tell the story, or nothing."""
    differing = distances[distances["twin_differs"].astype(bool)]
    if not len(differing):
        return ""
    row = differing.loc[differing["top_share"].idxmax()]
    layers = differing["layer"].nunique()
    return (
        f"At {plural(layers, 'layer')} the z-scored twin differs by more than .2; three dimensions "
        f"carry up to {100 * float(row['top_share']):.0f} % of the cosine there (layer "
        f"{int(row['layer'])}, {md(str(row['emotion_a']))}–{md(str(row['emotion_b']))}). "
        "Open markers show where: trust neither without the other."
    )


def space_sentence(axes: pd.DataFrame) -> str:
    """How much of the variance the drawn axes hold.

    Args:
        axes: Rows of one model, layer and basis.
    """
    parts = []
    for site, rows in axes.groupby("site", sort=False):
        shares = rows.sort_values("axis")["explained"].tolist()
        two, three = sum(shares[:2]), sum(shares[:3])
        parts.append(f"{_percent(two)} (three axes {_percent(three)}) in the {site_words(site)}")
    return (
        f"Two axes hold {listed(parts)} of the variance at layer {int(axes['layer'].iloc[0])}: "
        "what lies apart here is apart, what overlaps here may still be apart elsewhere."
    )


def _two(value: float) -> str:
    return "–" if not math.isfinite(value) else f"{value:.2f}"


def _percent(share: float) -> str:
    return "–" if not math.isfinite(share) else f"{significant(100 * share, 2)} %"
