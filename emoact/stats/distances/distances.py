"""Distances between two emotions of one model, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float64, Int

from emoact.measures import Cell, Measure, ends
from emoact.sites import SiteName
from emoact.stats.cosine import (
    cross_validated_cosine,
    noise_expectation,
    plain_cosine,
    top_share,
    twin_differs,
)
from emoact.stats.directions.directions import contrast_direction
from emoact.stats.directions.emotion import Contrast
from emoact.stats.directions.strength import touched_scenarios
from emoact.stats.distances.cosine_null import CosineNull, shuffled_cosines
from emoact.stats.features import ModelFeatures
from emoact.stats.gram import divided_features
from emoact.stats.null.uncertainty import jackknife_se
from emoact.stats.products import Gram, jackknife_products, unbiased_products
from emoact.stats.settings import AnalysisSettings

Layers = Float64[np.ndarray, " layer"]


@dataclass(frozen=True, kw_only=True, eq=False)
class EmotionPair:
    """Two emotions at every layer of one site of one model.

    Attributes:
        first: Contrast of the first emotion; `second` of the other.
        sizes: Prompts of each class.
        a: Direction of the first emotion; `b` of the other.
        zscored: Cosine of the directions with each dimension over its standard deviation.
        cv_cosine: Cosine from unbiased products; `cv_zscored` with standardised dimensions.
        cv_se: Jackknife standard error of `cv_cosine`.
        null: Null distribution of the plain cosine; blank for the grand mean.
    """

    first: Contrast
    second: Contrast
    sizes: Int[np.ndarray, " label"]
    a: Float64[np.ndarray, "layer d_model"]
    b: Float64[np.ndarray, "layer d_model"]
    zscored: Layers
    cv_cosine: Layers
    cv_se: Layers
    cv_zscored: Layers
    null: CosineNull

    @property
    def twin_differs(self) -> Bool[np.ndarray, " layer"]:
        """Few dimensions decide the cosine; by the cross-validated cosines where both exist."""
        both = np.isfinite(self.cv_cosine) & np.isfinite(self.cv_zscored)
        return np.where(
            both,
            twin_differs(self.cv_cosine, self.cv_zscored),
            twin_differs(plain_cosine(self.a, self.b), self.zscored),
        )


def measure_distances(
    model: ModelFeatures,
    site: SiteName,
    contrasts: Sequence[Contrast],
    *,
    gram: Gram,
    twin_gram: Gram,
    settings: AnalysisSettings,
) -> list[Cell]:
    """One cell of the table `distances` for each pair of emotions.

    Args:
        model: Its pooled vectors.
        site: Which of them.
        contrasts: The emotions.
        gram: `centred_gram` of the site.
        twin_gram: The same with `standardise=True`.
        settings: Number of permutations and seed.
    """
    features, design = model.sites[site], model.design
    divided = divided_features(features)
    products, replicates = unbiased_products(design, gram), jackknife_products(design, gram)
    twin_products = unbiased_products(design, twin_gram)
    cells = []
    for first, second in combinations(contrasts, 2):
        weights = (first.weights, second.weights)
        a, b = (contrast_direction(features, design, each) for each in weights)
        twins = (contrast_direction(divided, design, each) for each in weights)
        touched = touched_scenarios(design, weights[0]) | touched_scenarios(design, weights[1])
        pair = EmotionPair(
            first=first,
            second=second,
            sizes=design.counts.sum(axis=1),
            a=a,
            b=b,
            zscored=plain_cosine(*twins),
            cv_cosine=cross_validated_cosine(products, *weights).value,
            cv_se=jackknife_se(cross_validated_cosine(replicates, *weights).value, touched),
            cv_zscored=cross_validated_cosine(twin_products, *weights).value,
            null=_null(model, gram, first, second, settings),
        )
        ids = {
            "model": model.model,
            "site": site,
            "layer": np.arange(len(gram)),
            "emotion_a": first.emotion,
            "emotion_b": second.emotion,
        }
        cells.append(Cell(table="distances", ids=ids, source=pair))
    return cells


def _null(
    model: ModelFeatures,
    gram: Gram,
    first: Contrast,
    second: Contrast,
    settings: AnalysisSettings,
) -> CosineNull:
    if first.reference != second.reference:
        blank = np.full(len(gram), np.nan)
        return CosineNull(mean=blank, band=np.stack([blank, blank]))
    return shuffled_cosines(
        model.design,
        gram,
        (first.emotion, second.emotion),
        settings.neutral,
        settings.n_permutations,
        seed=settings.seed,
    )


MEASURES = (
    Measure(
        name="cosine",
        table="distances",
        definition="Cosine of the plain directions of the two emotions",
        label="plain",
        axis="cosine",
        null=("null_low", "null_high"),
        compute=lambda pair: plain_cosine(pair.a, pair.b),
    ),
    Measure(
        name="expectation",
        table="distances",
        definition="Expected cosine of noise, because both directions subtract the same prompts; "
        ".5 for equal classes, −1/(C − 1) from the grand mean",
        formula="Σ c_a c′_a/n_a / √(Σ c_a²/n_a · Σ c′_a²/n_a); against one neutral class "
        "(1/n_0) / √((1/n_1 + 1/n_0)(1/n_2 + 1/n_0))",
        compute=lambda pair: noise_expectation(pair.first.weights, pair.second.weights, pair.sizes),
    ),
    Measure(
        name="null_mean",
        table="distances",
        definition="Mean of the cosine when the labels of the emotions and of neutral are shuffled "
        "within scenarios; blank from the grand mean",
        compute=lambda pair: pair.null.mean,
    ),
    *ends(
        "null_low",
        "null_high",
        table="distances",
        of="the 95 % band of these cosines; wider than ±1.96/√d_model, because spectra of "
        "activations are steep (Ethayarajh 2019)",
        compute=lambda pair: pair.null.band,
    ),
    Measure(
        name="cv_cosine",
        table="distances",
        definition="Cross-validated cosine; blank unless both squares are positive, not clipped",
        label="cross-validated",
        axis="cosine",
        formula="cᵀ P c′ / √((cᵀ P c)(c′ᵀ P c′))",
        source="Walther et al. 2016",
        compute=lambda pair: pair.cv_cosine,
    ),
    Measure(
        name="cv_se",
        table="distances",
        definition="Jackknife standard error of cv_cosine over scenarios",
        source="Efron & Stein 1981",
        compute=lambda pair: pair.cv_se,
    ),
    Measure(
        name="zscored",
        table="distances",
        definition="Plain cosine with each dimension over its standard deviation over all prompts",
        label="z-scored",
        axis="cosine",
        compute=lambda pair: pair.zscored,
    ),
    Measure(
        name="cv_zscored",
        table="distances",
        definition="Cross-validated cosine with each dimension over its standard deviation",
        compute=lambda pair: pair.cv_zscored,
    ),
    Measure(
        name="top_share",
        table="distances",
        definition="Share of the cosine's terms that the three largest dimensions carry",
        formula="largest three |d_j d′_j| / Σ_j |d_j d′_j|, unit directions",
        source="Timkey & van Schijndel 2021",
        compute=lambda pair: top_share(pair.a, pair.b),
    ),
    Measure(
        name="twin_differs",
        table="distances",
        kind="bool",
        definition="Standardising the dimensions changes the cosine by more than .2 (the "
        "cross-validated one where it exists): few dimensions decide it",
        compute=lambda pair: pair.twin_differs,
    ),
)
