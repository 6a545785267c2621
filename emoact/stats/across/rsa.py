"""Representational similarity: correlation of the dissimilarities between prompts."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64, Int

from emoact.stats.null.pairing import PairingTest, paired_products, pairing_test
from emoact.stats.products import Gram
from emoact.stats.rank import unit_ranks


def dissimilarities(
    gram: Float[np.ndarray, "layer prompt prompt"],
) -> Float64[np.ndarray, "layer prompt prompt"]:
    """1 - cosine of the prompts' vectors about their common mean; NaN for a vector that is zero.

    Without the centring every cosine would be near 1 (anisotropy, Ethayarajh 1909.00512).
    """
    squares = np.einsum("lpp->lp", gram)
    alive = squares > 1e-13 * squares.max(axis=1, keepdims=True, initial=0.0)
    length = np.sqrt(np.where(alive, squares, np.nan))
    return np.asarray(1 - gram / (length[:, :, None] * length[:, None, :]))


def rank_matrices(
    gram: Float[np.ndarray, "layer prompt prompt"],
) -> Float64[np.ndarray, "layer prompt prompt"]:
    """Symmetric matrices of unit ranks of the dissimilarities, zero on the diagonal.

    The sum over all entries of the product of two of them is twice their Spearman correlation.
    """
    n = gram.shape[-1]
    rows, columns = np.triu_indices(n, k=1)
    ranks = unit_ranks(dissimilarities(gram)[:, rows, columns])
    square = np.zeros(gram.shape, dtype=np.float64)
    square[:, rows, columns] = ranks
    square[:, columns, rows] = ranks
    return square


def rsa_map(
    first: Float[np.ndarray, "first_layer prompt prompt"],
    second: Float[np.ndarray, "second_layer prompt prompt"],
) -> Float64[np.ndarray, "first_layer second_layer"]:
    """Spearman correlation of the two models' dissimilarities, every layer with every layer.

    Source: Kriegeskorte et al. 2008.
    """
    left, right = rank_matrices(first), rank_matrices(second)
    return np.asarray(left.reshape(len(left), -1) @ right.reshape(len(right), -1).T / 2)


def rsa_test(first: Gram, second: Gram, pairings: Int[np.ndarray, "draw prompt"]) -> PairingTest:
    """Layer-matched RSA against pairings shuffled within classes."""
    left, right = rank_matrices(first), rank_matrices(second)
    return pairing_test(
        np.einsum("lpq,lpq->l", left, right) / 2, paired_products(left, right, pairings) / 2
    )
