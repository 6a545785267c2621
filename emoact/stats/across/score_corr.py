"""Score correlation: agreement of two models on the same prompts, given the classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int

from emoact.stats.design import Design
from emoact.stats.null.pairing import PairingTest, pairing_test
from emoact.stats.rank import unit_ranks


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoreCorrelation:
    """Correlation of two models' held-out projections, every layer with every layer.

    Attributes:
        raw: Partial Spearman correlation given the labels.
        ceiling: sqrt(reliability_first * reliability_second); NaN unless both are positive.
        corrected: raw / ceiling, not clipped.
    """

    raw: Float64[np.ndarray, "first_layer second_layer"]
    ceiling: Float64[np.ndarray, "first_layer second_layer"]
    corrected: Float64[np.ndarray, "first_layer second_layer"]


def partial_ranks(
    scores: Float[np.ndarray, "layer prompt"],
    design: Design,
    contrast: Float[np.ndarray, " label"],
) -> Float64[np.ndarray, "layer used"]:
    """Unit ranks of the held-out scores of the contrast's prompts, without their class means."""
    used = contrast[design.label_of] != 0
    return unit_ranks(scores[:, used], design.label_of[used])


def correlate_scores(
    first: Float[np.ndarray, "first_layer used"],
    second: Float[np.ndarray, "second_layer used"],
    first_reliability: Float[np.ndarray, " first_layer"],
    second_reliability: Float[np.ndarray, " second_layer"],
) -> ScoreCorrelation:
    """The headline measure across models, from `partial_ranks` and `score_reliability`.

    Source: Spearman 1904 (correction for attenuation).
    """
    raw = np.asarray(first @ second.T)
    defined = (first_reliability > 0)[:, None] & (second_reliability > 0)[None, :]
    product = np.where(defined, first_reliability[:, None] * second_reliability[None, :], np.nan)
    ceiling = np.sqrt(product)
    return ScoreCorrelation(raw=raw, ceiling=ceiling, corrected=raw / ceiling)


def score_corr_test(
    first: Float[np.ndarray, "layer used"],
    second: Float[np.ndarray, "layer used"],
    pairings: Int[np.ndarray, "draw used"],
) -> PairingTest:
    """Layer-matched raw correlation against pairings shuffled within classes."""
    null = np.stack([np.einsum("lp,lp->l", first, second[:, order]) for order in pairings])
    return pairing_test(np.einsum("lp,lp->l", first, second), null)
