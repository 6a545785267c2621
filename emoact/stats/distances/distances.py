"""Distances between two emotions of one model, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64, Int

from emoact.measures import Columns
from emoact.stats.cosine import (
    cross_validated_cosine,
    noise_expectation,
    plain_cosine,
    top_share,
    twin_differs,
)
from emoact.stats.design import Design
from emoact.stats.directions.contrast import Contrast
from emoact.stats.directions.directions import contrast_direction
from emoact.stats.directions.emotion import BAND_DRAWS, EmotionFigures
from emoact.stats.directions.stability import row_cosines
from emoact.stats.directions.strength import touched_scenarios
from emoact.stats.null.relabelling import OUTSIDE, shuffled_groups
from emoact.stats.null.uncertainty import jackknife_se
from emoact.stats.products import ClassProducts, SharedVectors, compact, contrast_product
from emoact.stats.settings import AnalysisSettings
from emoact.stats.vectors import BLOCK_NUMBERS, Vectors, blocks, largest_square

Layers = Float64[np.ndarray, " layer"]

_CHUNK = 125
"""Relabellings whose weights are held in memory at once."""

_MANY_PROMPTS = 500
"""Prompts above which the band of a cosine is summed in single precision."""

LARGEST_SE = 0.5
"""Largest standard error of a cosine that is reported: its interval is about as wide as [-1, 1]."""

FIRM = 1.96
"""Standard errors above 0 of the squares below the root, from which a ratio has a bounded interval.

Directions that subtract the same neutral prompts are significant together where the noise of these
is large. Without this, cosines of 0 and -.5 read +.4 to +.8 where a direction is seldom
significant.

Source: Fieller 1954.
"""

CosineStatus = Literal["shown", "not_significant", "no_interval"]


@dataclass(frozen=True, kw_only=True, eq=False)
class EmotionPair:
    """Two emotions with the draws that all layers and sites share.

    Attributes:
        groups: Shuffled groups of the prompts: 0 and 1 for the emotions, 2 for neutral; None where
            the two have no reference in common.
    """

    first: Contrast
    second: Contrast
    groups: Int[np.ndarray, "draw prompt"] | None


@dataclass(frozen=True, kw_only=True, eq=False)
class PairFigures:
    """Two emotions at some or all layers of one site of one model.

    Attributes:
        zscored: Cosine of the directions with each dimension over its standard deviation.
        cv_cosine: Cosine from unbiased products.
        cv_se: Jackknife standard error of `cv_cosine`.
        cv_zscored: The same as `cv_cosine` with standardised dimensions.
        cv_normalised: The same as `cv_cosine` with noise-normalised dimensions.
        cv_normalised_se: Its jackknife standard error.
        null_mean: Mean of the plain cosine with the labels of both emotions and of neutral shuffled
            in scenarios: about 1/2 for equal classes, which subtract one neutral; blank for the
            grand mean.
        null_band: 2.5 % and 97.5 % quantiles; much wider than 1.96 / sqrt(d_model) on real spectra.
    """

    zscored: Layers
    cv_cosine: Layers
    cv_se: Layers
    cv_zscored: Layers
    cv_normalised: Layers
    cv_normalised_se: Layers
    null_mean: Layers
    null_band: Float64[np.ndarray, "2 layer"]


@dataclass(frozen=True, kw_only=True, eq=False)
class JudgedPair:
    """Two emotions with the significance of their directions.

    A cosine of two weak directions is selected noise: shown wherever both cross-validated squares
    happen to be positive, data without an emotion give values of +1 and more.
    """

    first: EmotionFigures
    second: EmotionFigures
    figures: PairFigures

    @property
    def status(self) -> list[CosineStatus]:
        """At each layer: `shown`, or the reason why the cross-validated cosine is blank."""
        both = self._significant
        finite = np.isfinite(self.figures.cv_cosine) & (self.figures.cv_se <= LARGEST_SE)
        return [
            "not_significant" if not strong else "shown" if known else "no_interval"
            for strong, known in zip(both.tolist(), finite.tolist(), strict=True)
        ]

    @property
    def twin_differs(self) -> Bool[np.ndarray, " layer"]:
        """Few dimensions decide the cosine; by the cross-validated cosines where both are shown."""
        value, twin = self.gated("cv_cosine", se="cv_se"), self.gated("cv_zscored")
        plain = plain_cosine(self.first.direction, self.second.direction)
        return np.where(
            np.isfinite(value) & np.isfinite(twin),
            twin_differs(value, twin),
            twin_differs(plain, self.figures.zscored),
        )

    def gated(self, name: str, *, se: str = "") -> Layers:
        """A figure where both directions are significant and its error is small, else NaN."""
        values: Layers = getattr(self.figures, name)
        values_se = getattr(self.figures, se) if se else np.zeros(values.shape)
        known = np.isfinite(values) & (values_se <= LARGEST_SE)
        return np.where(self._significant & known, values, np.nan)

    @property
    def _significant(self) -> Bool[np.ndarray, " layer"]:
        judged = [each.judged for each in (self.first, self.second)]
        significant = [each.significant for each in judged if each is not None]
        return np.asarray(np.logical_and.reduce(significant))


def pair_emotions(
    design: Design, contrasts: Sequence[Contrast], settings: AnalysisSettings
) -> tuple[EmotionPair, ...]:
    """Each pair of emotions, with the relabellings of its null."""
    found = []
    for first, second in combinations(contrasts, 2):
        groups = None
        if first.reference == second.reference:
            names = (first.emotion, second.emotion, settings.neutral)
            groups = shuffled_pair(
                design, names, min(settings.n_permutations, BAND_DRAWS), seed=settings.seed
            )
        found.append(EmotionPair(first=first, second=second, groups=groups))
    return tuple(found)


def measure_pair(pair: EmotionPair, design: Design, shared: SharedVectors) -> PairFigures:
    """Cosines between two emotions at the layers of the vectors."""
    weights = (pair.first.weights, pair.second.weights)
    touched = touched_scenarios(design, weights[0]) | touched_scenarios(design, weights[1])
    twins = (
        contrast_direction(shared.features, design, each) * shared.inverse_sd for each in weights
    )

    def cosine(products: ClassProducts) -> tuple[Layers, Layers]:
        value = cross_validated_cosine(products.whole, *weights)
        for each in weights:
            square = contrast_product(products.whole, each, each)
            own = touched_scenarios(design, each)
            se = jackknife_se(contrast_product(products.left_out, each, each), own)
            value = np.where(square > FIRM * se, value, np.nan)
        left_out = cross_validated_cosine(products.left_out, *weights)
        return value, jackknife_se(left_out, touched)

    plain, normalised = cosine(shared.products), cosine(shared.normalised_products)
    null_mean, null_band = cosine_null(shared.vectors, pair.groups)
    return PairFigures(
        zscored=plain_cosine(*twins),
        cv_cosine=plain[0],
        cv_se=plain[1],
        cv_zscored=np.where(
            np.isfinite(normalised[0]),
            cross_validated_cosine(shared.zscored_products.whole, *weights),
            np.nan,
        ),
        cv_normalised=normalised[0],
        cv_normalised_se=normalised[1],
        null_mean=null_mean,
        null_band=null_band,
    )


def shuffled_pair(
    design: Design, names: tuple[str, str, str], n_draws: int, *, seed: int = 0
) -> Int[np.ndarray, "draw prompt"]:
    """Groups 0, 1 and 2 of the prompts of two emotions and of neutral, shuffled in scenarios.

    Raises:
        RequestError: A label is missing.
    """
    groups = np.full(design.n_prompts, OUTSIDE)
    for group, label in enumerate(names):
        groups[design.label_of == design.index(label)] = group
    return shuffled_groups(design, groups, n_draws, seed=seed)[1:]


def cosine_null(
    vectors: Vectors, groups: Int[np.ndarray, "draw prompt"] | None
) -> tuple[Layers, Float64[np.ndarray, "2 layer"]]:
    """Mean and 95 % band of the plain cosine between two emotions under relabelling.

    The groups are from `shuffled_pair`; None for a blank null.
    """
    if groups is None:
        blank = np.full((3, vectors.shape[1]), np.nan)
        return blank[0], blank[1:]
    sizes = [(groups[0] == group).sum() for group in range(3)]
    used = groups[0] != OUTSIDE
    cosines = np.empty((len(groups), vectors.shape[1]))
    kind, least = (np.float32, 1e-10) if used.sum() > _MANY_PROMPTS else (np.float64, 1e-13)
    rows = np.flatnonzero(used)
    at_once = max(1, min(_CHUNK, BLOCK_NUMBERS // max(len(rows), 1)))
    for layer in range(vectors.shape[1]):
        floor, sums = least * largest_square(vectors, layer, rows), []
        for _, exact in blocks(vectors, layer, rows):
            own = compact(exact, 2 * len(groups)).astype(kind, copy=False)
            first, second = (
                np.concatenate(
                    [
                        (groups[start : start + at_once, rows] == group).astype(kind) @ own
                        for start in range(0, len(groups), at_once)
                    ]
                )
                for group in (0, 1)
            )
            base = (own.sum(axis=0) - first - second) / sizes[2]
            sums.append((first / sizes[0] - base, second / sizes[1] - base))
        here, there = (np.concatenate(side, axis=1) for side in zip(*sums, strict=True))
        cosines[:, layer] = row_cosines(here, there, floor=floor)
    return cosines.mean(axis=0), np.quantile(cosines, (0.025, 0.975), axis=0)


def _expectation(pair: JudgedPair) -> float:
    sizes = pair.first.model.design.counts.sum(axis=1)
    return noise_expectation(pair.first.contrast.weights, pair.second.contrast.weights, sizes)


_distances = Columns("distances", path="figures")

MEASURES = (
    _distances(
        "cosine",
        "Cosine of the plain directions of the two emotions",
        lambda pair: plain_cosine(pair.first.direction, pair.second.direction),
        label="plain",
        axis="cosine",
        null=("null_low", "null_high"),
    ),
    _distances(
        "expectation",
        "Expected cosine of noise, because both directions subtract the same prompts; .5 for "
        "equal classes, −1/(C − 1) from the grand mean",
        _expectation,
        formula="Σ c_a c′_a/n_a / √(Σ c_a²/n_a · Σ c′_a²/n_a); against one neutral class (1/n_0) "
        "/ √((1/n_1 + 1/n_0)(1/n_2 + 1/n_0))",
    ),
    _distances(
        "null_mean",
        "Mean of the cosine when the labels of the emotions and of neutral are shuffled within "
        "scenarios; blank from the grand mean",
    ),
    *_distances.ends(
        "null_low",
        "null_high",
        "the 95 % band of these cosines; wider than ±1.96/√d_model, because spectra of "
        "activations are steep (Ethayarajh 2019)",
        lambda pair: pair.figures.null_band,
    ),
    _distances(
        "cv_cosine",
        "Cross-validated cosine at layers where both directions are significant, both squares are "
        "more than 1.96 standard errors above 0 and its own standard error is at most .5; blank "
        "elsewhere, not clipped; of weak directions, too large by .1 to .4 in planted data",
        lambda pair: pair.gated("cv_cosine", se="cv_se"),
        label="cross-validated",
        axis="cosine",
        formula="cᵀ P c′ / √((cᵀ P c)(c′ᵀ P c′))",
        source="Walther et al. 2016; Fieller 1954",
    ),
    _distances(
        "cv_se",
        "Jackknife standard error of cv_cosine over scenarios",
        lambda pair: pair.gated("cv_se"),
        source="Efron & Stein 1981",
    ),
    _distances(
        "cv_status",
        "shown; or why cv_cosine is blank: not_significant (a direction is not significant at "
        "this layer), no_interval (a square is not 1.96 standard errors above 0, or the standard "
        "error is above .5, so that the interval spans most of what a cosine can be)",
        lambda pair: pair.status,
        kind="str",
    ),
    _distances(
        "cv_normalised",
        "cv_cosine with each dimension over the standard deviation of its noise; blank by the "
        "same rule",
        lambda pair: pair.gated("cv_normalised", se="cv_normalised_se"),
        formula="cv_cosine of x_j / σ_j, see Noise normalisation",
        source="Walther et al. 2016",
    ),
    _distances(
        "cv_normalised_se",
        "Jackknife standard error of cv_normalised over scenarios",
        lambda pair: pair.gated("cv_normalised_se"),
        source="Efron & Stein 1981",
    ),
    _distances(
        "zscored",
        "Plain cosine with each dimension over its standard deviation over all prompts",
        label="z-scored",
        axis="cosine",
    ),
    _distances(
        "cv_zscored",
        "Cross-validated cosine with each dimension over its standard deviation; blank where "
        "cv_normalised has no value",
        lambda pair: pair.gated("cv_zscored"),
    ),
    _distances(
        "top_share",
        "Share of the cosine's terms that the three largest dimensions carry",
        lambda pair: top_share(pair.first.direction, pair.second.direction),
        formula="largest three |d_j d′_j| / Σ_j |d_j d′_j|, unit directions",
        source="Timkey & van Schijndel 2021",
    ),
    _distances(
        "twin_differs",
        "Standardising the dimensions changes the cosine by more than .2 (the cross-validated one "
        "where it is shown): few dimensions decide it",
        lambda pair: pair.twin_differs,
        kind="bool",
    ),
)
