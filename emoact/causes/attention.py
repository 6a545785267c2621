"""Attention patterns of one prompt in numbers: entropy, mass on the BOS and on the token before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Float64

from emoact.positions import Span

if TYPE_CHECKING:
    import pandas as pd

SHARES = ("entropy", "first_mass", "previous_mass")
"""Descriptions of a query, in bits and as shares of its weight."""


def entropy(pattern: Float[np.ndarray, "*head query key"]) -> Float64[np.ndarray, "*head query"]:
    """Entropy of the weights of each query, in bits; 0 where one key has all of it."""
    weights = pattern.astype(np.float64)
    # 0 log 0 is 0.
    logs = np.log2(np.where(weights > 0, weights, 1.0))
    return np.asarray(-(weights * logs).sum(axis=-1))


def previous_mass(
    pattern: Float[np.ndarray, "*head query key"],
) -> Float64[np.ndarray, "*head query"]:
    """Weight of each query on the position before it; 0 at the first one."""
    mass = np.zeros(pattern.shape[:-1])
    mass[..., 1:] = np.diagonal(pattern, offset=-1, axis1=-2, axis2=-1)
    return mass


def shares_of(
    pattern: Float[np.ndarray, "layer head query key"],
) -> dict[str, Float64[np.ndarray, "layer head query"]]:
    """`entropy` (bits), `first_mass` and `previous_mass` of every query.

    The first position is the BOS where one was prepended.
    """
    return {
        "entropy": entropy(pattern),
        "first_mass": pattern[..., 0].astype(np.float64),
        "previous_mass": previous_mass(pattern),
    }


def means_of(
    shares: Mapping[str, Float[np.ndarray, "layer head query"]], content: Span
) -> pd.DataFrame:
    """Means over the queries of the text, one row for each head.

    Returns:
        `layer`, `head`, and a column for each of `shares`.
    """
    import pandas as pd

    n_layers, n_heads = shares["entropy"].shape[:2]
    layer, head = np.mgrid[:n_layers, :n_heads]
    means = {
        name: each[..., slice(*content)].mean(axis=-1, dtype=np.float64).ravel()
        for name, each in shares.items()
    }
    return pd.DataFrame({"layer": layer.ravel(), "head": head.ravel(), **means})
