"""Figures of one emotion, model and site to rows of the tidy tables."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float64

from emoact.schema import Site
from emoact.stats.design import Design
from emoact.stats.directions.emotion import Contrast, EmotionResult
from emoact.stats.directions.strength import signed_root
from emoact.stats.distances.cosine import plain_cosine
from emoact.stats.distances.geometry import Projection
from emoact.stats.features import ModelFeatures
from emoact.stats.null.significance import Significance
from emoact.stats.null.uncertainty import percentile_interval
from emoact.stats.probes.grid import (
    CROSS_VALIDATED,
    TRANSFER,
    ProbeGrid,
    TextBaselines,
    compare_probe,
)
from emoact.stats.rows import (
    AxisRow,
    HeadlineRow,
    PointRow,
    StabilityRow,
    StrengthRow,
    VariantRow,
)


def strength_rows(
    result: EmotionResult,
    significance: Significance,
    design: Design,
    contrast: Contrast,
    alpha: float,
) -> list[StrengthRow]:
    """One row per layer."""
    strength, separation, test = result.strength, result.separation, significance.test
    columns = significance.columns[result.site]
    error = 1.96 * strength.squared_se
    low, high = signed_root(strength.squared - error), signed_root(strength.squared + error)
    null = signed_root(test.null_band[:, columns])
    sizes = design.counts.sum(axis=1)
    p_holm = significance.p_holm_layers[columns]
    return [
        StrengthRow(
            model=result.model,
            emotion=result.emotion,
            site=result.site,
            layer=layer,
            l1=float(strength.l1[layer]),
            l2=float(strength.l2[layer]),
            relative=float(strength.relative[layer]),
            cv_squared=float(strength.squared[layer]),
            cv_squared_se=float(strength.squared_se[layer]),
            cv=float(strength.signed[layer]),
            cv_low=float(low[layer]),
            cv_high=float(high[layer]),
            cv_relative=float(strength.signed_relative[layer]),
            scale=float(strength.scale[layer]),
            top_share=float(strength.top_share[layer]),
            null_low=float(null[0, layer]),
            null_high=float(null[1, layer]),
            z=float(test.z[columns][layer]),
            p=float(test.p[columns][layer]),
            p_max=float(test.p_max[columns][layer]),
            p_holm=float(p_holm[layer]),
            significant=bool(p_holm[layer] <= alpha),
            d_prime=float(separation.d_prime[layer]),
            d_prime_low=float(separation.d_prime_interval[0, layer]),
            d_prime_high=float(separation.d_prime_interval[1, layer]),
            auroc=float(separation.auroc[layer]),
            auroc_low=float(separation.auroc_interval[0, layer]),
            auroc_high=float(separation.auroc_interval[1, layer]),
            length_corr=float(result.length_corr[layer]),
            reliability=float(result.reliability[layer]),
            n_emotion=int(sizes[design.index(contrast.emotion)]),
            n_reference=int(sum(sizes[design.index(label)] for label in contrast.reference)),
        )
        for layer in range(len(strength.l2))
    ]


def stability_rows(result: EmotionResult) -> list[StabilityRow]:
    """One row per layer."""
    low, high = percentile_interval(result.split_half)
    split_half, left_out = _finite_mean(result.split_half), _finite_mean(result.leave_one_out)
    smallest = np.where(np.isfinite(result.leave_one_out), result.leave_one_out, np.inf).min(
        axis=0, initial=np.inf
    )
    return [
        StabilityRow(
            model=result.model,
            emotion=result.emotion,
            site=result.site,
            layer=layer,
            split_half=float(split_half[layer]),
            split_half_low=float(low[layer]),
            split_half_high=float(high[layer]),
            leave_one_out=float(left_out[layer]),
            leave_one_out_min=float(smallest[layer]) if np.isfinite(smallest[layer]) else np.nan,
            pairwise=float(result.pairwise[layer]),
        )
        for layer in range(len(low))
    ]


def variant_rows(result: EmotionResult) -> list[VariantRow]:
    """One row per (other kind, layer)."""
    rows: list[VariantRow] = []
    used = result.directions[result.main]
    for kind, direction in result.directions.items():
        if kind == result.main:
            continue
        cosine = plain_cosine(used, direction)
        rows.extend(
            VariantRow(
                model=result.model,
                emotion=result.emotion,
                site=result.site,
                layer=layer,
                kind=kind,
                l1=float(np.abs(direction[layer]).sum()),
                l2=float(np.sqrt((direction[layer] ** 2).sum())),
                cosine=float(cosine[layer]),
                n_components=int(result.n_components[layer]) if kind == "neutral_projected" else 0,
            )
            for layer in range(len(direction))
        )
    return rows


def headline_rows(
    model: ModelFeatures,
    contrast: Contrast,
    texts: TextBaselines,
    probe: ProbeGrid,
    first_layer: Mapping[str, Float64[np.ndarray, " prompt"]] | None,
    significance: Significance,
    site: Site,
    alpha: float,
) -> list[HeadlineRow]:
    """One row per evaluation that the data allow.

    A probe that does better than words where the permutation test tells no difference of the
    classes decides nothing: a dozen probes are looked at, and the test alone answers for them all.
    """
    rows = []
    significant = significance.p_holm <= alpha
    layers = significance.p_holm_layers[significance.columns[site]] <= alpha
    for evaluation in (CROSS_VALIDATED, TRANSFER):
        accuracy, comparison, baseline = compare_probe(
            model, contrast, texts, probe, first_layer, evaluation
        )
        if evaluation == TRANSFER and not accuracy.n:
            continue
        rows.append(
            HeadlineRow(
                model=model.model,
                emotion=contrast.emotion,
                site=site,
                p_family=significance.test.p_family,
                p_holm=significance.p_holm,
                significant=significant,
                layers=int(layers.sum()),
                probe=probe.probe,
                evaluation=evaluation,
                accuracy=accuracy.value,
                accuracy_low=accuracy.low,
                accuracy_high=accuracy.high,
                baseline=comparison.baseline,
                baseline_accuracy=baseline,
                difference=comparison.difference,
                difference_low=comparison.low,
                difference_high=comparison.high,
                verdict=comparison.verdict
                if significant or comparison.verdict != "beyond_words"
                else "undecided",
            )
        )
    return rows


def point_rows(model: ModelFeatures, site: Site, projection: Projection) -> list[PointRow]:
    """One row per (layer, prompt)."""
    n_layers, n_prompts, n_axes = projection.coordinates.shape
    padded = np.full((n_layers, n_prompts, 3), np.nan)
    padded[..., : min(n_axes, 3)] = projection.coordinates[..., :3]
    return [
        PointRow(
            model=model.model,
            site=site,
            layer=layer,
            emotion=model.design.labels[model.design.label_of[row]],
            prompt_id=model.prompts[row].id,
            basis="fixed" if projection.fixed_basis else "per_layer",
            pc1=float(padded[layer, row, 0]),
            pc2=float(padded[layer, row, 1]),
            pc3=float(padded[layer, row, 2]),
        )
        for layer in range(n_layers)
        for row in range(n_prompts)
    ]


def axis_rows(model: ModelFeatures, site: Site, projection: Projection) -> list[AxisRow]:
    """One row per (layer, axis)."""
    return [
        AxisRow(
            model=model.model,
            site=site,
            layer=layer,
            basis="fixed" if projection.fixed_basis else "per_layer",
            axis=axis,
            explained=float(share),
        )
        for layer, shares in enumerate(projection.explained)
        for axis, share in enumerate(shares)
    ]


def _finite_mean(values: Float64[np.ndarray, "draw layer"]) -> Float64[np.ndarray, " layer"]:
    finite = np.isfinite(values)
    total, n = np.where(finite, values, 0.0).sum(axis=0), finite.sum(axis=0)
    return np.asarray(total / np.where(n > 0, n, np.nan))
