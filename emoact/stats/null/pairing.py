"""Null distribution of a similarity of two models: prompts paired at random in classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int

from emoact.stats.null.permutation import max_statistic_test


@dataclass(frozen=True, kw_only=True, eq=False)
class PairingTest:
    """A measure of two models against pairings of prompts shuffled within classes.

    Attributes:
        null_mean: Mean under random pairings: the part that the classes alone give.
        null_sd: Standard deviation under random pairings.
        p: (1 + #{null >= value}) / (1 + B), one layer at a time.
        p_max: The same for the maximum over layers of (value - null mean) / null sd.
    """

    value: Float64[np.ndarray, " layer"]
    null_mean: Float64[np.ndarray, " layer"]
    null_sd: Float64[np.ndarray, " layer"]
    p: Float64[np.ndarray, " layer"]
    p_max: Float64[np.ndarray, " layer"]


def shuffled_pairings(
    label_of: Int[np.ndarray, " prompt"], n_draws: int, *, seed: int = 0
) -> Int[np.ndarray, "draw prompt"]:
    """Permutations of the prompts that move none of them to another class."""
    rng = np.random.default_rng([seed, 5])
    pairings = np.tile(np.arange(len(label_of)), (n_draws, 1))
    for label in np.unique(label_of):
        members = np.flatnonzero(label_of == label)
        order = rng.random((n_draws, len(members))).argsort(axis=1)
        pairings[:, members] = members[order]
    return pairings


def pairing_test(
    value: Float[np.ndarray, " layer"], null: Float[np.ndarray, "draw layer"]
) -> PairingTest:
    """The value of the true pairing against those of shuffled ones.

    NaN values have NaN p-values and take no part in the maximum.
    """
    test = max_statistic_test(np.vstack([value[None], null]))
    blank = np.where(np.isfinite(null).all(axis=0) & np.isfinite(value), 0.0, np.nan)
    clean = np.where(np.isnan(blank), 0.0, null) if len(null) else np.full((1, len(value)), np.nan)
    return PairingTest(
        value=np.asarray(value, dtype=np.float64),
        null_mean=clean.mean(axis=0) + blank,
        null_sd=clean.std(axis=0) + blank,
        p=test.p,
        p_max=test.p_max,
    )


def paired_products(
    first: Float[np.ndarray, "layer prompt prompt"],
    second: Float[np.ndarray, "layer prompt prompt"],
    pairings: Int[np.ndarray, "draw prompt"],
) -> Float64[np.ndarray, "draw layer"]:
    """Sum over i, j of first[i, j] * second[p(i), p(j)] for each pairing p."""
    flat = np.ascontiguousarray(first.reshape(len(first), -1), dtype=np.float64)
    products = np.empty((len(pairings), len(first)))
    for draw, order in enumerate(pairings):
        moved = second[:, order[:, None], order[None, :]].reshape(len(second), -1)
        products[draw] = np.einsum("lp,lp->l", flat, moved)
    return products
