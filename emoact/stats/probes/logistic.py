"""L2-penalised logistic regression whose cost grows with prompts, not with dimensions."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float64

PENALTY_C = 1.0
"""Inverse strength of the penalty, scikit-learn's default."""

_MAX_STEPS = 100
_GRADIENT_TOLERANCE = 1e-10


def logistic_decisions(
    train: Float[np.ndarray, "train feature"],
    is_emotion: Bool[np.ndarray, " train"],
    test: Float[np.ndarray, "test feature"],
    *,
    penalty_c: float = PENALTY_C,
) -> Float64[np.ndarray, " test"]:
    """Decision values of scikit-learn's `LogisticRegression(C=penalty_c)`; positive is the emotion.

    The best weights lie in the span of the training rows, and a rotation does not change their
    length, so that the fit is done in at most as many coordinates as there are training prompts.
    That, and full Newton steps, make thousands of fits a matter of seconds.
    """
    mean = train.mean(axis=0, dtype=np.float64)
    centred, beyond = train - mean, test - mean
    if train.shape[1] > train.shape[0]:
        values, vectors = np.linalg.eigh(centred @ centred.T)
        kept = values > 1e-11 * max(float(values.max(initial=0.0)), np.finfo(np.float64).tiny)
        axes = vectors[:, kept] / np.sqrt(values[kept])
        beyond = (beyond @ centred.T) @ axes
        centred = vectors[:, kept] * np.sqrt(values[kept])
    weights, intercept = _fit(centred, is_emotion.astype(np.float64), penalty_c)
    return np.asarray(beyond @ weights + intercept, dtype=np.float64)


def _fit(
    features: Float64[np.ndarray, "train feature"],
    target: Float64[np.ndarray, " train"],
    penalty_c: float,
) -> tuple[Float64[np.ndarray, " feature"], float]:
    """Newton with step halving on |w|^2 / 2 + C sum log(1 + exp(-(2 y - 1) (w.x + b)))."""
    design = np.column_stack([features, np.ones(len(features))])
    ridge = np.ones(design.shape[1])
    ridge[-1] = 0.0
    weights = np.zeros(design.shape[1])
    loss = _loss(design, target, ridge, weights, penalty_c)
    for _ in range(_MAX_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(design @ weights, -500, 500)))
        gradient = ridge * weights + penalty_c * design.T @ (chance - target)
        if np.abs(gradient).max() < _GRADIENT_TOLERANCE:
            break
        curvature = penalty_c * chance * (1 - chance)
        hessian = (design.T * curvature) @ design + np.diag(ridge)
        # The intercept has no penalty; where all chances are certain it has no curvature either.
        hessian[-1, -1] += 1e-14
        step = np.linalg.solve(hessian, gradient)
        size, slope = 1.0, float(gradient @ step)
        while size > 1e-10:
            trial = weights - size * step
            trial_loss = _loss(design, target, ridge, trial, penalty_c)
            if trial_loss <= loss - 1e-4 * size * slope + 1e-13 * abs(loss):
                break
            size /= 2
        else:
            break
        weights, loss = trial, trial_loss
    return weights[:-1], float(weights[-1])


def _loss(
    design: Float64[np.ndarray, "train coordinate"],
    target: Float64[np.ndarray, " train"],
    ridge: Float64[np.ndarray, " coordinate"],
    weights: Float64[np.ndarray, " coordinate"],
    penalty_c: float,
) -> float:
    values = design @ weights
    likelihood = np.logaddexp(0.0, values) - target * values
    return float((ridge * weights**2).sum() / 2 + penalty_c * likelihood.sum())
