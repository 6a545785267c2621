"""Linear probes: mass-mean, shrinkage LDA and logistic, tested on held-out scenarios."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from emoact.stats.design import Design
from emoact.stats.directions.separation import held_out_scores
from emoact.stats.probes.lda import lda_decisions
from emoact.stats.probes.logistic import logistic_decisions
from emoact.stats.products import centre, divide_by_sd, inverse_sd

ProbeKind = Literal["mass_mean", "lda", "logistic"]
Decide = Callable[
    [
        Float[np.ndarray, "train feature"],
        Bool[np.ndarray, " train"],
        Float[np.ndarray, "test feature"],
    ],
    Float64[np.ndarray, " test"],
]

PROBE_KINDS: tuple[ProbeKind, ...] = get_args(ProbeKind)


def mass_mean_decisions(
    train: Float[np.ndarray, "train feature"],
    is_emotion: Bool[np.ndarray, " train"],
    test: Float[np.ndarray, "test feature"],
) -> Float64[np.ndarray, " test"]:
    """(x - midpoint) . (mean(emotion) - mean(reference)); positive is the emotion.

    Source: Marks & Tegmark 2310.06824.
    """
    here, there = train[is_emotion].mean(axis=0), train[~is_emotion].mean(axis=0)
    return np.asarray((test - (here + there) / 2) @ (here - there), dtype=np.float64)


DECIDERS: dict[ProbeKind, Decide] = {
    "mass_mean": mass_mean_decisions,
    "lda": lda_decisions,
    "logistic": logistic_decisions,
}


def standardised(
    train: Float[np.ndarray, "train feature"], test: Float[np.ndarray, "test feature"]
) -> tuple[Float64[np.ndarray, "train feature"], Float64[np.ndarray, "test feature"]]:
    """Both in units of the training prompts' standard deviations, about their mean."""
    exact = train.astype(np.float64)
    mean = exact.mean(axis=0)
    scale = inverse_sd(exact.std(axis=0))
    return (exact - mean) * scale, (test.astype(np.float64) - mean) * scale


def trained_decisions(
    decide: Decide,
    features: Float[np.ndarray, "prompt feature"],
    is_emotion: Bool[np.ndarray, " prompt"],
    train: Bool[np.ndarray, " prompt"],
    test: Bool[np.ndarray, " prompt"],
) -> Float64[np.ndarray, " test"]:
    """Decision values of the test prompts; NaN where the training prompts lack a class."""
    labels = is_emotion[train]
    if labels.all() or not labels.any():
        return np.full(int(test.sum()), np.nan)
    train_features, test_features = standardised(features[train], features[test])
    return decide(train_features, labels, test_features)


def cross_validated_decisions(
    decide: Decide,
    features: Float[np.ndarray, "prompt feature"],
    is_emotion: Bool[np.ndarray, " prompt"],
    used: Bool[np.ndarray, " prompt"],
    folds: Int[np.ndarray, " prompt"],
) -> Float64[np.ndarray, " prompt"]:
    """Decision value of each used prompt by a probe that saw the other folds; NaN elsewhere."""
    decisions = np.full(len(features), np.nan)
    for fold in np.unique(folds[used]):
        test = used & (folds == fold)
        decisions[test] = trained_decisions(
            decide, features, is_emotion, used & (folds != fold), test
        )
    return decisions


def correctness(
    decisions: Float[np.ndarray, "*rest prompt"], is_emotion: Bool[np.ndarray, " prompt"]
) -> Float64[np.ndarray, "*rest prompt"]:
    """1 where the sign is right, 0 where it is wrong, 1/2 for a decision of 0, NaN for none."""
    sided = np.where(is_emotion, 1.0, -1.0) * np.sign(decisions)
    return np.asarray((sided + 1) / 2)


def nested_layers(
    design: Design,
    features: Float[np.ndarray, "prompt layer d_model"],
    contrast: Float[np.ndarray, " label"],
    folds: Int[np.ndarray, " prompt"],
    *,
    seed: int = 0,
) -> Int[np.ndarray, " fold"]:
    """The layer chosen for each fold, by held-out AUROC inside its training prompts only.

    A layer chosen by its held-out accuracy would bias that accuracy upwards. -1 where the training
    prompts do not allow a choice.
    """
    return np.array(
        [
            best_layer(design, features, contrast, folds != fold, seed=seed)
            for fold in range(int(folds.max()) + 1)
        ],
        dtype=np.int64,
    )


def best_layer(
    design: Design,
    features: Float[np.ndarray, "prompt layer d_model"],
    contrast: Float[np.ndarray, " label"],
    train: Bool[np.ndarray, " prompt"],
    *,
    seed: int = 0,
) -> int:
    """The first layer with the highest cross-validated AUROC among these prompts, or -1."""
    from scipy.stats import rankdata

    from emoact.stats.null.splits import scenario_folds

    chosen = train & (contrast[design.label_of] != 0)
    if not chosen.any():
        return -1
    inner = design.take(chosen)
    used = np.flatnonzero(contrast)
    if any(design.labels[label] not in inner.labels for label in used):
        return -1
    inner_contrast = np.array([contrast[design.index(label)] for label in inner.labels])
    folds = scenario_folds(inner, seed=seed + 1)
    scores = np.empty((features.shape[1], inner.n_prompts))
    for layer in range(features.shape[1]):
        # Layers are chosen in the units that probes see.
        vectors = divide_by_sd(centre(features[:, layer : layer + 1]))
        scores[layer] = held_out_scores(inner, vectors[chosen], inner_contrast, folds)[0]
    side = inner_contrast[inner.label_of]
    ranks = rankdata(scores[:, side != 0], axis=1, nan_policy="propagate")
    auroc = ranks[:, side[side != 0] > 0].sum(axis=1)
    return int(np.nanargmax(auroc)) if np.isfinite(auroc).any() else -1
