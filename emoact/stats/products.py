"""Inner products of class means without the bias that shared noise brings."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64

from emoact.stats.design import Design

Gram = Float64[np.ndarray, "layer prompt prompt"]

_ROUNDING = 1e-12


def unbiased_products(design: Design, gram: Gram) -> Float64[np.ndarray, "layer label label"]:
    r"""Estimates of mu_a . mu_b for every two classes, from prompts of different scenarios only.

    P[a, b] = mean of x_i . x_j over i of class a, j of class b, scenario(i) != scenario(j).

    Noise of a prompt and of a scenario enters a product at most once, so that a contrast c of
    classes has E[c' P c] = ||sum_a c_a mu_a||^2. This is the average over all splits of scenarios
    into halves; for one prompt per class and scenario it is sum_{s != t} delta_s . delta_t / (n (n
    - 1)) over within-scenario differences delta. NaN where a class has no partner.

    Source: Walther et al. 2016 (cross-validated distances), Kriegeskorte et al. 2007.
    """
    totals, counts, _, _ = _sums(design, gram)
    return _ratio(totals, counts)


def jackknife_products(
    design: Design, gram: Gram
) -> Float64[np.ndarray, "scenario layer label label"]:
    """`unbiased_products` with each scenario left out in turn."""
    totals, counts, total_parts, count_parts = _sums(design, gram)
    return _ratio(
        totals[None] - total_parts - total_parts.swapaxes(-1, -2),
        counts[None] - count_parts - count_parts.swapaxes(-1, -2),
    )


def contrast_product(
    products: Float[np.ndarray, "*draw label label"],
    first: Float[np.ndarray, " label"],
    second: Float[np.ndarray, " label"],
) -> Float64[np.ndarray, "*draw"]:
    """The product first' P second, leaving out the classes that neither contrast uses.

    What is rounding error of the classes' own products is returned as 0, so that a direction that
    vanishes does so exactly.
    """
    used_first, used_second = first != 0, second != 0
    chosen = products[..., used_first, :][..., used_second]
    left, right = first[used_first], second[used_second]
    value = np.einsum("a,...ab,b->...", left, chosen, right)
    magnitude = np.einsum("a,...ab,b->...", np.abs(left), np.abs(chosen), np.abs(right))
    return np.where(np.abs(value) <= _ROUNDING * magnitude, 0.0, value)


def signed_root(squared: Float[np.ndarray, "*rest"]) -> Float64[np.ndarray, "*rest"]:
    """sign(x) * sqrt(|x|)."""
    root: Float64[np.ndarray, "*rest"] = np.sign(squared) * np.sqrt(np.abs(squared))
    return root


def _sums(
    design: Design, gram: Gram
) -> tuple[
    Float64[np.ndarray, "layer label label"],
    Float64[np.ndarray, "#layer label label"],
    Float64[np.ndarray, "scenario layer label label"],
    Float64[np.ndarray, "scenario #layer label label"],
]:
    different = (design.scenario_of[:, None] != design.scenario_of[None, :]).astype(np.float64)
    member = design.members.T.astype(np.float64)
    scenario = (np.arange(design.n_scenarios)[:, None] == design.scenario_of).astype(np.float64)

    def sums(
        pairs: Float64[np.ndarray, "layer prompt prompt"],
    ) -> tuple[
        Float64[np.ndarray, "layer label label"],
        Float64[np.ndarray, "scenario layer label label"],
    ]:
        rows = np.einsum("pa,lpb->plab", member, pairs @ member)
        parts = np.tensordot(scenario, rows, axes=1)
        return parts.sum(axis=0), parts

    totals, total_parts = sums(gram * different)
    counts, count_parts = sums(different[None])
    return totals, counts, total_parts, count_parts


def _ratio(
    totals: Float64[np.ndarray, "*draw label label"],
    counts: Float64[np.ndarray, "*broadcast label label"],
) -> Float64[np.ndarray, "*draw label label"]:
    counts = np.broadcast_to(counts, totals.shape)
    return np.asarray(
        np.divide(totals, counts, out=np.full(totals.shape, np.nan), where=counts > 0.5)
    )
