"""Rank correlations, also given the classes (partial correlations)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64, Int


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
