"""Do two models place the same prompts alike along an emotion, beyond the labels?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from emoact.stats.design import Design, class_weights
from emoact.stats.directions.separation import projected_scores
from emoact.stats.null.pairing import PairingTest, pairing_test
from emoact.stats.products import Gram
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


def score_reliability(
    design: Design,
    gram: Gram,
    contrast: Float[np.ndarray, " label"],
    folds: Int[np.ndarray, " prompt"],
    halves: Bool[np.ndarray, "split scenario"],
) -> Float64[np.ndarray, " layer"]:
    """How far the held-out scores repeat when the direction is made from other scenarios.

    For each split the training scenarios of each fold are halved, both directions score the test
    prompts, and the two sets of scores are correlated given the labels. The mean correlation r over
    splits becomes 2 r / (1 + r), the reliability of the direction of both halves. NaN where it is
    not positive, because then it bounds nothing.

    Source: Spearman 1910, Brown 1910.
    """
    first, second = (
        _scores_from_half(design, gram, contrast, folds, side) for side in (halves, ~halves)
    )
    used = contrast[design.label_of] != 0
    groups = design.label_of[used]
    per_split = np.einsum(
        "slp,slp->sl", unit_ranks(first[..., used], groups), unit_ranks(second[..., used], groups)
    )
    finite = np.isfinite(per_split)
    n = finite.sum(axis=0)
    total = np.where(finite, per_split, 0.0).sum(axis=0)
    mean = np.divide(total, n, out=np.full(len(gram), np.nan), where=n > 0)
    return np.where(mean > 0, 2 * mean / (1 + np.where(mean > 0, mean, 0.0)), np.nan)


def _scores_from_half(
    design: Design,
    gram: Gram,
    contrast: Float[np.ndarray, " label"],
    folds: Int[np.ndarray, " prompt"],
    half: Bool[np.ndarray, "split scenario"],
) -> Float64[np.ndarray, "split layer prompt"]:
    scores = np.full((len(half), len(gram), design.n_prompts), np.nan)
    for fold in np.unique(folds):
        held_out = np.isin(np.arange(design.n_scenarios), design.scenario_of[folds == fold])
        test = np.flatnonzero(folds == fold)
        scores[..., test] = projected_scores(
            gram, class_weights(design, half & ~held_out), contrast, test
        )
    return scores
