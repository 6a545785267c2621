"""Similarity of two models as wholes: unbiased linear CKA, and RSA.

Either measure makes a matrix of length 1 of the prompts' inner products at each layer. The
similarity of two layers is the inner product of their matrices.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64, Int

from emoact.stats.null.pairing import PairingTest, paired_products, pairing_test
from emoact.stats.products import Gram
from emoact.stats.rank import unit_ranks

Matrices = Float64[np.ndarray, "layer prompt prompt"]
"""One symmetric matrix of length 1 for each layer."""


def similarity_map(
    first: Float[np.ndarray, "first_layer prompt prompt"],
    second: Float[np.ndarray, "second_layer prompt prompt"],
) -> Float64[np.ndarray, "first_layer second_layer"]:
    """Similarity of every layer of one model and every layer of another, from their matrices."""
    return np.asarray(first.reshape(len(first), -1) @ second.reshape(len(second), -1).T)


def similarity_test(
    first: Matrices, second: Matrices, pairings: Int[np.ndarray, "draw prompt"]
) -> PairingTest:
    """Similarity of matched layers against pairings shuffled within classes."""
    value = np.einsum("lpq,lpq->l", first, second)
    return pairing_test(value, paired_products(first, second, pairings))


def cka_matrices(gram: Gram) -> Matrices:
    """U-centred inner products over their length, whose similarity is the unbiased linear CKA.

    HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) with HSIC = <U(K), U(L)> / (n (n - 3)), U the
    U-centring. 0 on average between independent noise, where the biased estimator reads .94 at
    n = 50 and d = 768. NaN with fewer than 4 prompts or for a layer without variance.

    Source: Kornblith et al. 1905.00414; Song et al. 2012, Nguyen et al. 2010.15327 (unbiased HSIC).
    """
    centred = u_centred(gram)
    length = np.sqrt(np.einsum("lpq,lpq->l", centred, centred))
    return np.asarray(centred / np.where(length > 0, length, np.nan)[:, None, None])


def rsa_matrices(gram: Gram) -> Matrices:
    """Ranks of the dissimilarities of the prompts, whose similarity is Spearman's correlation.

    The dissimilarity is 1 - cosine of the vectors about their common mean; without the centring
    every cosine would be near 1 (anisotropy, Ethayarajh 1909.00512). NaN where a vector is zero.

    Source: Kriegeskorte et al. 2008.
    """
    squares = np.einsum("lpp->lp", gram)
    alive = squares > 1e-13 * squares.max(axis=1, keepdims=True, initial=0.0)
    length = np.sqrt(np.where(alive, squares, np.nan))
    cosines = gram / (length[:, :, None] * length[:, None, :])
    rows, columns = np.triu_indices(gram.shape[-1], k=1)
    square = np.zeros(gram.shape, dtype=np.float64)
    square[:, rows, columns] = unit_ranks(1 - cosines[:, rows, columns]) / np.sqrt(2)
    return square + square.swapaxes(1, 2)


def u_centred(
    gram: Float[np.ndarray, "layer prompt prompt"],
) -> Float64[np.ndarray, "layer prompt prompt"]:
    """The U-centred matrix: zero diagonal, rows that add to zero.

    Source: Szekely & Rizzo 2014; gives the same HSIC as Song et al. 2012, equation 5.
    """
    n = gram.shape[-1]
    if n < 4:
        return np.full(gram.shape, np.nan)
    off = gram * (1 - np.eye(n))
    rows = off.sum(axis=-1)
    total = rows.sum(axis=-1)
    centred = (
        off
        - rows[:, :, None] / (n - 2)
        - rows[:, None, :] / (n - 2)
        + total[:, None, None] / ((n - 1) * (n - 2))
    )
    return np.asarray(centred * (1 - np.eye(n)))


def without_class_means(
    gram: Float[np.ndarray, "layer prompt prompt"], label_of: Int[np.ndarray, " prompt"]
) -> Float64[np.ndarray, "layer prompt prompt"]:
    """Inner products of the prompts' vectors about the mean of their class."""
    same = (label_of[:, None] == label_of[None, :]).astype(np.float64)
    residual = np.eye(len(label_of)) - same / same.sum(axis=1, keepdims=True)
    return np.asarray(residual @ gram @ residual.T)
