"""Estimates by their definitions, against which the exact forms of emoact are compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64

from emoact.stats.design import Design, class_weights, contrast_prompt_weights
from emoact.stats.products import Gram


@dataclass(frozen=True, kw_only=True, eq=False)
class SplitCosine:
    """Cosine from the halves of the scenarios, and the squares that it is divided by."""

    value: Float64[np.ndarray, " layer"]
    square_first: Float64[np.ndarray, " layer"]
    square_second: Float64[np.ndarray, " layer"]


def plain_direction(
    emotion: Float[np.ndarray, "prompt *rest"], neutral: Float[np.ndarray, "other *rest"]
) -> Float64[np.ndarray, "*rest"]:
    """mean(emotion) - mean(neutral)."""
    here = np.asarray(emotion.mean(axis=0, dtype=np.float64))
    return np.asarray(here - neutral.mean(axis=0, dtype=np.float64))


def split_strength(
    design: Design,
    gram: Gram,
    contrast: Float[np.ndarray, " label"],
    halves: Bool[np.ndarray, "split scenario"],
) -> Float64[np.ndarray, " layer"]:
    """Mean over splits of d1 . d2, the directions of two disjoint halves of the scenarios.

    All classes, neutral too, are split by the same scenarios: splitting them independently reads
    the shared part of a scenario as a negative strength.

    Source: Walther et al. 2016.
    """
    first = contrast_prompt_weights(class_weights(design, halves), contrast)
    second = contrast_prompt_weights(class_weights(design, ~halves), contrast)
    usable = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
    if not usable.any():
        return np.full(len(gram), np.nan)
    products = np.einsum("lrp,rp->lr", first[usable] @ gram, second[usable])
    mean: Float64[np.ndarray, " layer"] = products.mean(axis=1)
    return mean


def split_cosine(
    design: Design,
    gram: Gram,
    contrasts: tuple[Float[np.ndarray, " label"], Float[np.ndarray, " label"]],
    halves: Bool[np.ndarray, "split scenario"],
) -> SplitCosine:
    """(G1.A2 + G2.A1) / 2 / sqrt((G1.G2)(A1.A2)), each averaged over splits before dividing.

    G and A are the directions of the two contrasts, 1 and 2 the halves of the scenarios.
    """
    first, second = (
        [
            contrast_prompt_weights(class_weights(design, side), contrast)
            for side in (halves, ~halves)
        ]
        for contrast in contrasts
    )
    usable = np.logical_and.reduce([np.isfinite(w).all(axis=1) for w in (*first, *second)])

    def mean_product(
        left: Float64[np.ndarray, "split prompt"], right: Float64[np.ndarray, "split prompt"]
    ) -> Float64[np.ndarray, " layer"]:
        if not usable.any():
            return np.full(len(gram), np.nan)
        products = np.einsum("lrp,rp->lr", left[usable] @ gram, right[usable])
        mean: Float64[np.ndarray, " layer"] = products.mean(axis=1)
        return mean

    square_first = mean_product(first[0], first[1])
    square_second = mean_product(second[0], second[1])
    product = (mean_product(first[0], second[1]) + mean_product(first[1], second[0])) / 2
    positive = (square_first > 0) & (square_second > 0)
    scale = np.sqrt(np.where(positive, square_first * square_second, np.nan))
    return SplitCosine(
        value=product / scale, square_first=square_first, square_second=square_second
    )
