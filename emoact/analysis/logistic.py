"""L2-penalised logistic regression at the cost of the prompts rather than of the dimensions."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float64

PENALTY_C = 1.0
"""Inverse strength of the penalty, scikit-learn's default."""


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
    """
    from sklearn.linear_model import LogisticRegression

    mean = train.mean(axis=0, dtype=np.float64)
    centred, beyond = train - mean, test - mean
    if train.shape[1] > train.shape[0]:
        values, vectors = np.linalg.eigh(centred @ centred.T)
        kept = values > 1e-11 * max(float(values.max(initial=0.0)), np.finfo(np.float64).tiny)
        axes = vectors[:, kept] / np.sqrt(values[kept])
        beyond = (beyond @ centred.T) @ axes
        centred = vectors[:, kept] * np.sqrt(values[kept])
    if not centred.shape[1] or not np.ptp(centred):
        balance = float(is_emotion.mean())
        return np.full(len(test), np.log(balance / (1 - balance)))
    model = LogisticRegression(C=penalty_c, solver="newton-cholesky", tol=1e-8)
    model.fit(centred, is_emotion)
    return np.asarray(model.decision_function(beyond), dtype=np.float64)
