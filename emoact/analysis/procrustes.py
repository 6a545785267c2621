"""Whether a rotation learnt on some prompts carries one model's direction into the other's."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from emoact.analysis.design import Design, class_weights, contrast_prompt_weights
from emoact.analysis.pairing import shuffled_pairings

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
    max_components: int = MAX_COMPONENTS,
) -> Float64[np.ndarray, "draw_and_one contrast"]:
    """Mean over folds of cos(R d_first, d_second); row 0 true pairing, then the shuffled ones.

    The principal components (at most `max_components`) and the rotation R between them come from
    the training prompts, the two directions from the test prompts. Fitted and read on the same
    prompts, independent noise would score .4 to .9.

    Args:
        first: Gram matrix of the prompts at a layer of one model.
        second: The same prompts at a layer of the other; the widths may differ.
        design: Classes and scenarios of the prompts.
        contrasts: The directions to carry over.
        folds: Fold of each prompt.
        n_draws: Number of null draws, in which the training prompts are re-paired within classes.
        seed: Of those draws; the same seed re-pairs every layer alike.
        max_components: Upper limit of the common width.

    Source: Schoenemann 1966 (orthogonal Procrustes), held out as in cross-validated alignment.
    """
    total = np.zeros((1 + n_draws, len(contrasts)))
    n_folds = np.zeros(len(contrasts))
    for fold in np.unique(folds):
        test = folds == fold
        test_weights = class_weights(
            design, np.isin(np.arange(design.n_scenarios), design.scenario_of[test])
        )
        width = min(max_components, int((~test).sum()) - 1)
        left, right = (principal_scores(gram, ~test, width) for gram in (first, second))
        width = min(left.shape[1], right.shape[1])
        if width < 1:
            continue
        left, right = left[:, :width], right[:, :width]
        shuffled = shuffled_pairings(design.label_of[~test], n_draws, seed=seed)
        orders = np.vstack([np.arange(int((~test).sum()))[None], shuffled])
        rotations = _rotations(left[~test], right[~test], orders)
        for index, contrast in enumerate(contrasts):
            weights = contrast_prompt_weights(test_weights, contrast)
            if not np.isfinite(weights).all():
                continue
            cosines = _cosines((weights @ left) @ rotations, weights @ right)
            if np.isfinite(cosines).all():
                total[:, index] += cosines
                n_folds[index] += 1
    return np.asarray(total / np.where(n_folds > 0, n_folds, np.nan))


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


def _cosines(
    carried: Float64[np.ndarray, "draw component"], target: Float64[np.ndarray, " component"]
) -> Float64[np.ndarray, " draw"]:
    length = np.sqrt((carried**2).sum(axis=1) * (target**2).sum())
    return np.asarray((carried @ target) / np.where(length > 0, length, np.nan))
