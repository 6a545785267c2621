"""Inner products of the prompts' vectors, and products of class means without shared noise.

A direction is a weighted sum of prompts, so that every figure of directions is made of inner
products of weighted sums. Sums over classes and scenarios give them at a cost that grows linearly
with prompts, one layer at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from emoact.errors import RequestError
from emoact.stats.design import Design
from emoact.stats.vectors import (
    BLOCK_NUMBERS,
    Vectors,
    blocks,
    centre,
    centred,
    deviation,
    held,
    inverse_sd,
    ratio,
)

Gram = Float64[np.ndarray, "layer prompt prompt"]

MAX_BYTES = 3 * 2**30
"""Largest size in bytes of the products of all pairs of prompts of one model and site."""

_ROUNDING = 1e-12


def centred_gram(features: Float[np.ndarray, "prompt layer d_model"]) -> Gram:
    """Inner products of all pairs of prompts at each layer, about the mean of all prompts.

    Time and memory grow with the square of the number of prompts.

    Raises:
        RequestError: They would take more than `MAX_BYTES`.
    """
    n_prompts, n_layers, _ = features.shape
    needed = 8 * n_layers * n_prompts**2
    if needed > MAX_BYTES:
        raise RequestError(
            f"products of all pairs of {n_prompts} prompts at {n_layers} layers would hold "
            f"{needed / 2**30:.1f} GiB; at most {MAX_BYTES / 2**30:.0f} GiB are allowed",
            remedy="Analyse one model at a time, or compare models on fewer prompts.",
        )
    layers = (centre(features[:, layer]) for layer in range(features.shape[1]))
    return np.stack([vectors @ vectors.T for vectors in layers])


def inverse_noise(design: Design, vectors: Vectors) -> Float64[np.ndarray, "layer d_model"]:
    """1 / standard deviation of the noise of each dimension; 0 for one that never changes.

    The noise is what classes leave, and scenarios too where they are matched.

    Source: Walther et al. 2016 (noise normalisation with a diagonal covariance).
    """
    member = design.members.T.astype(np.float64)
    if design.is_matched:
        member = without_scenarios(design.scenario_of, member)
    basis, sizes, _ = np.linalg.svd(member, full_matrices=False)
    basis = basis[:, sizes > 1e-9 * max(sizes.max(initial=0.0), 1.0)]
    n_removed = basis.shape[1] + design.is_matched * design.n_scenarios
    variance = np.empty(vectors.shape[1:])
    for layer in range(vectors.shape[1]):
        for at, own in blocks(vectors, layer):
            if design.is_matched:
                own = without_scenarios(design.scenario_of, own)
            squares = np.einsum("pd,pd->d", own, own)
            rest = squares - ((basis.T @ own) ** 2).sum(axis=0)
            rest = np.where(rest > _ROUNDING * squares, rest, 0.0)
            variance[layer, at] = rest / max(design.n_prompts - n_removed, 1)
    return inverse_sd(np.sqrt(variance))


def without_scenarios(
    scenario_of: Int[np.ndarray, " prompt"], vectors: Float64[np.ndarray, "prompt d_model"]
) -> Float64[np.ndarray, "prompt d_model"]:
    """Vectors about the mean of their scenario; every number up to the largest occurs."""
    means = scenario_sums(scenario_of, vectors) / np.bincount(scenario_of)[:, None]
    rest: Float64[np.ndarray, "prompt d_model"] = means[scenario_of]
    np.subtract(vectors, rest, out=rest)
    return rest


def scenario_sums(
    scenario_of: Int[np.ndarray, " prompt"], vectors: Float64[np.ndarray, "prompt d_model"]
) -> Float64[np.ndarray, "scenario d_model"]:
    """Sums over the rows of each scenario; every number up to the largest occurs."""
    size = np.bincount(scenario_of)
    order = np.argsort(scenario_of, kind="stable")
    return _sums_of_runs(vectors[order], np.cumsum(size) - size)


def compact(
    vectors: Float64[np.ndarray, "row d_model"], n_draws: int
) -> Float64[np.ndarray, "row coordinate"]:
    """Rows with the same inner products and fewer coordinates, where that is cheaper.

    There are never more coordinates than rows. Many weighted sums of few rows cost less in them.
    """
    n_rows, d_model = vectors.shape
    if n_draws * (d_model - n_rows) <= 3 * n_rows * d_model:
        return vectors
    return shortened(vectors)


def shortened(
    vectors: Float64[np.ndarray, "row d_model"],
) -> Float64[np.ndarray, "row coordinate"]:
    """Rows with the same inner products and distances, in at most as many coordinates as rows."""
    if vectors.shape[1] <= len(vectors):
        return vectors
    return np.asarray(np.linalg.qr(vectors.T, mode="r")).T


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassProducts:
    """Unbiased products of class means, and the same with each scenario left out."""

    whole: Float64[np.ndarray, "layer label label"]
    left_out: Float64[np.ndarray, "scenario layer label label"]


def class_products(design: Design, vectors: Vectors) -> ClassProducts:
    r"""Estimates of mu_a . mu_b for every two classes, from prompts of different scenarios only.

    P[a, b] = mean of x_i . x_j over i of class a, j of class b, scenario(i) != scenario(j).

    Noise of a prompt and of a scenario enters a product at most once, so that a contrast c of
    classes has E[c' P c] = ||sum_a c_a mu_a||^2. This is the average over all splits of scenarios
    into halves; for one prompt per class and scenario it is sum_{s != t} delta_s . delta_t / (n (n
    - 1)) over within-scenario differences delta. NaN where a class has no partner.

    Source: Walther et al. 2016 (cross-validated distances), Kriegeskorte et al. 2007.
    """
    parts = _scenario_parts(design, vectors)
    counts = _scenario_parts(design, np.ones((design.n_prompts, 1, 1)))
    total, count = parts.sum(axis=0), counts.sum(axis=0)
    return ClassProducts(
        whole=ratio(total, count),
        left_out=ratio(
            total - parts - parts.swapaxes(-1, -2), count - counts - counts.swapaxes(-1, -2)
        ),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class SharedVectors:
    """Vectors of one or more layers of a site, with what all emotions of the model share.

    Attributes:
        vectors: The same about the mean of all prompts.
        normalised: The same with each dimension over the standard deviation of its noise.
        inverse_sd: 1 / standard deviation of each dimension over all prompts.
        zscored_products: Class products of the vectors over these standard deviations.
        scatter: Mean square of each prompt's distance from the mean of its class over these.
    """

    features: Float[np.ndarray, "prompt layer d_model"]
    vectors: Vectors
    normalised: Vectors
    inverse_sd: Float64[np.ndarray, "layer d_model"]
    products: ClassProducts
    normalised_products: ClassProducts
    zscored_products: ClassProducts
    scatter: Float64[np.ndarray, "prompt layer"]


def share_vectors(
    design: Design, features: Float[np.ndarray, "prompt layer d_model"]
) -> SharedVectors:
    """Centred and noise-normalised vectors, and the class products of both."""
    vectors = held(centred(features))
    normalised = vectors * inverse_noise(design, vectors)
    scale = inverse_sd(deviation(vectors))
    zscored = vectors * scale
    n_prompts, n_layers, d_model = features.shape
    scatter = np.zeros((n_prompts, n_layers))
    for layer in range(n_layers):
        for _, own in blocks(zscored, layer):
            for label in range(len(design.labels)):
                rows = design.label_of == label
                apart = own[rows] - own[rows].mean(axis=0)
                scatter[rows, layer] += np.einsum("pd,pd->p", apart, apart)
    return SharedVectors(
        features=features,
        vectors=vectors,
        normalised=normalised,
        inverse_sd=scale,
        products=class_products(design, vectors),
        normalised_products=class_products(design, normalised),
        zscored_products=class_products(design, zscored),
        scatter=scatter / d_model,
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
    return np.asarray(np.sign(squared) * np.sqrt(np.abs(squared)))


def class_sums(
    design: Design, vectors: Float64[np.ndarray, "prompt d_model"]
) -> tuple[Float64[np.ndarray, "part d_model"], dict[int, slice]]:
    """Sums over the prompts of one class and scenario, one class after the other.

    Returns:
        The sums, and where those of each class lie. Those of a class are in the order of the
        scenarios that hold it.
    """
    code = design.label_of * design.n_scenarios + design.scenario_of
    order = np.argsort(code, kind="stable")
    starts = np.flatnonzero(np.diff(code[order], prepend=-1))
    label_of = design.label_of[order][starts]
    edges = np.searchsorted(label_of, np.arange(len(design.labels) + 1))
    is_sorted = np.array_equal(order, np.arange(len(order)))
    return _sums_of_runs(vectors if is_sorted else vectors[order], starts), {
        label: slice(edges[label], edges[label + 1]) for label in range(len(design.labels))
    }


def _sums_of_runs(
    rows: Float64[np.ndarray, "row d_model"], starts: Int[np.ndarray, " run"]
) -> Float64[np.ndarray, "run d_model"]:
    """Sums over runs of rows; runs of one length are summed by adding slices."""
    length, rest = divmod(len(rows), len(starts))
    if rest or not np.array_equal(starts, length * np.arange(len(starts))):
        return np.asarray(np.add.reduceat(rows, starts, axis=0))
    if length == 1:
        return rows
    sums = rows[::length].copy()
    for place in range(1, length):
        sums += rows[place::length]
    return sums


def contrast_means(
    design: Design,
    vectors: Float64[np.ndarray, "prompt d_model"],
    keep: Bool[np.ndarray, "draw scenario"],
    contrasts: Float[np.ndarray, "contrast label"],
) -> Float64[np.ndarray, "contrast draw d_model"]:
    """Weighted sums of class means over the prompts of some scenarios.

    NaN for a draw without a prompt of a class that counts.
    """
    sums, of_label = class_sums(design, vectors)
    found = np.zeros((len(contrasts), len(keep), vectors.shape[1]))
    at_once = max(1, BLOCK_NUMBERS // design.n_scenarios)
    for label in np.flatnonzero(contrasts.any(axis=0)).tolist():
        counts = design.counts[label]
        held = counts > 0
        for start in range(0, len(keep), at_once):
            some = slice(start, start + at_once)
            chosen = keep[some, held].astype(np.float64)
            n = (chosen @ counts[held].astype(np.float64))[:, None]
            means = chosen @ sums[of_label[label]] / np.where(n > 0, n, np.nan)
            for place in np.flatnonzero(contrasts[:, label]):
                found[place, some] += contrasts[place, label] * means
    return found


def _scenario_parts(
    design: Design, vectors: Vectors
) -> Float64[np.ndarray, "scenario layer label label"]:
    """Sum of x_i . x_j over i of one class in the scenario and j of another class outside of it."""
    n_layers, n_labels = vectors.shape[1], len(design.labels)
    parts = np.zeros((design.n_scenarios, n_layers, n_labels, n_labels))
    held = design.counts > 0
    place = np.cumsum(held, axis=1) - 1
    for layer in range(n_layers):
        for _, values in blocks(vectors, layer):
            sums, of_label = class_sums(design, values)
            totals = np.stack([sums[own].sum(axis=0) for own in of_label.values()])
            for a, own in of_label.items():
                parts[held[a], layer, a] += sums[own] @ totals.T
                for b in range(a, n_labels):
                    both = held[a] & held[b]
                    here, there = sums[own][place[a, both]], sums[of_label[b]][place[b, both]]
                    inside = np.einsum("sd,sd->s", here, there)
                    parts[both, layer, a, b] -= inside
                    if b != a:
                        parts[both, layer, b, a] -= inside
    return parts
