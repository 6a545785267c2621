"""The sentences that a page begins with, computed from the rows that it draws."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from emoact import numbers
from emoact.numbers import significant
from emoact.sites import words
from emoact.stats.findings.finding import ActivationFinding, span
from emoact.stats.findings.sinks import SINK
from emoact.views.plots.norms import KIND_TITLES
from emoact.views.text import md, mono


def sink_sentence(ratios: pd.DataFrame, *, content_start: int) -> str:
    """How much position 0 stands out, and whether the medians below hold it.

    Args:
        ratios: Of one model and one site.
        content_start: 0 when position 0 is the first word of the prompt.
    """
    known = ratios[np.isfinite(ratios["ratio"])]
    if known.empty:
        return ""
    largest = known.loc[known["ratio"].idxmax()]
    times = f"{significant(largest.ratio)} times the median {words(largest.site)} norm"
    if content_start == 0:
        # Nothing was prepended, so the first word cannot be left out as if it were no content.
        return (
            f"No BOS was prepended: position 0 is the first word, carries up to {times} "
            f"(layer {largest.layer}) and is part of the medians below."
        )
    if largest.ratio >= SINK:
        return (
            f"Position 0 carries {times} at layer {largest.layer} (first-token sink); "
            "it is left out of the medians below."
        )
    return (
        f"Position 0 is no sink: at most {times} (layer {largest.layer}); "
        "it is left out of the medians below."
    )


def massive_sentence(found: ActivationFinding | None) -> str:
    """The prompts with massive tokens, and the consequence for differences between emotions."""
    if found is None:
        return ""
    figures = found.figures
    n_prompts = int(figures["n_prompts"])
    return (
        f"{n_prompts} of {figures['n_all_prompts']} prompts "
        f"{'contains' if n_prompts == 1 else 'contain'} a token whose {words(str(found.site))} "
        f"norm is more than {SINK:g} times the median ({span(found.layers)}): "
        f"{md(str(figures['tokens']))}, up to {significant(float(figures['ratio']))} times. "
        "Differences between emotions at these layers may come from these tokens."
    )


def course_sentence(rows: pd.DataFrame) -> str:
    """From where to where the medians go over the layers, over all emotions.

    Args:
        rows: Content rows of one model and one site.
    """
    finite = rows[np.isfinite(rows["median"])]
    middle = finite.groupby("layer")["median"].quantile(0.5, interpolation="higher")
    if len(middle) < 2:
        return ""
    first, last, peak = middle.index[0], middle.index[-1], middle.idxmax()
    row = rows.iloc[0]
    sentence = (
        f"Over the content the median {words(row.site)} {KIND_TITLES[row.norm]} goes from "
        f"{significant(middle[first])} at layer {first} to {significant(middle[last])} "
        f"at layer {last}"
    )
    if peak not in (first, last):
        sentence += f", highest at layer {peak} ({significant(middle[peak])})"
    return sentence + "."


def spread_sentence(rows: pd.DataFrame, *, without: Sequence[int] = ()) -> str:
    """How far apart the medians of the emotions are where they are furthest apart.

    Args:
        rows: Content rows of one model and one site.
        without: Layers at which a few tokens decide the medians; not spoken of.
    """
    usable = np.isfinite(rows["median"]) & (rows["median"] > 0) & ~rows["layer"].isin(list(without))
    by_layer = rows[usable].groupby("layer")["median"]
    spreads = (by_layer.max() / by_layer.min())[by_layer.size() > 1]
    if spreads.empty:
        return ""
    layer = spreads.idxmax()
    at = rows[usable & (rows["layer"] == layer)]
    high, low = at.loc[at["median"].idxmax()], at.loc[at["median"].idxmin()]
    return (
        f"{'At the other layers' if without else 'Between emotions'} the medians"
        f"{' of emotions' if without else ''} differ by at most "
        f"{numbers.percent(spreads[layer] - 1)} "
        f"(layer {layer}: {md(high['emotion'])} {significant(high['median'])}, "
        f"{md(low['emotion'])} {significant(low['median'])})."
    )


def broken_sentence(rows: pd.DataFrame) -> str:
    """Which rows hold NaN or infinity, or nothing."""
    broken = rows[rows["n_nonfinite"] > 0]
    if broken.empty:
        return ""
    first, n_files = broken.iloc[0], len(broken.groupby(["model", "emotion"]))
    return (
        f"NaN or infinite values in {n_files} of the files, "
        f"first in {mono(first.model)} {md(first.emotion)}, {first.site}, layer {first.layer}: "
        "the lines have gaps there."
    )
