"""Directions of two models: score correlation, Procrustes, and the raw cosine as a control."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from emoact.stats.cosine import plain_cosine
from emoact.stats.design import Design, class_weights, contrast_prompt_weights
from emoact.stats.null.pairing import PairingTest, pairing_test, shuffled_pairings
from emoact.stats.null.uncertainty import finite_mean
from emoact.stats.rank import unit_ranks

MAX_COMPONENTS = 50


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


def held_out_procrustes(
    first: Float[np.ndarray, "prompt prompt"],
    second: Float[np.ndarray, "prompt prompt"],
    design: Design,
    contrasts: Float[np.ndarray, "contrast label"],
    folds: Int[np.ndarray, " prompt"],
    *,
    n_draws: int = 0,
    seed: int = 0,
) -> Float64[np.ndarray, "draw_and_one contrast"]:
    """Mean over folds of `carried_cosines`; row 0 true pairing, then the shuffled ones.

    Folds without a value are left out of the mean; NaN where none has one.
    """
    per_fold = np.stack(
        [
            carried_cosines(
                first, second, design, contrasts, folds == fold, n_draws=n_draws, seed=seed
            )
            for fold in np.unique(folds)
        ]
    )
    return finite_mean(per_fold)


def carried_cosines(
    first: Float[np.ndarray, "prompt prompt"],
    second: Float[np.ndarray, "prompt prompt"],
    design: Design,
    contrasts: Float[np.ndarray, "contrast label"],
    test: Bool[np.ndarray, " prompt"],
    *,
    n_draws: int = 0,
    seed: int = 0,
) -> Float64[np.ndarray, "draw_and_one contrast"]:
    """cos(R d_first, d_second), R from the training prompts, both directions from the test prompts.

    The principal components (at most 50) come from the training prompts too. Fitted and read on the
    same prompts, independent noise would score .4 to .9. The null re-pairs the training prompts
    within their classes: it keeps what the classes alone align.

    Source: Schoenemann 1966 (orthogonal Procrustes).
    """
    train = ~test
    blank = np.full((1 + n_draws, len(contrasts)), np.nan)
    width = min(MAX_COMPONENTS, int(train.sum()) - 1)
    if width < 1:
        return blank
    left, right = (principal_scores(gram, train, width) for gram in (first, second))
    width = min(left.shape[1], right.shape[1])
    if width < 1:
        return blank
    left, right = left[:, :width], right[:, :width]
    shuffled = shuffled_pairings(design.label_of[train], n_draws, seed=seed)
    orders = np.vstack([np.arange(int(train.sum()))[None], shuffled])
    rotations = _rotations(left[train], right[train], orders)
    held_out = np.isin(np.arange(design.n_scenarios), design.scenario_of[test])
    weights = class_weights(design, held_out)
    for index, contrast in enumerate(contrasts):
        mean = contrast_prompt_weights(weights, contrast)
        if np.isfinite(mean).all():
            carried = (mean @ left) @ rotations
            target = np.broadcast_to(mean @ right, carried.shape)
            blank[:, index] = plain_cosine(carried, target)
    return blank


def principal_scores(
    gram: Float[np.ndarray, "prompt prompt"], train: Bool[np.ndarray, " prompt"], width: int
) -> Float64[np.ndarray, "prompt component"]:
    """Scores of all prompts on the leading components of the training prompts.

    Components whose variance is rounding error are dropped.
    """
    centring = train / train.sum()
    offset = gram @ centring
    about = gram - offset[:, None] - offset[None, :] + centring @ offset
    values, vectors = np.linalg.eigh(about[np.ix_(train, train)])
    leading = values[::-1][:width]
    leading = leading[leading > 1e-12 * float(leading.max(initial=0.0))]
    axes = vectors[:, ::-1][:, : len(leading)]
    return np.asarray(about[:, train] @ axes / np.sqrt(leading))


def _rotations(
    left: Float64[np.ndarray, "prompt component"],
    right: Float64[np.ndarray, "prompt component"],
    orders: Int[np.ndarray, "draw prompt"],
) -> Float64[np.ndarray, "draw component component"]:
    outer = np.stack([left.T @ right[order] for order in orders])
    from_left, _, to_right = np.linalg.svd(outer)
    return np.asarray(from_left @ to_right)


@dataclass(frozen=True, kw_only=True, eq=False)
class RawCosine:
    """Cosine of two directions that have no basis in common.

    Attributes:
        band: 2.5 % and 97.5 % quantiles when both models' labels are shuffled within scenarios.
        isotropic: 1.96 / sqrt(d_model), the band of isotropic noise; real activations have steeper
            spectra, and a wider band.
    """

    value: Float64[np.ndarray, " layer"]
    band: Float64[np.ndarray, "2 layer"]
    isotropic: float


def relabelled_directions(
    features: Float[np.ndarray, "prompt layer d_model"],
    draws: Bool[np.ndarray, "draw prompt"],
    pool: Bool[np.ndarray, " prompt"],
) -> Float64[np.ndarray, "draw layer d_model"]:
    """The plain direction under each of the draws of `permutation.relabellings`."""
    emotion = draws[:, pool].astype(np.float64)
    reference = 1 - emotion
    weights = emotion / emotion.sum(axis=1, keepdims=True) - reference / reference.sum(
        axis=1, keepdims=True
    )
    return np.asarray(np.tensordot(weights, features[pool].astype(np.float64), axes=1))


def compare_raw(
    first: Float[np.ndarray, "layer d_model"],
    second: Float[np.ndarray, "layer d_model"],
    first_null: Float[np.ndarray, "draw layer d_model"],
    second_null: Float[np.ndarray, "draw layer d_model"],
) -> RawCosine:
    """The cosine of two models' directions and its band under shuffled labels.

    The two nulls should come from relabellings of different seeds.
    """
    return RawCosine(
        value=plain_cosine(first, second),
        band=np.quantile(plain_cosine(first_null, second_null), (0.025, 0.975), axis=0),
        isotropic=1.96 / float(np.sqrt(first.shape[-1])),
    )
