"""Strength of a direction: plain norms, and estimates without the bias that noise adds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64

from emoact.measures import Columns
from emoact.stats.cosine import top_share
from emoact.stats.design import Design
from emoact.stats.directions.directions import contrast_direction
from emoact.stats.null.uncertainty import interval_quantile, jackknife_se, sides_of
from emoact.stats.products import ClassProducts, SharedVectors, contrast_product, signed_root

Layers = Float64[np.ndarray, " layer"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Strength:
    """Strength of one direction at every layer.

    Attributes:
        l1: Sum of absolute values of the plain difference of means.
        l2: Euclidean norm of it; E l2^2 = ||d||^2 + tr(S_e)/n_e + tr(S_n)/n_n, so it is never 0.
        squared: Cross-validated estimate of ||d||^2; unbiased, negative values stay.
        squared_se: Its jackknife standard error over scenarios.
        normalised: The same with each dimension over the standard deviation of its noise.
        normalised_se: Its jackknife standard error over scenarios.
        scale: Median norm of the pooled vectors of all prompts of the layer.
        top_share: Share of l2^2 that the three largest dimensions carry.
        quantile: Standard errors of `squared` in half of its interval.
        normalised_quantile: The same of `normalised`.
    """

    l1: Layers
    l2: Layers
    squared: Layers
    squared_se: Layers
    normalised: Layers
    normalised_se: Layers
    scale: Layers
    top_share: Layers
    quantile: Layers
    normalised_quantile: Layers


def measure_strength(
    shared: SharedVectors, design: Design, contrast: Float[np.ndarray, " label"]
) -> Strength:
    """Every strength of the direction of one contrast, which holds a weight for each class."""
    direction = contrast_direction(shared.features, design, contrast)
    sides = sides_of(design, contrast)
    touched = touched_scenarios(design, contrast)

    def all_three(products: ClassProducts) -> tuple[Layers, Layers, Layers]:
        left_out = contrast_product(products.left_out, contrast, contrast)
        influence = left_out - left_out[touched].mean(axis=0)
        return (
            contrast_product(products.whole, contrast, contrast),
            jackknife_se(left_out, touched),
            interval_quantile(influence, sides),
        )

    squared, squared_se, quantile = all_three(shared.products)
    normalised, normalised_se, normalised_quantile = all_three(shared.normalised_products)
    return Strength(
        l1=np.abs(direction).sum(axis=1),
        l2=np.sqrt(np.einsum("ld,ld->l", direction, direction)),
        squared=squared,
        squared_se=squared_se,
        normalised=normalised,
        normalised_se=normalised_se,
        scale=layer_scale(shared.features),
        top_share=top_share(direction, direction),
        quantile=quantile,
        normalised_quantile=normalised_quantile,
    )


def layer_scale(
    features: Float[np.ndarray, "prompt layer d_model"],
) -> Float64[np.ndarray, " layer"]:
    """Median over prompts of the norm of the pooled vector, per layer."""
    norms = (
        np.sqrt(np.einsum("pd,pd->p", exact, exact))
        for layer in range(features.shape[1])
        for exact in [features[:, layer].astype(np.float64)]
    )
    return np.array([np.median(each) for each in norms])


def participation_ratio(
    direction: Float[np.ndarray, "layer d_model"],
) -> Float64[np.ndarray, " layer"]:
    """Effective number of dimensions of a direction; NaN for a direction of length zero.

    1 for a direction along one dimension, k for k dimensions of equal size, d_model at most.
    """
    squared = direction.astype(np.float64) ** 2
    return _over(squared.sum(axis=1) ** 2, (squared**2).sum(axis=1))


def touched_scenarios(
    design: Design, contrast: Float[np.ndarray, " label"]
) -> Bool[np.ndarray, " scenario"]:
    """True for the scenarios that hold a class of the contrast."""
    touched: Bool[np.ndarray, " scenario"] = (design.counts[contrast != 0] > 0).any(axis=0)
    return touched


def _over(
    numerator: Float64[np.ndarray, " layer"], denominator: Float64[np.ndarray, " layer"]
) -> Float64[np.ndarray, " layer"]:
    ratio = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=ratio, where=denominator > 0)
    return ratio


def _interval(squared: Layers, reach: Layers) -> tuple[Layers, Layers]:
    return signed_root(squared - reach), signed_root(squared + reach)


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
        lambda cell: _over(cell.strength.l2, cell.strength.scale),
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
        ends=lambda cell: _interval(
            cell.strength.squared, cell.strength.quantile * cell.strength.squared_se
        ),
        of="the 95 % interval of cv: the signed root of cv_squared ± t cv_squared_se, t the "
        "quantile with Welch's degrees of freedom (one less than matched scenarios)",
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
        lambda cell: _over(signed_root(cell.strength.squared), cell.strength.scale),
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
        since="0.1.0",
    ),
    *_strength.estimate(
        "cv_normalised",
        "Cross-validated strength in standard deviations of the noise of each dimension",
        lambda cell: signed_root(cell.strength.normalised),
        ends=lambda cell: _interval(
            cell.strength.normalised,
            cell.strength.normalised_quantile * cell.strength.normalised_se,
        ),
        of="the 95 % interval of cv_normalised: the signed root of crossnobis ± t jackknife "
        "standard errors",
        label="cross-validated, noise-normalised",
        axis="strength, standard deviations",
        unit="standard deviations",
        formula="sign(crossnobis) √|crossnobis|",
        source="Walther et al. 2016",
        null=("null_normalised_low", "null_normalised_high"),
        since="0.1.0",
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
