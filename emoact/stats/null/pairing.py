"""Null distribution of a similarity of two models: prompts paired at random in classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int

from emoact.stats.null.permutation import permutation_p


@dataclass(frozen=True, kw_only=True, eq=False)
class PairingTest:
    """A measure of two models against pairings of prompts shuffled within classes.

    Attributes:
        value: The measure per layer.
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

    The standardisation counts the true pairing as one of the draws, so that the test stays exact.
    NaN values have NaN p-values and take no part in the maximum.
    """
    every = np.vstack([value[None], null])
    usable = np.isfinite(every).all(axis=0)
    clean = np.where(usable, every, 0.0)
    n_draws = len(null)
    mean, sd = clean.mean(axis=0), clean.std(axis=0)
    alive = usable & (sd > 0)
    z = np.where(alive, (clean - mean) / np.where(alive, sd, 1.0), -np.inf)
    observed = z[0] - 1e-9 * np.where(alive, np.abs(z[0]), 0.0)
    largest = z[1:].max(axis=1, initial=-np.inf)
    p = permutation_p(z[1:], observed)
    p_max = permutation_p(np.broadcast_to(largest[:, None], null.shape), observed)
    blank = np.where(usable, 0.0, np.nan)
    return PairingTest(
        value=np.asarray(value, dtype=np.float64),
        null_mean=clean[1:].mean(axis=0) + blank if n_draws else np.full(len(value), np.nan),
        null_sd=clean[1:].std(axis=0) + blank if n_draws else np.full(len(value), np.nan),
        p=np.where(alive, p, 1.0) + blank,
        p_max=np.where(alive, p_max, 1.0) + blank,
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
