"""Strength of a direction: plain norms, and estimates without the bias that noise adds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64

from emoact.measures import Columns
from emoact.stats.cosine import top_share
from emoact.stats.design import Design
from emoact.stats.directions.directions import contrast_direction
from emoact.stats.null.uncertainty import freedom_of, jackknife_se, sides_of
from emoact.stats.products import (
    ClassProducts,
    SharedVectors,
    class_sums,
    contrast_product,
    scenario_sums,
    signed_root,
)
from emoact.stats.vectors import Centred, Vectors, blocks, ratio, squares_of

Layers = Float64[np.ndarray, " layer"]

_GROUPS = 256
"""Scenarios of a kind above which sums of groups of them are taken."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Strength:
    """Strength of one direction at every layer.

    Attributes:
        l1: Sum of absolute values of the plain difference of means.
        l2: Euclidean norm of it; E l2^2 = ||d||^2 + tr(S_e)/n_e + tr(S_n)/n_n, so it is never 0.
        squared: Cross-validated estimate of ||d||^2; unbiased, negative values stay.
        squared_se: Its jackknife standard error over scenarios.
        squared_interval: Its 95 % interval, lower and upper end.
        dimensions: Number of dimensions of equal noise whose square would vary as much.
        normalised: The same with each dimension over the standard deviation of its noise.
        normalised_interval: Its 95 % interval.
        scale: Median norm of the pooled vectors of all prompts of the layer.
        top_share: Share of l2^2 that the three largest dimensions carry.
    """

    l1: Layers
    l2: Layers
    squared: Layers
    squared_se: Layers
    squared_interval: Float64[np.ndarray, "2 layer"]
    dimensions: Layers
    normalised: Layers
    normalised_interval: Float64[np.ndarray, "2 layer"]
    scale: Layers
    top_share: Layers


def measure_strength(
    shared: SharedVectors, design: Design, contrast: Float[np.ndarray, " label"]
) -> Strength:
    """Every strength of the direction of one contrast, which holds a weight for each class."""
    direction = contrast_direction(shared.features, design, contrast)
    sides = sides_of(design, contrast)
    touched = touched_scenarios(design, contrast)

    def all_four(
        products: ClassProducts, vectors: Vectors
    ) -> tuple[Layers, Layers, Float64[np.ndarray, "2 layer"], Layers]:
        left_out = contrast_product(products.left_out, contrast, contrast)
        square, se = (
            contrast_product(products.whole, contrast, contrast),
            jackknife_se(left_out, touched),
        )
        plain = (contrast_direction(vectors, design, contrast) ** 2).sum(axis=1)
        pairs = variance_of_pairs(design, vectors, contrast, sides)
        dimensions = ratio(2 * (plain - square) ** 2, pairs)
        slope = np.divide(se**2, plain, out=np.zeros_like(plain), where=plain > 0)
        freedom = freedom_of(left_out - left_out[touched].mean(axis=0), sides)
        quantile = _quantile(pairs, slope * np.maximum(square, 0), freedom, dimensions)
        return square, se, square_interval(square, pairs, slope, quantile), dimensions

    squared, squared_se, squared_interval, dimensions = all_four(shared.products, shared.vectors)
    normalised, _, normalised_interval, _ = all_four(shared.normalised_products, shared.normalised)
    return Strength(
        l1=np.abs(direction).sum(axis=1),
        l2=np.sqrt(np.einsum("ld,ld->l", direction, direction)),
        squared=squared,
        squared_se=squared_se,
        squared_interval=squared_interval,
        dimensions=dimensions,
        normalised=normalised,
        normalised_interval=normalised_interval,
        scale=layer_scale(shared.features),
        top_share=top_share(direction, direction),
    )


def variance_of_pairs(
    design: Design,
    vectors: Vectors,
    contrast: Float[np.ndarray, " label"],
    sides: Bool[np.ndarray, "2 scenario"],
) -> Layers:
    """Variance of the cross-validated square through products of the noise of two scenarios.

    2 tr(T^2), T the covariance of the noise of the direction. Scenarios that hold the same sides of
    the contrast count as alike; of more than 256 of a kind, sums of groups take their place.

    Source: Chen & Qin 2010 (tr T^2 without own products, which one far prompt would decide).
    """
    kinds = (sides[0] & sides[1], sides[0] & ~sides[1], ~sides[0] & sides[1])
    variance = np.zeros(vectors.shape[1])
    for layer in range(len(variance)):
        parts: list[list[Float64[np.ndarray, "group dimension"]]] = [[] for _ in kinds]
        for _, values in blocks(vectors, layer):
            sums, of_label = class_sums(design, values)
            added = np.zeros((design.n_scenarios, values.shape[1]))
            for label in np.flatnonzero(contrast).tolist():
                counts, own = design.counts[label], sums[of_label[label]]
                held, n = counts > 0, counts.sum()
                more = counts[held] - n / held.sum()
                added[held] += contrast[label] / n * (own - more[:, None] * (own.sum(axis=0) / n))
            for kind, part in zip(kinds, parts, strict=True):
                n, rows = int(kind.sum()), added[kind]
                part.append(scenario_sums(np.arange(n) % _GROUPS, rows) if n > _GROUPS else rows)
        seen = list[Float64[np.ndarray, "group d_model"]]()
        for kind, part in zip(kinds, parts, strict=True):
            n, rows = int(kind.sum()), np.concatenate(part, axis=1)
            if n < 2:
                continue
            variance[layer] += 2 * n / (n - 1) * _squared_trace(rows)
            variance[layer] += 4 * sum(_trace_of_product(rows, other) for other in seen)
            seen.append(rows)
    return np.maximum(variance, 0.0)


def _squared_trace(rows: Float64[np.ndarray, "group d_model"]) -> float:
    """Estimate of tr(T^2), T the covariance of the sum of the rows."""
    n = len(rows)
    gram = rows @ rows.T
    # Product of row t and row s about the mean of all rows but these two.
    rest = gram.sum(axis=0) - gram - np.diag(gram)
    about = gram - rest / max(n - 2, 1) * (n > 2)
    np.fill_diagonal(about, 0.0)
    return float(n / (n - 1) * (about * about.T).sum())


def _trace_of_product(
    first: Float64[np.ndarray, "group d_model"], second: Float64[np.ndarray, "other d_model"]
) -> float:
    """Estimate of tr(T U), T and U the covariances of the sums of independent rows."""
    products, sizes = first @ second.T, (len(first), len(second))
    about = (products - products.mean(axis=0)) * (products - products.mean(axis=1, keepdims=True))
    return float(about.sum() * np.prod([n / (n - 1) for n in sizes]))


def _quantile(pairs: Layers, rising: Layers, freedom: Layers, dimensions: Layers) -> Layers:
    """97.5 % quantile of t for the sum of both parts of the variance of a square.

    That of products of the noise of two scenarios is itself such products, of many more pairs than
    scenarios where the noise has many dimensions.

    Source: Satterthwaite 1946; Chen, Zhang & Zhong 2010 (variance of an estimate of tr T^2).
    """
    from scipy.stats import t

    n, k = freedom + 1, np.fmax(dimensions, 1)
    spent = pairs**2 * (2 / n**2 + 4 / (n * k)) + rising**2 / freedom
    of_both = np.divide((pairs + rising) ** 2, spent, out=freedom.copy(), where=spent > 0)
    return np.asarray(t.ppf(0.975, of_both))


def square_interval(
    square: Layers, constant: Layers, slope: Layers, quantile: Layers
) -> Float64[np.ndarray, "2 layer"]:
    """Both x with (square - x)^2 = quantile^2 (constant + slope max(x, 0))."""
    reach, shift = quantile * np.sqrt(constant), quantile**2 * slope / 2
    root = np.sqrt(np.maximum(shift**2 + 2 * shift * square + reach**2, 0.0))
    return np.stack(
        [
            np.where(end <= 0, end, square + shift + sign * root)
            for sign, end in ((-1, square - reach), (1, square + reach))
        ]
    )


def layer_scale(
    features: Float[np.ndarray, "prompt layer d_model"],
) -> Float64[np.ndarray, " layer"]:
    """Median over prompts of the norm of the pooled vector, per layer."""
    exact = Centred(features=features, offset=np.zeros((0, *features.shape[1:])))
    return np.array(
        [np.median(np.sqrt(squares_of(exact, layer))) for layer in range(features.shape[1])]
    )


def participation_ratio(
    direction: Float[np.ndarray, "layer d_model"],
) -> Float64[np.ndarray, " layer"]:
    """Effective number of dimensions of a direction; NaN for a direction of length zero.

    1 for a direction along one dimension, k for k dimensions of equal size, d_model at most.
    """
    squared = direction.astype(np.float64) ** 2
    return ratio(squared.sum(axis=1) ** 2, (squared**2).sum(axis=1))


def touched_scenarios(
    design: Design, contrast: Float[np.ndarray, " label"]
) -> Bool[np.ndarray, " scenario"]:
    """True for the scenarios that hold a class of the contrast."""
    return np.asarray((design.counts[contrast != 0] > 0).any(axis=0))


_strength = Columns("strength", path="strength")

MEASURES = (
    _strength(
        "l1",
        "Sum of absolute values of the plain direction; biased upwards by noise",
        label="plain L1",
        axis="L1 norm, model units",
        unit="model units",
        formula="Σ_j |d_j|",
    ),
    _strength(
        "l2",
        "Euclidean norm of the plain direction; biased upwards by noise",
        label="plain L2",
        axis="L2 norm, model units",
        unit="model units",
        formula="√(Σ_j d_j²); its square has the expectation ‖δ‖² + tr Σ_e/n_e + tr Σ_n/n_n",
    ),
    _strength(
        "relative",
        "l2 over the scale of the layer; the only plain strength to compare over layers",
        lambda cell: ratio(cell.strength.l2, cell.strength.scale),
        label="plain, relative",
        axis="L2 norm / median norm",
        formula="l2 / scale",
    ),
    _strength(
        "cv_squared",
        "Cross-validated squared strength; unbiased, and negative values stay",
        lambda cell: cell.strength.squared,
        unit="model units²",
        formula="cᵀ P c, see Unbiased products",
        source="Walther et al. 2016",
    ),
    _strength(
        "cv_squared_se",
        "Jackknife standard error of cv_squared over scenarios",
        lambda cell: cell.strength.squared_se,
        unit="model units²",
        source="Efron & Stein 1981",
    ),
    *_strength.estimate(
        "cv",
        "Cross-validated strength: the signed root of cv_squared",
        lambda cell: signed_root(cell.strength.squared),
        ends=lambda cell: signed_root(cell.strength.squared_interval),
        of="the 95 % interval of cv: the signed root of the squares at whose own variance "
        "cv_squared is t standard errors away, t with Welch's degrees of freedom (one less than "
        "matched scenarios)",
        label="cross-validated",
        axis="strength, model units",
        unit="model units",
        formula="sign(cv_squared) √|cv_squared|",
        source="Walther et al. 2016",
        null=("null_low", "null_high"),
    ),
    _strength(
        "cv_relative",
        "cv over the scale of the layer, for comparisons over layers",
        lambda cell: ratio(signed_root(cell.strength.squared), cell.strength.scale),
        label="cross-validated, relative",
        axis="strength / median norm",
        formula="cv / scale",
        interval=("cv_low", "cv_high"),
        null=("null_low", "null_high"),
        per="scale",
    ),
    _strength(
        "crossnobis",
        "cv_squared with each dimension over the standard deviation of its noise, so that no "
        "large dimension can dominate it",
        lambda cell: cell.strength.normalised,
        formula="cᵀ P c of x_j / σ_j, see Noise normalisation",
        source="Walther et al. 2016",
    ),
    *_strength.estimate(
        "cv_normalised",
        "Cross-validated strength in standard deviations of the noise of each dimension",
        lambda cell: signed_root(cell.strength.normalised),
        ends=lambda cell: signed_root(cell.strength.normalised_interval),
        of="the 95 % interval of cv_normalised: as of cv, from crossnobis",
        label="cross-validated, noise-normalised",
        axis="strength, standard deviations",
        unit="standard deviations",
        formula="sign(crossnobis) √|crossnobis|",
        source="Walther et al. 2016",
        null=("null_normalised_low", "null_normalised_high"),
    ),
    _strength(
        "scale",
        "Median over all prompts of the norm of the pooled vector at the layer",
        unit="model units",
        formula="median_i ‖x_i‖",
    ),
    _strength(
        "top_share",
        "Share of the squared norm that the three largest dimensions carry",
        formula="largest three d_j² / Σ_j d_j²",
        source="Timkey & van Schijndel 2021",
    ),
    _strength(
        "participation_ratio",
        "Effective number of dimensions of the direction: 1 for one dimension, d_model for "
        "entries of equal size",
        lambda cell: participation_ratio(cell.direction),
        label="effective dimensions",
        axis="effective dimensions",
        unit="dimensions",
        formula="(Σ_j d_j²)² / Σ_j d_j⁴",
    ),
)
