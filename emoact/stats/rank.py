"""Rank correlations, also given the classes (partial correlations), and the AUROC."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float64, Int


def unit_ranks(
    values: Float[np.ndarray, "*rest item"], groups: Int[np.ndarray, " item"] | None = None
) -> Float64[np.ndarray, "*rest item"]:
    """Ranks (ties share their mean), centred and of length 1, so that a dot product is Spearman.

    Args:
        values: What to rank, along the last axis.
        groups: Subtract the mean rank of each group instead of the overall mean: the partial rank
            correlation given the groups.

    NaN along an axis that holds a NaN, or whose ranks do not vary (within groups).
    """
    from scipy.stats import rankdata

    broken = ~np.isfinite(values).all(axis=-1, keepdims=True)
    ranks = rankdata(np.where(broken, 0.0, values), axis=-1)
    if groups is None:
        groups = np.zeros(values.shape[-1], dtype=np.int64)
    member = (groups[:, None] == np.unique(groups)).astype(np.float64)
    residual = ranks - (ranks @ member / member.sum(axis=0)) @ member.T
    length = np.sqrt((residual**2).sum(axis=-1, keepdims=True))
    return np.asarray(residual / np.where(broken | (length < 1e-9), np.nan, length))


def spearman(
    first: Float[np.ndarray, "*rest item"], second: Float[np.ndarray, "*rest item"]
) -> Float64[np.ndarray, "*rest"]:
    """Spearman correlation along the last axis."""
    return np.asarray(np.einsum("...i,...i->...", unit_ranks(first), unit_ranks(second)))


def auroc(
    scores: Float[np.ndarray, " test"],
    is_emotion: Bool[np.ndarray, " test"],
    weights: Float[np.ndarray, "draw test"],
) -> Float64[np.ndarray, " draw"]:
    """Weighted probability that a prompt of the emotion scores above another; ties half."""
    if not np.isfinite(scores).all():
        return np.full(len(weights), np.nan)
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf) != 0)
    own, other = (
        np.add.reduceat(weights[:, order] * members[order], starts, axis=1)
        for members in (is_emotion, ~is_emotion)
    )
    below = np.cumsum(other, axis=1) - other / 2
    total = own.sum(axis=1) * other.sum(axis=1)
    return np.asarray((own * below).sum(axis=1) / np.where(total > 0, total, np.nan))
