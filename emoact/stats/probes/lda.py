"""Shrinkage LDA with classes of equal weight, solved over prompts where they are fewer."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float64

from emoact.stats.vectors import BLOCK_NUMBERS

_FEW = 100


def lda_decisions(
    train: Float[np.ndarray, "train d_model"],
    is_emotion: Bool[np.ndarray, " train"],
    test: Float[np.ndarray, "test d_model"],
) -> Float64[np.ndarray, " test"]:
    """Decision values of two-class LDA with Ledoit-Wolf shrinkage; positive is the emotion.

    The same numbers as scikit-learn's `LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto",
    priors=[0.5, 0.5])`. Its covariance is a diagonal plus one row per training prompt. Where there
    are fewer prompts than dimensions, the linear system is solved in their space (Woodbury).

    Source: Ledoit & Wolf 2004.
    """
    # Few prompts may span no covariance that has an inverse, which `_solve` allows for.
    many = len(train) > max(train.shape[1], _FEW)
    exact = train if many else train.astype(np.float64)
    diagonal = np.zeros(train.shape[1])
    rows: list[Float[np.ndarray, "prompt d_model"]] = []
    covariance = np.zeros((train.shape[1],) * 2) if many else None
    means = []
    for members in (is_emotion, ~is_emotion):
        places = np.flatnonzero(members)
        n_at_once = max(1, BLOCK_NUMBERS // train.shape[1]) if many else len(places)
        chunks = [places[at : at + n_at_once] for at in range(0, len(places), n_at_once)]
        mean = sum(exact[own].sum(axis=0, dtype=np.float64) for own in chunks) / len(places)
        mean = mean.astype(exact.dtype)
        sd = np.sqrt(
            sum(((exact[own] - mean) ** 2).sum(axis=0, dtype=np.float64) for own in chunks)
            / len(places)
        )
        scale = np.where(sd > 0, sd, 1.0)
        summed = np.zeros((train.shape[1] if many else len(places),) * 2, dtype=train.dtype)
        squares = []
        for own in chunks:
            standard = ((exact[own] - mean) / scale.astype(exact.dtype)).astype(train.dtype)
            summed += standard.T @ standard if many else standard @ standard.T
            squares.append((standard**2).sum(axis=1, dtype=np.float64))
        products = summed.astype(np.float64)
        shrinkage, target = _ledoit_wolf(products, np.concatenate(squares), train.shape[1])
        diagonal += shrinkage * target * scale**2 / 2
        if covariance is None:
            rows.append((exact[places] - mean) * np.sqrt((1 - shrinkage) / 2 / len(places)))
        else:
            covariance += (1 - shrinkage) / 2 / len(places) * products * np.outer(scale, scale)
        means.append(mean.astype(np.float64))
    difference = means[0] - means[1]
    if covariance is None:
        direction = _solve(diagonal, np.vstack(rows), difference)
    else:
        # A dimension that never changes gets no weight.
        spread = covariance.diagonal() + diagonal
        covariance[np.diag_indices(len(diagonal))] = np.where(spread > 0, spread, 1.0)
        direction = np.linalg.solve(covariance, difference)
    return np.asarray((test.astype(np.float64) - (means[0] + means[1]) / 2) @ direction)


def _ledoit_wolf(
    products: Float64[np.ndarray, "row row"], squares: Float64[np.ndarray, " prompt"], d_model: int
) -> tuple[float, float]:
    """Shrinkage towards target * identity, and the target, of the covariance of centred rows.

    The products may be of dimensions or of prompts, whose squares add up alike.
    """
    n = len(squares)
    target = float(squares.sum() / n / d_model)
    squared_norm = float((products**2).sum()) / n**2
    noise = (float((squares**2).sum()) / n - squared_norm) / (d_model * n)
    spread = (squared_norm - d_model * target**2) / d_model
    noise = min(noise, spread)
    return (0.0 if noise == 0 else noise / spread), target


def _solve(
    diagonal: Float64[np.ndarray, " d_model"],
    rows: Float64[np.ndarray, "prompt d_model"],
    target: Float64[np.ndarray, " d_model"],
) -> Float64[np.ndarray, " d_model"]:
    """(diag(diagonal) + rows' rows)^-1 target, or its pseudo-inverse without a diagonal."""
    from scipy.linalg import cho_factor, cho_solve

    # A diagonal that is rounding error would be divided by.
    if (diagonal > 1e-12 * (rows**2).sum(axis=0)).all():
        sd = np.sqrt(diagonal)
        weighted, aim = rows / sd, target / sd
        inner = weighted @ weighted.T
        inner[np.diag_indices(len(rows))] += 1
        # The transpose of a symmetric matrix is in the order in which LAPACK works in place.
        factor = cho_factor(inner.T, lower=True, overwrite_a=True, check_finite=False)
        shared = cho_solve(factor, weighted @ aim, check_finite=False)
        return np.asarray((aim - weighted.T @ shared) / sd)
    return np.asarray(np.linalg.lstsq(np.diag(diagonal) + rows.T @ rows, target, rcond=None)[0])
