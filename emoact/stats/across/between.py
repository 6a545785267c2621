"""Comparison of two models at one site, at matched layers and every layer with every layer."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int

from emoact.measures import Cell, Columns, Measure
from emoact.sites import SiteName
from emoact.stats.across.directions import (
    RawCosine,
    ScoreCorrelation,
    compare_raw,
    correlate_scores,
    held_out_procrustes,
    partial_ranks,
    relabelled_directions,
    score_corr_test,
)
from emoact.stats.across.similarity import (
    cka_matrices,
    rsa_matrices,
    similarity_map,
    similarity_test,
    without_class_means,
)
from emoact.stats.directions.contrast import KEPT_DRAWS, Contrast
from emoact.stats.directions.emotion import RELIABILITY_SPLITS
from emoact.stats.directions.separation import held_out_scores
from emoact.stats.directions.stability import score_reliability
from emoact.stats.features import ModelFeatures
from emoact.stats.null.pairing import PairingTest, pairing_test, shuffled_pairings
from emoact.stats.null.relabelling import relabellings
from emoact.stats.products import Gram
from emoact.stats.settings import AnalysisSettings
from emoact.stats.vectors import centre

RAW_DRAWS = KEPT_DRAWS
"""Relabellings for the band of the raw cosine; a band needs fewer than a small p-value."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Side:
    """One of two models, with its prompts in the order that both share."""

    model: ModelFeatures
    site: SiteName
    gram: Gram
    contrasts: tuple[Contrast, ...]

    @property
    def n_layers(self) -> int:
        """Layers of the model at the site."""
        return len(self.gram)


CREDIBLE = 1.5
"""A `score_corr` further from 0 than this has a ceiling that is too low to divide by."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Similarity:
    """One similarity of two models as wholes, at matched layers."""

    test: PairingTest
    n_prompts: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Across:
    """Directions of one emotion in two models.

    Attributes:
        layers_b: Layers of the second model that match those of the first.
        correlation: Of held-out projections, every layer with every layer.
        scores: Null distribution of its uncorrected value.
        procrustes: Held-out cosine after a rotation, with its null distribution.
        raw: Cosine without a common basis; None where the widths differ.
    """

    layers_b: Int[np.ndarray, " layer"]
    correlation: ScoreCorrelation
    scores: PairingTest
    procrustes: PairingTest
    raw: RawCosine | None

    def at_matched(
        self, values: Float64[np.ndarray, "first_layer second_layer"]
    ) -> Float64[np.ndarray, " layer"]:
        """Values of the matched layers."""
        return np.asarray(values[np.arange(len(self.layers_b)), self.layers_b])


def matched_layers(n_first: int, n_second: int) -> Int[np.ndarray, " first_layer"]:
    """The layer of the second model at the same relative depth as each layer of the first."""
    depth = np.arange(n_first) / max(n_first - 1, 1)
    return np.rint(depth * (n_second - 1)).astype(np.int64)


def compare_models(first: Side, second: Side, settings: AnalysisSettings) -> Iterator[Cell]:
    """Cells of the tables `similarity`, `across` and `maps` for two models at one site."""
    layers_b = matched_layers(first.n_layers, second.n_layers)
    names = {"model_a": first.model.model, "model_b": second.model.model, "site": first.site}
    matched = {**names, "layer_a": np.arange(first.n_layers), "layer_b": layers_b}
    every = {
        **names,
        "layer_a": np.repeat(np.arange(first.n_layers), second.n_layers),
        "layer_b": np.tile(np.arange(second.n_layers), first.n_layers),
    }
    for measure, test, layer_map in _similarities(first, second, layers_b, settings):
        source = Similarity(test=test, n_prompts=first.model.design.n_prompts)
        yield Cell(table="similarity", ids={**matched, "measure": measure}, source=source)
        yield Cell(table="maps", ids={**every, "measure": measure, "emotion": ""}, source=layer_map)
    rotated = _procrustes(first, second, layers_b, settings)
    for index, (here, there) in enumerate(zip(first.contrasts, second.contrasts, strict=True)):
        correlation, scores = _scores(first, second, here, there, layers_b, settings)
        across = Across(
            layers_b=layers_b,
            correlation=correlation,
            scores=scores,
            procrustes=pairing_test(rotated[:, 0, index], rotated[:, 1:, index].T),
            raw=_raw(first, second, here, layers_b, settings),
        )
        emotion = {"emotion": here.emotion}
        yield Cell(table="across", ids={**matched, **emotion}, source=across)
        ids = {**every, **emotion, "measure": "score_corr"}
        yield Cell(table="maps", ids=ids, source=correlation.corrected)


def _similarities(
    first: Side, second: Side, layers_b: Int[np.ndarray, " layer"], settings: AnalysisSettings
) -> Iterator[tuple[str, PairingTest, Float64[np.ndarray, "first_layer second_layer"]]]:
    """Each similarity of the models as wholes: its test at matched layers, and its map."""
    label_of = first.model.design.label_of
    pairings = shuffled_pairings(label_of, settings.n_pairings, seed=settings.seed)
    for name, matrices in (
        ("cka", cka_matrices),
        ("cka_within", lambda gram: cka_matrices(without_class_means(gram, label_of))),
        ("rsa", rsa_matrices),
    ):
        here, there = matrices(first.gram), matrices(second.gram)
        yield name, similarity_test(here, there[layers_b], pairings), similarity_map(here, there)


def _scores(
    first: Side,
    second: Side,
    here: Contrast,
    there: Contrast,
    layers_b: Int[np.ndarray, " layer"],
    settings: AnalysisSettings,
) -> tuple[ScoreCorrelation, PairingTest]:
    ranks, reliabilities = [], []
    for side, contrast in ((first, here), (second, there)):
        design = side.model.design
        vectors = centre(side.model.sites[side.site])
        scores = held_out_scores(design, vectors, contrast.weights, contrast.folds)
        ranks.append(partial_ranks(scores, design, contrast.weights))
        reliabilities.append(
            score_reliability(
                design,
                vectors,
                contrast.weights,
                contrast.folds,
                contrast.halves[:RELIABILITY_SPLITS],
            )
        )
    pairings = shuffled_pairings(
        first.model.design.label_of[here.used], settings.n_pairings, seed=settings.seed
    )
    return (
        correlate_scores(*ranks, *reliabilities),
        score_corr_test(ranks[0], ranks[1][layers_b], pairings),
    )


def _procrustes(
    first: Side, second: Side, layers_b: Int[np.ndarray, " layer"], settings: AnalysisSettings
) -> Float64[np.ndarray, "layer draw contrast"]:
    contrasts = np.stack([contrast.weights for contrast in first.contrasts])
    return np.stack(
        [
            held_out_procrustes(
                first.gram[layer],
                second.gram[layers_b[layer]],
                first.model.design,
                contrasts,
                first.contrasts[0].folds,
                n_draws=settings.n_rotations,
                seed=settings.seed,
            )
            for layer in range(first.n_layers)
        ]
    )


def _raw(
    first: Side,
    second: Side,
    contrast: Contrast,
    layers_b: Int[np.ndarray, " layer"],
    settings: AnalysisSettings,
) -> RawCosine | None:
    here, there = first.model.sites[first.site], second.model.sites[second.site][:, layers_b]
    if here.shape[2] != there.shape[2]:
        return None
    # Independent relabellings: with the same ones, prompts would tie the two nulls together.
    others = relabellings(
        second.model.design,
        contrast.emotion,
        contrast.reference,
        RAW_DRAWS,
        seed=settings.seed + 1,
    )
    draws = (contrast.relabelled[: 1 + RAW_DRAWS], others[:])
    first_all, second_all = (
        relabelled_directions(features, drawn, contrast.used)
        for features, drawn in zip((here, there), draws, strict=True)
    )
    return compare_raw(first_all[0], second_all[0], first_all[1:], second_all[1:])


_across = Columns("across")
_maps = Columns("maps")
_similarity = Columns("similarity", path="test")


def _tested(prefix: str, what: str, test: str) -> Iterator[Measure]:
    """Columns of a figure against its null distribution."""
    for suffix, field, definition in (
        ("null", "null_mean", "Mean of {} when the prompts are paired at random within classes"),
        ("null_sd", "null_sd", "Standard deviation of {} when the prompts are paired at random"),
        ("p", "p", "p-value of {} of one layer alone"),
        ("p_max", "p_max", "p-value of {} against the maximum over layers"),
    ):
        yield _across(
            f"{prefix}_{suffix}", definition.format(what), operator.attrgetter(f"{test}.{field}")
        )


MEASURES = (
    _similarity(
        "value",
        "Similarity of the two models at matched layers: cka, cka_within or rsa",
        label="similarity",
    ),
    _similarity("null_mean", "Its mean when the prompts are paired at random within classes"),
    _similarity(
        "null_sd", "Its standard deviation when the prompts are paired at random within classes"
    ),
    _similarity("p", "p-value of one layer alone", formula="(1 + #{null ≥ value}) / (1 + B)"),
    _similarity("p_max", "p-value against the maximum over layers"),
    _similarity(
        "n_prompts",
        "Shared prompts that are compared: all, or of more than 400 a random part of whole "
        "scenarios",
        lambda similarity: similarity.n_prompts,
        kind="int",
        unit="prompts",
    ),
    _across(
        "score_corr",
        "Correlation of the two models' held-out projections of the same prompts given the "
        "classes, over its ceiling; about shared prompts and not about emotion; not clipped",
        lambda across: across.at_matched(across.correlation.corrected),
        label="score correlation (shared prompts)",
        axis="Spearman correlation over its ceiling",
        formula="score_corr_raw / ceiling",
        source="Spearman 1904",
    ),
    _across(
        "score_corr_raw",
        "Spearman correlation of these projections, class means of the ranks removed",
        lambda across: across.at_matched(across.correlation.raw),
    ),
    _across(
        "ceiling",
        "Largest correlation that the reliabilities of the two models allow",
        lambda across: across.at_matched(across.correlation.ceiling),
        formula="√(reliability_a · reliability_b)",
        source="Spearman 1904",
    ),
    *_tested("score_corr", "score_corr_raw", "scores"),
    _across(
        "procrustes",
        "Held-out cosine of the directions after at most 50 principal components and a rotation "
        "fitted on shared prompts, mean over 5 folds",
        lambda across: across.procrustes.value,
        label="Procrustes (shared prompts)",
        axis="held-out cosine",
        formula="cos(R d_A, d_B)",
        source="Schönemann 1966",
    ),
    *_tested("procrustes", "procrustes", "procrustes"),
    _across(
        "raw_cos",
        "Cosine of the two directions without a common basis, a negative control; blank where the "
        "widths differ",
        lambda across: np.nan if across.raw is None else across.raw.value,
        label="raw cosine (negative control)",
        axis="cosine",
        null=("raw_low", "raw_high"),
    ),
    *_across.ends(
        "raw_low",
        "raw_high",
        "the 95 % band of raw_cos under independently shuffled labels (500 draws)",
        lambda across: (np.nan, np.nan) if across.raw is None else across.raw.band,
    ),
    _across(
        "raw_isotropic",
        "Half-width of the 95 % band of isotropic noise; too narrow for activations",
        lambda across: np.nan if across.raw is None else across.raw.isotropic,
        formula="1.96 / √d_model",
    ),
    _maps(
        "value",
        "Similarity of a layer of the first model and a layer of the second",
        lambda layer_map: layer_map.ravel(),
        label="similarity",
    ),
)
