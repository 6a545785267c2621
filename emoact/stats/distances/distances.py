"""How far apart the emotions of one model lie, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from emoact.schema import Site
from emoact.stats.directions.directions import contrast_direction
from emoact.stats.directions.emotion import Contrast
from emoact.stats.directions.strength import touched_scenarios
from emoact.stats.distances.cosine import (
    cross_validated_cosine,
    noise_expectation,
    plain_cosine,
    top_share,
    twin_differs,
)
from emoact.stats.distances.cosine_null import CosineNull, shuffled_cosines
from emoact.stats.features import ModelFeatures
from emoact.stats.gram import divided_features
from emoact.stats.null.uncertainty import jackknife_se
from emoact.stats.products import Gram, jackknife_products, unbiased_products
from emoact.stats.rows import DistanceRow
from emoact.stats.settings import AnalysisSettings


def measure_distances(
    model: ModelFeatures,
    site: Site,
    contrasts: Sequence[Contrast],
    *,
    gram: Gram,
    twin_gram: Gram,
    settings: AnalysisSettings,
) -> list[DistanceRow]:
    """One row per (pair of emotions, layer).

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
    rows: list[DistanceRow] = []
    for first, second in combinations(contrasts, 2):
        a, b = (contrast_direction(features, design, c.weights) for c in (first, second))
        twins = (contrast_direction(divided, design, c.weights) for c in (first, second))
        cosine, twin = plain_cosine(a, b), plain_cosine(*twins)
        validated = cross_validated_cosine(products, first.weights, second.weights).value
        twin_validated = cross_validated_cosine(twin_products, first.weights, second.weights).value
        touched = touched_scenarios(design, first.weights) | touched_scenarios(
            design, second.weights
        )
        error = jackknife_se(
            cross_validated_cosine(replicates, first.weights, second.weights).value, touched
        )
        null = _null(model, gram, first, second, settings)
        share = top_share(a, b)
        expectation = noise_expectation(first.weights, second.weights, design.counts.sum(axis=1))
        both = np.isfinite(validated) & np.isfinite(twin_validated)
        warn = np.where(both, twin_differs(validated, twin_validated), twin_differs(cosine, twin))
        rows.extend(
            DistanceRow(
                model=model.model,
                site=site,
                layer=layer,
                emotion_a=first.emotion,
                emotion_b=second.emotion,
                cosine=float(cosine[layer]),
                expectation=expectation,
                null_mean=float(null.mean[layer]),
                null_low=float(null.band[0, layer]),
                null_high=float(null.band[1, layer]),
                cv_cosine=float(validated[layer]),
                cv_se=float(error[layer]),
                zscored=float(twin[layer]),
                cv_zscored=float(twin_validated[layer]),
                top_share=float(share[layer]),
                twin_differs=bool(warn[layer]),
            )
            for layer in range(len(gram))
        )
    return rows


def _null(
    model: ModelFeatures,
    gram: Gram,
    first: Contrast,
    second: Contrast,
    settings: AnalysisSettings,
) -> CosineNull:
    if first.reference != second.reference:
        blank = np.full(len(gram), math.nan)
        return CosineNull(mean=blank, band=np.stack([blank, blank]))
    return shuffled_cosines(
        model.design,
        gram,
        (first.emotion, second.emotion),
        settings.neutral,
        settings.n_permutations,
        seed=settings.seed,
    )
