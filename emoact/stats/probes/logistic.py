"""L2-penalised logistic regression with classes of equal weight."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64

PENALTY_C = 1.0
"""Inverse strength of the penalty, scikit-learn's default."""

Decide = Callable[[Bool[np.ndarray, " train"]], Float64[np.ndarray, " test"]]
"""From the classes of the training prompts to decision values of the tested ones."""

_FEW = 500
"""Training prompts up to which the fit by prompts is faster than that by features."""
_MAX_STEPS = 100
_NEAR = 1e-5
"""Change of decision values after which a step is the last."""
_SETTLED = 0.6
"""Change of decision values after which the curvature is kept: steps with it cost a tenth, and each
still takes most of the error away."""
_FIRST = 3.0
"""Decision values of the training prompts at the start: near those of a separated fit."""
_FAR = 30.0
"""Decision value beyond which the chance of a class counts as certain."""


def logistic_decisions(
    train: Float[np.ndarray, "train feature"],
    is_emotion: Bool[np.ndarray, " train"],
    test: Float[np.ndarray, "test feature"],
    *,
    penalty_c: float = PENALTY_C,
) -> Float64[np.ndarray, " test"]:
    """Decision values of scikit-learn's logistic regression; positive is the emotion.

    The numbers are those of `LogisticRegression(C=penalty_c, class_weight="balanced")`.
    """
    return logistic_probe(train, test, penalty_c=penalty_c)(is_emotion)


def logistic_probe(
    train: Float[np.ndarray, "train feature"],
    test: Float[np.ndarray, "test feature"],
    *,
    penalty_c: float = PENALTY_C,
) -> Decide:
    """The same for any classes of these training prompts.

    The best weights are a sum of training prompts. Where there are fewer prompts than features, or
    few prompts, the fit is one of the coefficients of that sum.
    """
    if len(train) > max(train.shape[1], _FEW):
        return lambda is_emotion: _by_features(train, is_emotion, test, penalty_c)
    here, there = train - train.mean(axis=0), test - train.mean(axis=0)
    products, with_test = here @ here.T, there @ here.T

    def decide(is_emotion: Bool[np.ndarray, " train"]) -> Float64[np.ndarray, " test"]:
        found = kernel_decisions(products, is_emotion, with_test, penalty_c=penalty_c)
        # The sign of what is smaller is that of rounding: prompts without a difference.
        return np.where(np.abs(found) < _NEAR, 0.0, found)

    return decide


def kernel_decisions(
    products: Float[np.ndarray, "train train"],
    is_emotion: Bool[np.ndarray, " train"],
    with_test: Float[np.ndarray, "test train"],
    *,
    penalty_c: float = PENALTY_C,
) -> Float64[np.ndarray, " test"]:
    """The same from inner products of prompts, by Newton's method with step halving.

    Matrices are factored in single precision. Each step solves for what is missing at the values in
    double precision, so that a step that is a little wrong costs another step and no digit.

    Args:
        products: Of the training prompts.
        is_emotion: Class of the training prompts.
        with_test: Of the test prompts with the training prompts.
        penalty_c: Inverse strength of the penalty.
    """
    kernel, single = (np.asarray(products, dtype=kind) for kind in (np.float64, np.float32))
    target, weight = is_emotion.astype(np.float64), penalty_c * class_weights(is_emotion)
    coefficients, intercept, values = np.zeros(len(kernel)), 0.0, _FIRST * (2 * target - 1)
    loss = change = np.inf
    for number in range(_MAX_STEPS):
        near = np.clip(values, -_FAR, _FAR)
        chance = 1 / (1 + np.exp(-near))
        pull = weight * (chance - target)
        if change > _SETTLED:
            root = np.sqrt(weight * chance * (1 - chance))
            solve = _solver(kernel, single, root)
            of_root = solve(root)
        # The first decision values belong to no coefficients yet.
        aim = root * near - pull / root if number == 0 else -(coefficients + pull) / root
        solved = solve(aim)
        intercept_step = (root @ solved + coefficients.sum()) / (root @ of_root)
        step = root * (solved - intercept_step * of_root)
        size = 1.0
        while True:
            trial = coefficients + size * step
            trial_intercept = intercept + size * intercept_step
            without = kernel @ trial
            moved = without + trial_intercept
            trial_loss = trial @ without / 2 + weight @ (np.logaddexp(0, moved) - target * moved)
            if trial_loss <= loss + 1e-10 * abs(loss) or size < 1e-6:
                break
            size /= 2
        change = np.abs(moved - values).max()
        coefficients, intercept, values, loss = trial, trial_intercept, moved, float(trial_loss)
        if change < _NEAR:
            break
    return np.asarray(with_test @ coefficients + intercept, dtype=np.float64)


def _solver(
    kernel: Float64[np.ndarray, "train train"],
    single: Float32[np.ndarray, "train train"],
    root: Float64[np.ndarray, " train"],
) -> Callable[[Float64[np.ndarray, " train"]], Float64[np.ndarray, " train"]]:
    """Solves linear systems of 1 + root kernel root, in single precision where that can be."""
    # Called a hundred thousand times: what scipy's own functions do around LAPACK would be felt.
    from scipy.linalg import LinAlgError, lapack

    def factored(held: np.ndarray, factor: Any) -> tuple[np.ndarray, int]:
        scale: np.ndarray = root.astype(held.dtype)
        matrix: np.ndarray = held * scale[:, None]
        matrix *= scale
        matrix[np.diag_indices(len(root))] += 1
        # The transpose of a symmetric matrix is in the order in which LAPACK works in place.
        found: tuple[np.ndarray, int] = factor(matrix.T, lower=True, overwrite_a=True, clean=False)
        return found

    (factor, failed), solved = factored(single, lapack.spotrf), lapack.spotrs
    if failed:
        (factor, failed), solved = factored(kernel, lapack.dpotrf), lapack.dpotrs
    if failed:
        raise LinAlgError(f"leading minor {failed} of the system is not positive definite")

    def solve(aim: Float64[np.ndarray, " train"]) -> Float64[np.ndarray, " train"]:
        found, _ = solved(factor, aim.astype(factor.dtype), lower=True)
        return np.asarray(found, dtype=np.float64)

    return solve


def _by_features(
    train: Float[np.ndarray, "train feature"],
    is_emotion: Bool[np.ndarray, " train"],
    test: Float[np.ndarray, "test feature"],
    penalty_c: float,
) -> Float64[np.ndarray, " test"]:
    """Quasi-Newton in coordinates in which the curvature of the start is even."""
    from scipy.linalg import cholesky, solve_triangular
    from scipy.optimize import minimize

    sign = np.where(is_emotion, 1.0, -1.0)
    weight = penalty_c * class_weights(is_emotion)
    mean = train.mean(axis=0)
    centred = train - mean
    # The curvature of a well separated fit is far below its maximum of 1/4.
    curvature = 0.02 * penalty_c
    hessian = curvature * (centred.T @ centred).astype(np.float64) + np.eye(train.shape[1])
    factor = cholesky(hessian, lower=True)
    unit = np.sqrt(curvature * len(train))

    def weights_of(moved: Float64[np.ndarray, " coordinate"]) -> Float64[np.ndarray, " feature"]:
        return np.asarray(solve_triangular(factor, moved[:-1], lower=True, trans="T"))

    def loss(
        moved: Float64[np.ndarray, " coordinate"],
    ) -> tuple[float, Float64[np.ndarray, " coordinate"]]:
        weights = weights_of(moved)
        values = sign * (centred @ weights.astype(train.dtype) + moved[-1] / unit)
        pull = -weight * sign / (1 + np.exp(np.clip(values, -500, 500)))
        slope = pull.astype(train.dtype) @ centred + weights
        gradient = np.append(solve_triangular(factor, slope, lower=True), pull.sum() / unit)
        return float(weight @ np.logaddexp(0, -values) + weights @ weights / 2), gradient

    found = minimize(
        loss,
        np.zeros(train.shape[1] + 1),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 500, "maxcor": 20, "gtol": 1e-6 * len(train), "ftol": 1e-11},
    ).x
    return np.asarray((test - mean) @ weights_of(found) + found[-1] / unit, dtype=np.float64)


def class_weights(is_emotion: Bool[np.ndarray, " train"]) -> Float64[np.ndarray, " train"]:
    """Weights that add to the number of prompts and are equal for both classes."""
    n, positive = len(is_emotion), int(is_emotion.sum())
    return np.where(is_emotion, n / (2 * positive), n / (2 * (n - positive)))
