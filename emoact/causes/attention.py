"""Attention patterns of one prompt in numbers: entropy, mass on the BOS and on the token before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Float64

from emoact.positions import Span

if TYPE_CHECKING:
    import pandas as pd


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


def measures(pattern: Float[np.ndarray, "layer head query key"], content: Span) -> pd.DataFrame:
    """Means over the queries of the text, one row for each head.

    Args:
        pattern: Weights of every head.
        content: Positions of the text; a BOS stands before it.

    Returns:
        `layer`, `head`, `entropy` (bits), `first_mass` (on the first position, which is the BOS
        where one was prepended) and `previous_mass`.
    """
    import pandas as pd

    n_layers, n_heads = pattern.shape[:2]
    queries = slice(*content)
    layer, head = np.mgrid[:n_layers, :n_heads]
    columns = {
        "entropy": entropy(pattern),
        "first_mass": pattern[..., 0].astype(np.float64),
        "previous_mass": previous_mass(pattern),
    }
    means = {name: each[..., queries].mean(axis=-1).ravel() for name, each in columns.items()}
    return pd.DataFrame({"layer": layer.ravel(), "head": head.ravel(), **means})
