"""Directions of one emotion at one site of one model, and their figures."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float, Float64, Int

from emoact.measures import Cell, Columns
from emoact.sites import SiteName
from emoact.stats.cosine import plain_cosine
from emoact.stats.design import Design, contrast_grand_mean
from emoact.stats.directions.contrast import Contrast
from emoact.stats.directions.directions import (
    DirectionKind,
    contrast_direction,
    neutral_components,
    project_out,
    within_scenario_direction,
)
from emoact.stats.directions.separation import Separation, held_out_scores, measure_separation
from emoact.stats.directions.stability import (
    leave_one_out_cosines,
    pairwise_difference_cosine,
    score_reliability,
    split_half_cosines,
    split_half_null,
)
from emoact.stats.directions.strength import Strength, measure_strength
from emoact.stats.features import ModelFeatures
from emoact.stats.null.permutation import permuted_statistics, permuted_strengths
from emoact.stats.null.significance import Judged
from emoact.stats.null.uncertainty import percentile_interval
from emoact.stats.products import SharedVectors
from emoact.stats.rank import spearman
from emoact.stats.settings import AnalysisSettings
from emoact.stats.vectors import Vectors

RELIABILITY_SPLITS = 20

LAYERED = (Strength, Separation)
"""Records inside of figures that hold one value per layer, too."""

BAND_DRAWS = 500
"""Relabellings behind a band of the null; a band needs fewer than a small p-value."""

SPLIT_DRAWS = 200
"""The same of the cosine of two halves, of which each has many splits."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EmotionFigures:
    """Figures of one emotion at some or all layers of one site of one model.

    Layers are the last axis of every array but the directions.

    Attributes:
        directions: By kind; the analysis itself uses `main`.
        main: Kind of the direction that the contrast defines.
        n_components: Neutral components projected out, per layer.
        split_half_band: 2.5 % and 97.5 % quantiles of the mean of `split_half` under relabelling.
        statistic: Statistic of the permutation test; row 0 as labelled, the others relabelled.
        null_band: 2.5 % and 97.5 % quantiles of the relabelled cross-validated square.
        normalised_band: The same of the noise-normalised square.
        spread: Root mean square distance of the prompts of emotion and reference from the mean of
            their class, in standardised dimensions.
        reliability: Of held-out projections.
        length_corr: Spearman of length and projection.
        judged: Significance; None until all emotions and models are known.
    """

    model: ModelFeatures
    contrast: Contrast
    site: SiteName
    main: DirectionKind
    directions: Mapping[DirectionKind, Float64[np.ndarray, "layer d_model"]]
    n_components: Int[np.ndarray, " layer"]
    strength: Strength
    separation: Separation
    split_half: Float64[np.ndarray, "split layer"]
    split_half_band: Float64[np.ndarray, "2 layer"]
    leave_one_out: Float64[np.ndarray, "scenario layer"]
    pairwise: Float64[np.ndarray, " layer"]
    statistic: Float64[np.ndarray, "permutation layer"]
    null_band: Float64[np.ndarray, "2 layer"]
    normalised_band: Float64[np.ndarray, "2 layer"]
    spread: Float64[np.ndarray, "2 layer"]
    reliability: Float64[np.ndarray, " layer"]
    length_corr: Float64[np.ndarray, " layer"]
    judged: Judged | None = None

    @property
    def direction(self) -> Float64[np.ndarray, "layer d_model"]:
        """The direction that the analysis uses."""
        return self.directions[self.main]

    def n_prompts(self, *labels: str) -> int:
        """Prompts of some classes."""
        design = self.model.design
        return int(sum(design.counts[design.index(label)].sum() for label in labels))


@dataclass(frozen=True, kw_only=True, eq=False)
class Variant:
    """Another kind of direction of one emotion, beside the one that the analysis uses."""

    figures: EmotionFigures
    kind: DirectionKind
    direction: Float64[np.ndarray, "layer d_model"]


def emotion_cells(figures: EmotionFigures) -> Iterator[Cell]:
    """Cells of the tables `strength`, `stability` and `variants`."""
    ids = {
        "model": figures.model.model,
        "emotion": figures.contrast.emotion,
        "site": figures.site,
        "layer": np.arange(len(figures.pairwise)),
    }
    yield Cell(table="strength", ids=ids, source=figures)
    yield Cell(table="stability", ids=ids, source=figures)
    for kind, direction in figures.directions.items():
        if kind != figures.main:
            source = Variant(figures=figures, kind=kind, direction=direction)
            yield Cell(table="variants", ids={**ids, "kind": kind}, source=source)


def join_layers(parts: Sequence[EmotionFigures]) -> EmotionFigures:
    """Figures of several layers side by side."""
    first = parts[0]
    directions = {
        kind: np.concatenate([part.directions[kind] for part in parts]) for kind in first.directions
    }
    return beside(parts, directions=directions)


Layered = TypeVar("Layered")


def beside(parts: Sequence[Layered], **others: Any) -> Layered:
    """One record of many: arrays, also inside records, are joined along their last axis.

    `others` are fields that are joined already.
    """
    first: Any = parts[0]
    values = {**others}
    for each in dataclasses.fields(first):
        own = [getattr(part, each.name) for part in parts]
        if each.name not in others and isinstance(own[0], np.ndarray):
            values[each.name] = np.concatenate(own, axis=-1)
        elif isinstance(own[0], LAYERED):
            values[each.name] = beside(own)
    joined: Layered = dataclasses.replace(first, **values)
    return joined


def analyse_emotion(
    model: ModelFeatures,
    site: SiteName,
    contrast: Contrast,
    *,
    shared: SharedVectors,
    neutral: Sequence[Float64[np.ndarray, "component d_model"]],
    settings: AnalysisSettings,
) -> EmotionFigures:
    """Directions, strength, separation, stability and the permutation null of one emotion."""
    design, weights, vectors = model.design, contrast.weights, shared.vectors
    main: DirectionKind = "plain" if settings.reference == "neutral" else "grand_mean"
    directions = _directions(shared.features, design, contrast, main, neutral)
    scores = held_out_scores(design, vectors, weights, contrast.folds)
    used = contrast.used
    lengths = np.broadcast_to(model.n_tokens[used].astype(np.float64), (len(scores), used.sum()))
    some = contrast.plan.part(BAND_DRAWS)
    sides = contrast.is_emotion, used & ~contrast.is_emotion
    strength = measure_strength(shared, design, weights)
    return EmotionFigures(
        model=model,
        contrast=contrast,
        site=site,
        main=main,
        directions=directions,
        n_components=np.array([len(components) for components in neutral]),
        strength=strength,
        separation=measure_separation(
            scores, vectors, design, weights, contrast.folds, strength.dimensions
        ),
        split_half=split_half_cosines(design, vectors, weights, contrast.halves),
        split_half_band=percentile_interval(
            split_half_null(design, vectors, contrast.plan.part(SPLIT_DRAWS), contrast.halves)
        ),
        leave_one_out=leave_one_out_cosines(design, vectors, weights),
        pairwise=_pairwise(design, vectors, weights),
        statistic=permuted_statistics(contrast.plan, vectors, shared.inverse_sd),
        null_band=_band(permuted_strengths(some, vectors).squared, contrast),
        normalised_band=_band(permuted_strengths(some, shared.normalised).squared, contrast),
        spread=np.sqrt([shared.scatter[side].mean(axis=0) for side in sides]),
        reliability=score_reliability(
            design, vectors, weights, contrast.folds, contrast.halves[:RELIABILITY_SPLITS]
        ),
        length_corr=spearman(scores[:, used], lengths),
    )


def _band(
    squared: Float64[np.ndarray, "draw layer"], contrast: Contrast
) -> Float64[np.ndarray, "2 layer"]:
    """Central 95 % of the relabelled squares in the units of the strength.

    The direction is all of the difference emotion minus reference against neutral, and (C - 1) / C
    of it against the grand mean of C classes, which holds the emotion itself.
    """
    share = float(contrast.weights.max())
    usable = np.isfinite(squared).all(axis=0)
    band = np.quantile(np.where(usable, squared[1:], 0.0), (0.025, 0.975), axis=0)
    return np.where(usable, band * share**2, np.nan)


def neutral_parts(
    features: Float[np.ndarray, "prompt layer d_model"], design: Design, settings: AnalysisSettings
) -> list[Float64[np.ndarray, "component d_model"]]:
    """Principal components of neutral prompts at each layer; none without a neutral reference."""
    if settings.reference != "neutral":
        return [np.empty((0, features.shape[2])) for _ in range(features.shape[1])]
    neutral = features[design.label_of == design.index(settings.neutral)]
    return [
        neutral_components(neutral[:, layer], settings.neutral_variance)
        for layer in range(features.shape[1])
    ]


def _directions(
    features: Float[np.ndarray, "prompt layer d_model"],
    design: Design,
    contrast: Contrast,
    main: DirectionKind,
    neutral: Sequence[Float64[np.ndarray, "component d_model"]],
) -> dict[DirectionKind, Float64[np.ndarray, "layer d_model"]]:
    used = contrast_direction(features, design, contrast.weights)
    directions: dict[DirectionKind, Float64[np.ndarray, "layer d_model"]] = {main: used}
    if len(design.labels) > 1:
        grand = contrast_grand_mean(design, contrast.emotion)
        directions["grand_mean"] = contrast_direction(features, design, grand)
    if main == "plain":
        directions["neutral_projected"] = np.stack(
            [project_out(*each) for each in zip(used, neutral, strict=True)]
        )
        if _shares_scenarios(design, contrast.weights):
            directions["within_scenario"] = within_scenario_direction(
                features, design, contrast.emotion, *contrast.reference
            )
    return directions


def _pairwise(
    design: Design, vectors: Vectors, weights: Float64[np.ndarray, " label"]
) -> Float64[np.ndarray, " layer"]:
    if not _shares_scenarios(design, weights):
        return np.full(vectors.shape[1], np.nan)
    return pairwise_difference_cosine(design, vectors, weights)


def _shares_scenarios(design: Design, weights: Float64[np.ndarray, " label"]) -> bool:
    return bool((design.counts[weights != 0] > 0).all(axis=0).any())


_strength = Columns("strength")
_variants = Columns("variants")

MEASURES = (
    _strength(
        "length_corr",
        "Spearman correlation of held-out projection and number of tokens of a prompt",
        label="correlation with length",
        axis="Spearman correlation",
        chance=0.0,
        no_effect="no correlation",
    ),
    _strength(
        "reliability",
        "Reliability of held-out projections given the classes, from disjoint halves of the "
        "training scenarios over 20 splits; blank unless positive",
        formula="2r / (1 + r), r the mean correlation of the two halves' projections",
        source="Spearman 1910; Brown 1910",
    ),
    _strength(
        "n_emotion",
        "Prompts of the emotion",
        lambda cell: cell.n_prompts(cell.contrast.emotion),
        kind="int",
        unit="prompts",
    ),
    _strength(
        "n_reference",
        "Prompts of the reference",
        lambda cell: cell.n_prompts(*cell.contrast.reference),
        kind="int",
        unit="prompts",
    ),
    _variants(
        "l1",
        "Sum of absolute values of this kind of direction",
        lambda variant: np.abs(variant.direction).sum(axis=1),
        unit="model units",
    ),
    _variants(
        "l2",
        "Euclidean norm of this kind of direction",
        lambda variant: np.sqrt((variant.direction**2).sum(axis=1)),
        unit="model units",
    ),
    _variants(
        "cosine",
        "Cosine with the direction that the analysis uses",
        lambda variant: plain_cosine(variant.figures.direction, variant.direction),
    ),
    _variants(
        "n_components",
        "Principal components of neutral prompts that were projected out",
        lambda variant: variant.figures.n_components if variant.kind == "neutral_projected" else 0,
        kind="int",
        unit="components",
        source="Zou et al. 2023",
    ),
)
