"""Two models at one site: every measure, at matched layers and every layer against every layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int

from emoact.errors import RequestError
from emoact.schema import Site
from emoact.stats.across.cka import cka_test, unbiased_cka, without_class_means
from emoact.stats.across.procrustes import held_out_procrustes
from emoact.stats.across.raw_cosine import RawCosine, compare_raw, relabelled_directions
from emoact.stats.across.rsa import rsa_map, rsa_test
from emoact.stats.across.score_corr import (
    ScoreCorrelation,
    correlate_scores,
    partial_ranks,
    score_corr_test,
    score_reliability,
)
from emoact.stats.directions.emotion import RELIABILITY_SPLITS, Contrast
from emoact.stats.directions.separation import held_out_scores
from emoact.stats.features import ModelFeatures
from emoact.stats.null.pairing import PairingTest, pairing_test, shuffled_pairings
from emoact.stats.null.relabelling import relabellings
from emoact.stats.products import Gram
from emoact.stats.rows import AcrossRow, MapRow, SimilarityRow
from emoact.stats.settings import AnalysisSettings

_Test = Callable[[Gram, Gram, Int[np.ndarray, "draw prompt"]], PairingTest]
_Map = Callable[[Gram, Gram], Float64[np.ndarray, "first_layer second_layer"]]

RAW_DRAWS = 500
"""Relabellings behind the band of the raw cosine; a band needs fewer than a small p-value."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Side:
    """One of two models, with its prompts in the order that both share."""

    model: ModelFeatures
    site: Site
    gram: Gram
    contrasts: tuple[Contrast, ...]

    @property
    def n_layers(self) -> int:
        """Layers of the model at the site."""
        return len(self.gram)


@dataclass(frozen=True, kw_only=True, eq=False)
class PairResult:
    """Tables of two models at one site."""

    similarity: tuple[SimilarityRow, ...]
    across: tuple[AcrossRow, ...]
    maps: tuple[MapRow, ...]


def common_rows(first: ModelFeatures, second: ModelFeatures) -> tuple[list[int], list[int]]:
    """Rows of either model that hold the same prompts of the same class, in one order.

    Prompts that go by one id are the same unless both files hold their texts and these differ.

    Raises:
        RequestError: They have no prompt in common, or those of one class alone.
    """
    rows = [pair for pair in _namesakes(first, second) if _same_text(first, second, *pair)]
    shared = {first.keys[row][0] for row, _ in rows}
    if len(shared) < 2:
        raise RequestError(
            f"{first.model} and {second.model} have no prompt in common"
            if not shared
            else f"{first.model} and {second.model} share prompts of {', '.join(shared)} alone",
            remedy="Extract both with the same data set and emotions.",
        )
    return [row for row, _ in rows], [row for _, row in rows]


def differing_texts(first: ModelFeatures, second: ModelFeatures) -> int:
    """Prompts that go by one id in both models and are not the same."""
    return sum(not _same_text(first, second, *pair) for pair in _namesakes(first, second))


def matched_layers(n_first: int, n_second: int) -> Int[np.ndarray, " first_layer"]:
    """The layer of the second model at the same relative depth as each layer of the first."""
    depth = np.arange(n_first) / max(n_first - 1, 1)
    return np.rint(depth * (n_second - 1)).astype(np.int64)


def compare_models(first: Side, second: Side, settings: AnalysisSettings) -> PairResult:
    """Similarity of two models as wholes, and of their directions emotion by emotion."""
    layers_b = matched_layers(first.n_layers, second.n_layers)
    similarity, similarity_maps = _similarity(first, second, layers_b, settings)
    across, across_maps = _across(first, second, layers_b, settings)
    return PairResult(
        similarity=tuple(similarity), across=tuple(across), maps=(*similarity_maps, *across_maps)
    )


def _similarity(
    first: Side, second: Side, layers_b: Int[np.ndarray, " layer"], settings: AnalysisSettings
) -> tuple[list[SimilarityRow], list[MapRow]]:
    label_of = first.model.design.label_of
    pairings = shuffled_pairings(label_of, settings.n_pairings, seed=settings.seed)
    within = [without_class_means(side.gram, label_of) for side in (first, second)]
    measures: tuple[tuple[str, _Test, _Map, Gram, Gram], ...] = (
        ("cka", cka_test, unbiased_cka, first.gram, second.gram),
        ("cka_within", cka_test, unbiased_cka, within[0], within[1]),
        ("rsa", rsa_test, rsa_map, first.gram, second.gram),
    )
    rows: list[SimilarityRow] = []
    maps: list[MapRow] = []
    for name, test, layer_map, gram_a, gram_b in measures:
        tested = test(gram_a, gram_b[layers_b], pairings)
        rows.extend(
            SimilarityRow(
                model_a=first.model.model,
                model_b=second.model.model,
                site=first.site,
                layer_a=layer,
                layer_b=int(layers_b[layer]),
                measure=name,
                value=float(tested.value[layer]),
                null_mean=float(tested.null_mean[layer]),
                null_sd=float(tested.null_sd[layer]),
                p=float(tested.p[layer]),
                p_max=float(tested.p_max[layer]),
                n_prompts=len(label_of),
            )
            for layer in range(first.n_layers)
        )
        maps.extend(_map_rows(first, second, name, "", layer_map(gram_a, gram_b)))
    return rows, maps


def _across(
    first: Side, second: Side, layers_b: Int[np.ndarray, " layer"], settings: AnalysisSettings
) -> tuple[list[AcrossRow], list[MapRow]]:
    rows: list[AcrossRow] = []
    maps: list[MapRow] = []
    rotated = _procrustes(first, second, layers_b, settings)
    for index, (here, there) in enumerate(zip(first.contrasts, second.contrasts, strict=True)):
        correlation, tested = _scores(first, second, here, there, layers_b, settings)
        raw = _raw(first, second, here, layers_b, settings)
        procrustes = pairing_test(rotated[:, 0, index], rotated[:, 1:, index].T)
        for layer in range(first.n_layers):
            other = int(layers_b[layer])
            rows.append(
                AcrossRow(
                    model_a=first.model.model,
                    model_b=second.model.model,
                    site=first.site,
                    emotion=here.emotion,
                    layer_a=layer,
                    layer_b=other,
                    score_corr=float(correlation.corrected[layer, other]),
                    score_corr_raw=float(correlation.raw[layer, other]),
                    ceiling=float(correlation.ceiling[layer, other]),
                    score_corr_null=float(tested.null_mean[layer]),
                    score_corr_null_sd=float(tested.null_sd[layer]),
                    score_corr_p=float(tested.p[layer]),
                    score_corr_p_max=float(tested.p_max[layer]),
                    procrustes=float(procrustes.value[layer]),
                    procrustes_null=float(procrustes.null_mean[layer]),
                    procrustes_null_sd=float(procrustes.null_sd[layer]),
                    procrustes_p=float(procrustes.p[layer]),
                    procrustes_p_max=float(procrustes.p_max[layer]),
                    raw_cos=float("nan") if raw is None else float(raw.value[layer]),
                    raw_low=float("nan") if raw is None else float(raw.band[0, layer]),
                    raw_high=float("nan") if raw is None else float(raw.band[1, layer]),
                    raw_isotropic=float("nan") if raw is None else raw.isotropic,
                )
            )
        maps.extend(_map_rows(first, second, "score_corr", here.emotion, correlation.corrected))
    return rows, maps


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
        scores = held_out_scores(design, side.gram, contrast.weights, contrast.folds)
        ranks.append(partial_ranks(scores, design, contrast.weights))
        reliabilities.append(
            score_reliability(
                design,
                side.gram,
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
    draws = (contrast.relabelled[: 1 + RAW_DRAWS], others)
    first_all, second_all = (
        relabelled_directions(features, drawn, contrast.used)
        for features, drawn in zip((here, there), draws, strict=True)
    )
    return compare_raw(first_all[0], second_all[0], first_all[1:], second_all[1:])


def _map_rows(
    first: Side,
    second: Side,
    measure: str,
    emotion: str,
    values: Float64[np.ndarray, "first_layer second_layer"],
) -> list[MapRow]:
    return [
        MapRow(
            model_a=first.model.model,
            model_b=second.model.model,
            site=first.site,
            measure=measure,
            emotion=emotion,
            layer_a=a,
            layer_b=b,
            value=float(values[a, b]),
        )
        for a in range(first.n_layers)
        for b in range(second.n_layers)
    ]


def _namesakes(first: ModelFeatures, second: ModelFeatures) -> list[tuple[int, int]]:
    places = {key: row for row, key in enumerate(_keys(second))}
    return [(row, places[key]) for row, key in enumerate(_keys(first)) if key in places]


def _same_text(first: ModelFeatures, second: ModelFeatures, row: int, other: int) -> bool:
    here, there = first.prompts[row].text, second.prompts[other].text
    return not here or not there or here == there


def _keys(model: ModelFeatures) -> Sequence[tuple[str, str, int]]:
    """Prompt keys; the second prompt with one id counts as another one."""
    seen: dict[tuple[str, str], int] = {}
    keys = []
    for key in model.keys:
        seen[key] = seen.get(key, 0) + 1
        keys.append((*key, seen[key]))
    return keys
