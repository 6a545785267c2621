"""Held-out accuracy with its interval, and its comparison with word baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from emoact.stats.design import Design
from emoact.stats.null.uncertainty import percentile_interval

Verdict = Literal["beyond_words", "lexical_suffices", "no_separation", "undecided"]

VERDICTS: dict[Verdict, str] = {
    "beyond_words": "The probe does better than every classifier that sees words only.",
    "lexical_suffices": "Lexical information suffices; no evidence beyond words.",
    "no_separation": "The probe does not reliably do better than naming the larger class.",
    "undecided": "Too few held-out prompts, or classes that do not differ by more than chance.",
}


MIN_UNITS = 6
"""Fewest held-out scenarios for a verdict: five agree by chance with 2 ** -5 > 2.5 %."""


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Share of right held-out decisions.

    Attributes:
        value: The share; NaN where nothing was decided.
        low: Lower end of the 95 % percentile bootstrap over scenarios.
        high: Upper end.
        n: Decided prompts.
    """

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, kw_only=True)
class LexicalComparison:
    """Comparison of a probe with the best classifier that sees words only.

    Attributes:
        verdict: Key of `VERDICTS`.
        baseline: The word baseline with the highest accuracy.
        difference: Accuracy of the probe minus that of the baseline, on the same prompts.
        low: Lower end of its paired 95 % percentile bootstrap over scenarios.
        high: Upper end.
    """

    verdict: Verdict
    baseline: str
    difference: float
    low: float
    high: float


def measure_accuracy(
    correct: Float[np.ndarray, " prompt"], design: Design, draws: Int[np.ndarray, "draw scenario"]
) -> Accuracy:
    """The mean of `probes.correctness` over decided prompts, with its interval."""
    decided = np.isfinite(correct)
    if not decided.any():
        return Accuracy(value=np.nan, low=np.nan, high=np.nan, n=0)
    low, high = percentile_interval(_drawn_means(correct, design, draws))
    return Accuracy(
        value=float(correct[decided].mean()), low=float(low), high=float(high), n=int(decided.sum())
    )


def compare_with_words(
    probe: Float[np.ndarray, " prompt"],
    lexical: Mapping[str, Float[np.ndarray, " prompt"]],
    majority: Float[np.ndarray, " prompt"],
    design: Design,
    draws: Int[np.ndarray, "draw scenario"],
) -> LexicalComparison:
    """Compare a probe with the best word baseline, and give the verdict.

    All arguments are `probes.correctness` of the same prompts. The best lexical baseline is taken,
    which can only lower the difference. Intervals of a handful of scenarios are too narrow, so that
    the verdict below `MIN_UNITS` scenarios is `undecided`.
    """
    decided = np.isfinite(probe)
    if not decided.any() or not lexical:
        return LexicalComparison(
            verdict="undecided", baseline="", difference=np.nan, low=np.nan, high=np.nan
        )
    best = max(lexical, key=lambda kind: _mean(lexical[kind]))
    difference = probe - lexical[best]
    low, high = percentile_interval(_drawn_means(difference, design, draws))
    above, _ = percentile_interval(_drawn_means(probe - majority, design, draws))
    verdict: Verdict
    n_units = len(np.unique(design.scenario_of[decided]))
    if n_units < MIN_UNITS or not np.isfinite(low) or not np.isfinite(above):
        verdict = "undecided"
    elif above <= 0:
        verdict = "no_separation"
    else:
        verdict = "beyond_words" if low > 0 else "lexical_suffices"
    return LexicalComparison(
        verdict=verdict,
        baseline=best,
        difference=_mean(difference),
        low=float(low),
        high=float(high),
    )


def _drawn_means(
    values: Float[np.ndarray, " prompt"], design: Design, draws: Int[np.ndarray, "draw scenario"]
) -> Float[np.ndarray, " draw"]:
    decided = np.isfinite(values)
    weights = draws[:, design.scenario_of[decided]].astype(np.float64)
    total = weights.sum(axis=1)
    return np.asarray(weights @ values[decided] / np.where(total > 0, total, np.nan))


def _mean(values: Float[np.ndarray, " prompt"]) -> float:
    decided = np.isfinite(values)
    return float(values[decided].mean()) if decided.any() else -np.inf
