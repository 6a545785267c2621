"""Cosines between directions: plain, cross-validated, and the expectation of noise."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from emoact.stats.products import contrast_product
from emoact.stats.vectors import ratio

TWIN_TOLERANCE = 0.2
"""Difference from the z-scored cosine beyond which few dimensions decide the cosine."""


def plain_cosine(
    first: Float[np.ndarray, "*rest d_model"], second: Float[np.ndarray, "*rest d_model"]
) -> Float64[np.ndarray, "*rest"]:
    """The cosine of two directions; NaN where one of them is zero.

    Directions that subtract the same neutral prompts are not independent: two directions of noise
    have the cosine of `noise_expectation`, not 0.
    """
    value = np.einsum("...d,...d->...", _unit(first), _unit(second))
    return np.asarray(np.clip(value, -1.0, 1.0))


def cross_validated_cosine(
    products: Float[np.ndarray, "*rest label label"],
    first: Float[np.ndarray, " label"],
    second: Float[np.ndarray, " label"],
) -> Float64[np.ndarray, "*rest"]:
    """The cosine of two contrasts from `class_products` (the exact form; no splits).

    It is not clipped; NaN unless the unbiased estimates of both squared lengths are positive.
    """
    squares = contrast_product(products, first, first), contrast_product(products, second, second)
    defined = (squares[0] > 0) & (squares[1] > 0)
    scale = np.sqrt(np.where(defined, squares[0], 1) * np.where(defined, squares[1], 1))
    return np.where(defined, contrast_product(products, first, second) / scale, np.nan)


def noise_expectation(
    first: Float[np.ndarray, " label"],
    second: Float[np.ndarray, " label"],
    sizes: Int[np.ndarray, " label"],
) -> float:
    """The cosine of two contrasts that are noise only, because they share class means.

    sum(c c' / n) / sqrt(sum(c^2 / n) sum(c'^2 / n)) over classes of equal variance. Against one
    neutral that is (1/n_n) / sqrt((1/n_1 + 1/n_n)(1/n_2 + 1/n_n)), 1/2 when all three are equally
    large; against the grand mean of C equally large classes it is -1 / (C - 1).
    """
    shared = (first * second / sizes).sum()
    return float(shared / np.sqrt((first**2 / sizes).sum() * (second**2 / sizes).sum()))


def top_share(
    first: Float[np.ndarray, "*rest d_model"], second: Float[np.ndarray, "*rest d_model"]
) -> Float64[np.ndarray, "*rest"]:
    """Share of sum_j |first_j second_j| that the three largest terms carry; from 3/d_model to 1.

    Absolute values keep the share meaningful where terms of both signs cancel. NaN for a zero.

    Source: Timkey & van Schijndel 2109.04404 (rogue dimensions).
    """
    terms = np.abs(_unit(first) * _unit(second))
    k = min(3, terms.shape[-1])
    top = np.partition(terms, -k, axis=-1)[..., -k:].sum(axis=-1)
    return ratio(np.asarray(top), np.asarray(terms.sum(axis=-1)))


def twin_differs(
    value: Float[np.ndarray, "*rest"], twin: Float[np.ndarray, "*rest"]
) -> Bool[np.ndarray, "*rest"]:
    """True where the z-scored cosine differs by more than `TWIN_TOLERANCE`."""
    return np.asarray(np.abs(value - twin) > TWIN_TOLERANCE)


def _unit(vectors: Float[np.ndarray, "*rest d_model"]) -> Float64[np.ndarray, "*rest d_model"]:
    # Scaling first keeps the squares of tiny or huge directions inside the range of a float.
    exact = vectors.astype(np.float64)
    largest = np.abs(exact).max(axis=-1, keepdims=True, initial=0.0)
    scaled = np.divide(exact, largest, out=np.full_like(exact, np.nan), where=largest > 0)
    return np.asarray(scaled / np.sqrt((scaled**2).sum(axis=-1, keepdims=True)))
