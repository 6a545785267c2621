"""Permutation test of the cross-validated strength of a direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64

from emoact.stats.design import Design
from emoact.stats.null.p_values import permutation_p
from emoact.stats.products import Gram


@dataclass(frozen=True, kw_only=True, eq=False)
class PermutationTest:
    """Cross-validated strength against its permutation null, with the maximum over layers.

    Attributes:
        statistic: Cross-validated ||d||^2 per layer.
        z: statistic over its permutation standard deviation (its null mean is 0).
        null_sd: That standard deviation, in the units of the statistic.
        null_band: 2.5 % and 97.5 % quantiles of the null of one layer, not of the maximum.
        p: (1 + #{null >= observed}) / (1 + B), one layer at a time; NaN without a statistic.
        p_max: The same against the null of the maximum over all layers: family-wise over layers.
        p_family: The smallest p_max, the p-value of the whole set of layers; NaN without any.
        n_permutations: B.
    """

    statistic: Float64[np.ndarray, " layer"]
    z: Float64[np.ndarray, " layer"]
    null_sd: Float64[np.ndarray, " layer"]
    null_band: Float64[np.ndarray, "2 layer"]
    p: Float64[np.ndarray, " layer"]
    p_max: Float64[np.ndarray, " layer"]
    p_family: float
    n_permutations: int


def permuted_strengths(
    design: Design,
    gram: Gram,
    draws: Bool[np.ndarray, "draw prompt"],
    pool: Bool[np.ndarray, " prompt"],
) -> Float64[np.ndarray, "draw layer"]:
    """Cross-validated ||mean(emotion) - mean(reference)||^2 under each relabelling.

    Args:
        design: Classes and scenarios.
        gram: Inner products of the prompts.
        draws: From `relabellings`.
        pool: The prompts of the emotion and of the reference.
    """
    scenario = design.scenario_of[pool]
    different = (scenario[:, None] != scenario[None, :]).astype(np.float64)
    chosen = draws[:, pool].astype(np.float64)
    counts = _quadratic_parts(different, chosen)
    strengths = np.empty((len(draws), len(gram)))
    for layer, products in enumerate(gram):
        parts = _quadratic_parts(products[np.ix_(pool, pool)] * different, chosen)
        emotion, cross, reference = (
            # Without a pair the sum is rounding error and no zero.
            np.divide(part, count, out=np.full(len(draws), np.nan), where=count > 0.5)
            for part, count in zip(parts, counts, strict=True)
        )
        value = emotion - 2 * cross + reference
        magnitude = np.abs(emotion) + 2 * np.abs(cross) + np.abs(reference)
        strengths[:, layer] = np.where(np.abs(value) <= 1e-12 * magnitude, 0.0, value)
    return strengths


def max_statistic_test(strengths: Float[np.ndarray, "draw layer"]) -> PermutationTest:
    """The test of row 0 against the other rows, alone and with the maximum over the columns.

    Each column is divided by its standard deviation over all rows (the observed one too, so that
    the test stays exact) before the maximum is taken; otherwise the layers with the largest norms
    would decide alone. A column that is not finite was not tested and has no p-value; one that
    never varies has the p-value 1.

    Source: Westfall & Young 1993; Phipson & Smyth 2010 for the (1 + #) / (1 + B).
    """
    usable = np.isfinite(strengths).all(axis=0)
    clean = np.where(usable, strengths, 0.0)
    sd = np.sqrt((clean**2).mean(axis=0))
    alive = usable & (sd > 0)
    z = np.where(alive, clean / np.where(alive, sd, 1.0), -np.inf)
    n_permutations = len(strengths) - 1
    # A relabelling that gives the same classes again must tie, in any order of summation.
    observed = z[0] - 1e-9 * np.where(alive, np.abs(z[0]), 0.0)
    largest = z.max(axis=1, initial=-np.inf)
    p = np.where(alive, permutation_p(z[1:], observed), 1.0)
    maxima = np.broadcast_to(largest[1:, None], z[1:].shape)
    p_max = np.where(alive, permutation_p(maxima, observed), 1.0)
    untested = np.where(usable, 0.0, np.nan)
    quantiles = (0.025, 0.975)
    band = np.quantile(clean[1:], quantiles, axis=0)
    return PermutationTest(
        statistic=np.where(usable, strengths[0], np.nan).astype(np.float64),
        z=np.where(alive, z[0], np.nan),
        null_sd=np.where(usable, sd, np.nan),
        null_band=np.where(usable, band, np.nan),
        p=p + untested,
        p_max=p_max + untested,
        p_family=float(p_max[usable].min()) if usable.any() else float("nan"),
        n_permutations=n_permutations,
    )


def _quadratic_parts(
    products: Float64[np.ndarray, "pool pool"], chosen: Float64[np.ndarray, "draw pool"]
) -> tuple[
    Float64[np.ndarray, " draw"], Float64[np.ndarray, " draw"], Float64[np.ndarray, " draw"]
]:
    """Sums of products within the chosen, between chosen and the rest, and within the rest."""
    within = np.einsum("dp,dp->d", chosen @ products, chosen)
    with_all = chosen @ products.sum(axis=1)
    return within, with_all - within, products.sum() - 2 * with_all + within
