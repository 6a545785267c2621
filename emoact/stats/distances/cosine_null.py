"""Null distribution of the plain cosine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from emoact.stats.design import Design
from emoact.stats.directions.stability import weight_cosines
from emoact.stats.null.relabelling import OUTSIDE, shuffled_groups
from emoact.stats.products import Gram


@dataclass(frozen=True, kw_only=True, eq=False)
class CosineNull:
    """Plain cosine of two emotions with the labels of both and of neutral shuffled in scenarios.

    Attributes:
        mean: About 1/2 for equally large classes, because both directions subtract one neutral.
        band: 2.5 % and 97.5 % quantiles; much wider than 1.96 / sqrt(d_model) on real spectra.
    """

    mean: Float64[np.ndarray, " layer"]
    band: Float64[np.ndarray, "2 layer"]


def shuffled_cosines(
    design: Design,
    gram: Gram,
    emotions: tuple[str, str],
    neutral: str,
    n_permutations: int = 1000,
    *,
    seed: int = 0,
) -> CosineNull:
    """The null of the plain cosine between two emotions against a shared neutral.

    Raises:
        RequestError: A label is missing.
    """
    groups = np.full(design.n_prompts, OUTSIDE)
    for group, label in enumerate((*emotions, neutral)):
        groups[design.label_of == design.index(label)] = group
    draws = shuffled_groups(design, groups, n_permutations, seed=seed)[1:]
    first, second, base = (_means(draws == group) for group in range(3))
    cosines = weight_cosines(gram, first - base, second - base)
    usable = np.isfinite(cosines).all(axis=0)
    clean = np.where(usable, cosines, 0.0)
    blank = np.where(usable, 0.0, np.nan)
    return CosineNull(
        mean=clean.mean(axis=0) + blank,
        band=np.quantile(clean, (0.025, 0.975), axis=0) + blank,
    )


def _means(chosen: np.ndarray) -> Float64[np.ndarray, "draw prompt"]:
    return np.asarray(chosen / chosen.sum(axis=1, keepdims=True), dtype=np.float64)
