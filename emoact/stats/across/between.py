"""Comparison of two models at one site, at matched layers and every layer with every layer."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float64, Int

from emoact.errors import RequestError
from emoact.measures import Measure
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


CREDIBLE = 1.5
"""A `score_corr` further from 0 than this has a ceiling that is too low to divide by."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Pair:
    """Two models at one site, with the layers of the second that match those of the first."""

    first: Side
    second: Side
    layers_b: Int[np.ndarray, " layer"]

    @property
    def names(self) -> dict[str, Any]:
        """Identifier columns of the pair."""
        return {
            "model_a": self.first.model.model,
            "model_b": self.second.model.model,
            "site": self.first.site,
        }

    @property
    def matched(self) -> dict[str, Any]:
        """Identifier columns of matched layers."""
        return {"layer_a": np.arange(self.first.n_layers), "layer_b": self.layers_b}


@dataclass(frozen=True, kw_only=True, eq=False)
class SimilarityCell:
    """One similarity of two models at matched layers: a cell of the table `similarity`."""

    pair: Pair
    measure: str
    test: PairingTest
    table: ClassVar[str] = "similarity"

    @property
    def ids(self) -> dict[str, Any]:
        """Identifier columns."""
        return {**self.pair.names, **self.pair.matched, "measure": self.measure}


@dataclass(frozen=True, kw_only=True, eq=False)
class AcrossCell:
    """One emotion in two models at matched layers: a cell of the table `across`.

    Attributes:
        correlation: Of held-out projections, every layer with every layer.
        scores: Null distribution of its uncorrected value.
        procrustes: Held-out cosine after a rotation, with its null distribution.
        raw: Cosine without a common basis; None where the widths differ.
    """

    pair: Pair
    emotion: str
    correlation: ScoreCorrelation
    scores: PairingTest
    procrustes: PairingTest
    raw: RawCosine | None
    table: ClassVar[str] = "across"

    @property
    def ids(self) -> dict[str, Any]:
        """Identifier columns."""
        return {**self.pair.names, "emotion": self.emotion, **self.pair.matched}

    def at_matched(
        self, values: Float64[np.ndarray, "first_layer second_layer"]
    ) -> Float64[np.ndarray, " layer"]:
        """Values of the matched layers."""
        return np.asarray(values[np.arange(self.pair.first.n_layers), self.pair.layers_b])


@dataclass(frozen=True, kw_only=True, eq=False)
class MapCell:
    """Every layer of one model with every layer of another: a cell of the table `maps`.

    Attributes:
        measure: Name of the similarity.
        emotion: Empty where the similarity has none.
        values: The similarity.
    """

    pair: Pair
    measure: str
    emotion: str
    values: Float64[np.ndarray, "first_layer second_layer"]
    table: ClassVar[str] = "maps"

    @property
    def ids(self) -> dict[str, Any]:
        """Identifier columns."""
        n_first, n_second = self.values.shape
        return {
            **self.pair.names,
            "measure": self.measure,
            "emotion": self.emotion,
            "layer_a": np.repeat(np.arange(n_first), n_second),
            "layer_b": np.tile(np.arange(n_second), n_first),
        }


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


def compare_models(
    first: Side, second: Side, settings: AnalysisSettings
) -> list[SimilarityCell | AcrossCell | MapCell]:
    """Similarity of two models as wholes, and of their directions emotion by emotion."""
    pair = Pair(
        first=first, second=second, layers_b=matched_layers(first.n_layers, second.n_layers)
    )
    return [*_similarity(pair, settings), *_across(pair, settings)]


def _similarity(pair: Pair, settings: AnalysisSettings) -> Iterator[SimilarityCell | MapCell]:
    first, second = pair.first, pair.second
    label_of = first.model.design.label_of
    pairings = shuffled_pairings(label_of, settings.n_pairings, seed=settings.seed)
    within = [without_class_means(side.gram, label_of) for side in (first, second)]
    measures: tuple[tuple[str, _Test, _Map, Gram, Gram], ...] = (
        ("cka", cka_test, unbiased_cka, first.gram, second.gram),
        ("cka_within", cka_test, unbiased_cka, within[0], within[1]),
        ("rsa", rsa_test, rsa_map, first.gram, second.gram),
    )
    for name, test, layer_map, gram_a, gram_b in measures:
        tested = test(gram_a, gram_b[pair.layers_b], pairings)
        yield SimilarityCell(pair=pair, measure=name, test=tested)
        yield MapCell(pair=pair, measure=name, emotion="", values=layer_map(gram_a, gram_b))


def _across(pair: Pair, settings: AnalysisSettings) -> Iterator[AcrossCell | MapCell]:
    first, second, layers_b = pair.first, pair.second, pair.layers_b
    rotated = _procrustes(first, second, layers_b, settings)
    for index, (here, there) in enumerate(zip(first.contrasts, second.contrasts, strict=True)):
        correlation, tested = _scores(first, second, here, there, layers_b, settings)
        yield AcrossCell(
            pair=pair,
            emotion=here.emotion,
            correlation=correlation,
            scores=tested,
            procrustes=pairing_test(rotated[:, 0, index], rotated[:, 1:, index].T),
            raw=_raw(first, second, here, layers_b, settings),
        )
        yield MapCell(
            pair=pair, measure="score_corr", emotion=here.emotion, values=correlation.corrected
        )


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


def _tested(prefix: str, what: str, test: str) -> Iterator[Measure]:
    """Columns of a figure against its null distribution; Procrustes has its own value, too."""
    if prefix == "procrustes":
        yield Measure(
            name="procrustes",
            table="across",
            definition="Held-out cosine of the directions after at most 50 principal components "
            "and a rotation, mean over 5 folds",
            label="Procrustes",
            axis="held-out cosine",
            formula="cos(R d_A, d_B)",
            source="Schönemann 1966",
            compute=lambda cell: cell.procrustes.value,
        )
    for suffix, field, definition in (
        ("null", "null_mean", "Mean of {} when the prompts are paired at random within classes"),
        ("null_sd", "null_sd", "Standard deviation of {} when the prompts are paired at random"),
        ("p", "p", "p-value of {} of one layer alone"),
        ("p_max", "p_max", "p-value of {} against the maximum over layers"),
    ):
        yield Measure(
            name=f"{prefix}_{suffix}",
            table="across",
            definition=definition.format(what),
            compute=operator.attrgetter(f"{test}.{field}"),
        )


MEASURES = (
    Measure(
        name="value",
        table="similarity",
        definition="Similarity of the two models at matched layers: cka, cka_within or rsa",
        label="similarity",
        compute=lambda cell: cell.test.value,
    ),
    Measure(
        name="null_mean",
        table="similarity",
        definition="Its mean when the prompts are paired at random within classes",
        compute=lambda cell: cell.test.null_mean,
    ),
    Measure(
        name="null_sd",
        table="similarity",
        definition="Its standard deviation when the prompts are paired at random within classes",
        compute=lambda cell: cell.test.null_sd,
    ),
    Measure(
        name="p",
        table="similarity",
        definition="p-value of one layer alone",
        formula="(1 + #{null ≥ value}) / (1 + B)",
        compute=lambda cell: cell.test.p,
    ),
    Measure(
        name="p_max",
        table="similarity",
        definition="p-value against the maximum over layers",
        compute=lambda cell: cell.test.p_max,
    ),
    Measure(
        name="n_prompts",
        table="similarity",
        kind="int",
        definition="Prompts that both models share",
        unit="prompts",
        compute=lambda cell: cell.pair.first.model.design.n_prompts,
    ),
    Measure(
        name="score_corr",
        table="across",
        definition="Correlation of the two models' held-out projections of the same prompts given "
        "the classes, over its ceiling; not clipped",
        label="score correlation",
        axis="Spearman correlation",
        formula="score_corr_raw / ceiling",
        source="Spearman 1904",
        compute=lambda cell: cell.at_matched(cell.correlation.corrected),
    ),
    Measure(
        name="score_corr_raw",
        table="across",
        definition="Spearman correlation of these projections, class means of the ranks removed",
        compute=lambda cell: cell.at_matched(cell.correlation.raw),
    ),
    Measure(
        name="ceiling",
        table="across",
        definition="Largest correlation that the reliabilities of the two models allow",
        formula="√(reliability_a · reliability_b)",
        source="Spearman 1904",
        compute=lambda cell: cell.at_matched(cell.correlation.ceiling),
    ),
    *(
        measure
        for prefix, what, test in (
            ("score_corr", "score_corr_raw", "scores"),
            ("procrustes", "procrustes", "procrustes"),
        )
        for measure in _tested(prefix, what, test)
    ),
    Measure(
        name="raw_cos",
        table="across",
        definition="Cosine of the two directions without a common basis, a negative control; blank "
        "where the widths differ",
        label="raw cosine (negative control)",
        axis="cosine",
        null=("raw_low", "raw_high"),
        compute=lambda cell: np.nan if cell.raw is None else cell.raw.value,
    ),
    Measure(
        name="raw_low",
        table="across",
        definition="2.5 % quantile of raw_cos under independently shuffled labels (500 draws)",
        compute=lambda cell: np.nan if cell.raw is None else cell.raw.band[0],
    ),
    Measure(
        name="raw_high",
        table="across",
        definition="97.5 % quantile of raw_cos under independently shuffled labels",
        compute=lambda cell: np.nan if cell.raw is None else cell.raw.band[1],
    ),
    Measure(
        name="raw_isotropic",
        table="across",
        definition="Half-width of the 95 % band of isotropic noise; too narrow for activations",
        formula="1.96 / √d_model",
        compute=lambda cell: np.nan if cell.raw is None else cell.raw.isotropic,
    ),
    Measure(
        name="value",
        table="maps",
        definition="Similarity of a layer of the first model and a layer of the second",
        label="similarity",
        compute=lambda cell: cell.values.ravel(),
    ),
)
