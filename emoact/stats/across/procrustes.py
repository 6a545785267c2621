"""Procrustes: held-out cosine of two directions after a rotation of one model into the other."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from emoact.stats.cosine import plain_cosine
from emoact.stats.design import Design, class_weights, contrast_prompt_weights
from emoact.stats.null.pairing import shuffled_pairings
from emoact.stats.null.uncertainty import finite_mean

MAX_COMPONENTS = 50


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
