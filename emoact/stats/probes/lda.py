"""Shrinkage LDA whose cost grows with prompts, not with dimensions."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float64


def lda_decisions(
    train: Float[np.ndarray, "train d_model"],
    is_emotion: Bool[np.ndarray, " train"],
    test: Float[np.ndarray, "test d_model"],
) -> Float64[np.ndarray, " test"]:
    """Decision values of two-class LDA with Ledoit-Wolf shrinkage; positive is the emotion.

    The same numbers as scikit-learn's `LinearDiscriminantAnalysis(solver="lsqr",
    shrinkage="auto")`. Its covariance is a diagonal plus one row per training prompt, so that the
    linear system is solved in the space of the prompts (Woodbury) and not in that of d_model.

    Source: Ledoit & Wolf 2004.
    """
    exact = train.astype(np.float64)
    n, d_model = exact.shape
    diagonal = np.zeros(d_model)
    low_rank: list[Float64[np.ndarray, "prompt d_model"]] = []
    means, priors = [], []
    for members in (is_emotion, ~is_emotion):
        chosen = exact[members]
        prior = len(chosen) / n
        mean = chosen.mean(axis=0)
        centred = chosen - mean
        sd = centred.std(axis=0)
        scale = np.where(sd > 0, sd, 1.0)
        shrinkage, target = _ledoit_wolf(centred / scale)
        diagonal += prior * shrinkage * target * scale**2
        low_rank.append(centred * np.sqrt(prior * (1 - shrinkage) / len(chosen)))
        means.append(mean)
        priors.append(prior)
    direction = _solve(diagonal, np.vstack(low_rank), means[0] - means[1])
    middle = (means[0] + means[1]) / 2
    offset = np.log(priors[0] / priors[1])
    return np.asarray((test.astype(np.float64) - middle) @ direction + offset)


def _ledoit_wolf(standardised: Float64[np.ndarray, "prompt d_model"]) -> tuple[float, float]:
    """Shrinkage towards target * identity, and the target, of the covariance of centred rows.

    The sums over pairs of dimensions of the usual formula are sums over pairs of prompts.
    """
    n, d_model = standardised.shape
    products = standardised @ standardised.T
    squares = np.diag(products)
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
    # A diagonal that is rounding error would be divided by.
    if (diagonal > 1e-12 * (rows**2).sum(axis=0)).all():
        weighted = rows / diagonal
        inner = np.eye(len(rows)) + weighted @ rows.T
        return np.asarray(
            target / diagonal - weighted.T @ np.linalg.solve(inner, weighted @ target)
        )
    covariance = np.diag(diagonal) + rows.T @ rows
    return np.asarray(np.linalg.lstsq(covariance, target, rcond=None)[0])
