"""Figures in the words of a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float64

from emoact.stats.audit.text import Texts


def means_by_emotion(texts: Texts, values: Float64[np.ndarray, " prompt"]) -> dict[str, float]:
    """Mean of a feature for each emotion."""
    return {emotion: float(values[texts.of(emotion)].mean()) for emotion in texts.emotions}


def listed(means: Mapping[str, float], *, as_share: bool) -> str:
    """Means as `anger 12.3, neutral 24.1`, or shares as `anger 52 %`; the extremes of many."""
    ordered = sorted(means.items(), key=lambda item: -item[1])
    shown = [f"{emotion} {percent(v) if as_share else mean_value(v)}" for emotion, v in ordered]
    return ", ".join(shown if len(shown) <= 6 else [*shown[:2], "...", *shown[-2:]])


def mean_value(mean: float) -> str:
    """A mean with as many digits as it is worth."""
    return f"{mean:.1f}" if mean >= 10 else f"{mean:.2f}"


def percent(share: float) -> str:
    """A share as a whole number of per cent."""
    return f"{100 * share:.0f} %"


def p_value(p: float) -> str:
    """A p-value with as many digits as it is worth."""
    return f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def some(items: Sequence[str], *, limit: int = 5) -> str:
    """The first few items, and how many more there are."""
    more = len(items) - limit
    return ", ".join(items[:limit]) + (f" and {more} more" if more > 0 else "")


def counted(count: int, one: str, many: str) -> str:
    """A number with the words that fit it."""
    return f"{count:,} {one if count == 1 else many}"
