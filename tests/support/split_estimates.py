"""Estimates by their definitions, against which the exact forms of emoact are compared."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float64

from emoact.stats.design import Design, class_weights, contrast_prompt_weights
from emoact.stats.products import Gram


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

    Source: Walther et al. 2016. All classes are split by the same scenarios, neutral too.
    """
    first = contrast_prompt_weights(class_weights(design, halves), contrast)
    second = contrast_prompt_weights(class_weights(design, ~halves), contrast)
    usable = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
    if not usable.any():
        return np.full(len(gram), np.nan)
    products = np.einsum("lrp,rp->lr", first[usable] @ gram, second[usable])
    mean: Float64[np.ndarray, " layer"] = products.mean(axis=1)
    return mean
