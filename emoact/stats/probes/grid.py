"""Probes and baselines of one emotion at every layer, cross-validated and explicit to implicit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from emoact.measures import Cell, Measure, ends
from emoact.sites import SiteName
from emoact.stats.directions.emotion import Contrast
from emoact.stats.features import ModelFeatures
from emoact.stats.probes.accuracy import (
    Accuracy,
    LexicalComparison,
    compare_with_words,
    measure_accuracy,
)
from emoact.stats.probes.baselines import (
    BASELINE_KINDS,
    LEXICAL_KINDS,
    baseline_cross_validated,
    baseline_decisions,
)
from emoact.stats.probes.probes import (
    DECIDERS,
    ProbeKind,
    best_layer,
    correctness,
    cross_validated_decisions,
    nested_layers,
    trained_decisions,
)
from emoact.stats.settings import AnalysisSettings

CROSS_VALIDATED = "cross_validated"
TRANSFER = "explicit_to_implicit"

Correct = Float64[np.ndarray, " prompt"]


@dataclass(frozen=True, kw_only=True, eq=False)
class TextBaselines:
    """Correctness of the text-only classifiers of one emotion, by evaluation and kind."""

    correct: Mapping[str, Mapping[str, Correct]]


@dataclass(frozen=True, kw_only=True, eq=False)
class ProbeGrid:
    """Probes of one emotion at one site.

    Attributes:
        rows: Layer, probe and evaluation of each row.
        correct: Correctness of each prompt, row by row.
        accuracies: Of each row.
        shuffled: Accuracy on shuffled labels of each row.
        nested: Correctness of the headline probe with its layer chosen on training prompts, by
            evaluation.
        first_layer: Correctness of the headline probe at layer 0, by evaluation.
        probe: The headline probe.
    """

    model: ModelFeatures
    contrast: Contrast
    site: SiteName
    rows: tuple[tuple[int, ProbeKind, str], ...]
    correct: Float64[np.ndarray, "row prompt"]
    accuracies: tuple[Accuracy, ...]
    shuffled: tuple[float, ...]
    nested: Mapping[str, Correct]
    first_layer: Mapping[str, Correct]
    probe: ProbeKind

    @property
    def cell(self) -> Cell:
        """Cell of the table `probes`."""
        layers, probes, evaluations = zip(*self.rows, strict=True)
        ids = {
            "model": self.model.model,
            "emotion": self.contrast.emotion,
            "site": self.site,
            "layer": layers,
            "probe": probes,
            "evaluation": evaluations,
        }
        return Cell(table="probes", ids=ids, source=self)


def transfer_sets(
    model: ModelFeatures, contrast: Contrast
) -> tuple[Bool[np.ndarray, " prompt"], Bool[np.ndarray, " prompt"]] | None:
    """The explicit and the implicit prompts, or None where either lacks a class."""
    train = model.in_subset("explicit") & contrast.used
    test = model.in_subset("implicit") & contrast.used
    for chosen in (train, test):
        labels = contrast.is_emotion[chosen]
        if labels.all() or not labels.any():
            return None
    return train, test


def judge_texts(model: ModelFeatures, contrast: Contrast) -> TextBaselines:
    """Every baseline that needs no activations; those on words only where the texts are known."""
    known = any(text.strip() for text in model.texts)
    kinds = [kind for kind in BASELINE_KINDS if known or kind in ("majority", "length")]
    sets = transfer_sets(model, contrast)
    correct: dict[str, dict[str, Correct]] = {CROSS_VALIDATED: {}, TRANSFER: {}}
    for kind in kinds:
        decisions = baseline_cross_validated(
            kind, model.texts, model.n_tokens, contrast.is_emotion, contrast.used, contrast.folds
        )
        correct[CROSS_VALIDATED][kind] = correctness(decisions, contrast.is_emotion)
        if sets is not None:
            decisions = np.full(len(model.texts), np.nan)
            decisions[sets[1]] = baseline_decisions(
                kind, model.texts, model.n_tokens, contrast.is_emotion, *sets
            )
            correct[TRANSFER][kind] = correctness(decisions, contrast.is_emotion)
    return TextBaselines(correct=correct)


def probe_emotion(
    model: ModelFeatures,
    site: SiteName,
    contrast: Contrast,
    *,
    settings: AnalysisSettings,
) -> ProbeGrid:
    """Every probe at every layer of one site.

    Args:
        model: Its pooled vectors.
        site: Which of them.
        contrast: The emotion.
        settings: Probes, shuffles and seed.
    """
    features = model.sites[site]
    n_layers = features.shape[1]
    sets = transfer_sets(model, contrast)
    headline: ProbeKind = "logistic" if "logistic" in settings.probes else settings.probes[0]
    rows = [
        (layer, kind, evaluation)
        for layer in range(n_layers)
        for kind in settings.probes
        for evaluation in ((CROSS_VALIDATED, TRANSFER) if sets else (CROSS_VALIDATED,))
    ]
    every, shuffled = np.full((len(rows), len(features)), np.nan), []
    by_layer = {e: np.full((n_layers, len(features)), np.nan) for e in (CROSS_VALIDATED, TRANSFER)}
    for number, (layer, kind, evaluation) in enumerate(rows):
        values = features[:, layer]
        if evaluation == CROSS_VALIDATED:
            every[number] = _cross_validated(kind, values, contrast.is_emotion, contrast)
            shuffled.append(_shuffled(kind, values, contrast, settings.n_shuffles))
        else:
            every[number] = _transferred(kind, values, contrast, sets)
            shuffled.append(np.nan)
        if kind == headline:
            by_layer[evaluation][layer] = every[number]
    return ProbeGrid(
        model=model,
        contrast=contrast,
        site=site,
        rows=tuple(rows),
        correct=every,
        accuracies=tuple(measure_accuracy(each, model.design, contrast.draws) for each in every),
        shuffled=tuple(shuffled),
        nested=_nested(model, contrast, features, by_layer, sets, settings.seed),
        first_layer={evaluation: values[0] for evaluation, values in by_layer.items()},
        probe=headline,
    )


def baseline_cells(
    model: ModelFeatures,
    contrast: Contrast,
    texts: TextBaselines,
    first_layer: Mapping[str, Correct] | None,
) -> Iterator[Cell]:
    """Cells of the table `baselines`; layer 0 of the residual stream is one of the baselines."""
    for evaluation in (CROSS_VALIDATED, TRANSFER):
        named: dict[str, Correct] = {**texts.correct[evaluation]}
        if first_layer is not None:
            named["layer_0"] = first_layer[evaluation]
        for baseline, correct in named.items():
            accuracy = measure_accuracy(correct, model.design, contrast.draws)
            if accuracy.n:
                ids = {
                    "model": model.model,
                    "emotion": contrast.emotion,
                    "baseline": baseline,
                    "evaluation": evaluation,
                }
                yield Cell(table="baselines", ids=ids, source=accuracy)


def compare_probe(
    model: ModelFeatures,
    contrast: Contrast,
    texts: TextBaselines,
    probe: ProbeGrid,
    first_layer: Mapping[str, Correct] | None,
    evaluation: str,
) -> tuple[Accuracy, LexicalComparison, float]:
    """Accuracy of the nested probe, its comparison with words, and the best word accuracy.

    Layer 0 of the residual stream holds token embeddings and positions: a probe there sees words
    only, and counts among the word baselines where it is known.
    """
    correct = texts.correct[evaluation]
    words: dict[str, Correct] = {kind: correct[kind] for kind in LEXICAL_KINDS if kind in correct}
    if first_layer is not None:
        words["layer_0"] = first_layer[evaluation]
    majority = correct.get("majority", np.full(len(contrast.used), np.nan))
    comparison = compare_with_words(
        probe.nested[evaluation], words, majority, model.design, contrast.draws
    )
    best = words.get(comparison.baseline)
    return (
        measure_accuracy(probe.nested[evaluation], model.design, contrast.draws),
        comparison,
        float("nan")
        if best is None
        else measure_accuracy(best, model.design, contrast.draws).value,
    )


def _cross_validated(
    kind: ProbeKind,
    values: np.ndarray,
    is_emotion: Bool[np.ndarray, " prompt"],
    contrast: Contrast,
) -> Correct:
    decisions = cross_validated_decisions(
        DECIDERS[kind], values, is_emotion, contrast.used, contrast.folds
    )
    return correctness(decisions, is_emotion)


def _shuffled(kind: ProbeKind, values: np.ndarray, contrast: Contrast, n_shuffles: int) -> float:
    accuracies = [
        _cross_validated(kind, values, np.asarray(labels), contrast)[contrast.used].mean()
        for labels in contrast.relabelled[1 : 1 + n_shuffles]
    ]
    return float(np.mean(accuracies))


def _transferred(
    kind: ProbeKind,
    values: np.ndarray,
    contrast: Contrast,
    sets: tuple[Bool[np.ndarray, " prompt"], Bool[np.ndarray, " prompt"]] | None,
) -> Correct:
    decisions = np.full(len(values), np.nan)
    if sets is not None:
        train, test = sets
        decisions[test] = trained_decisions(
            DECIDERS[kind], values, contrast.is_emotion, train, test
        )
    return correctness(decisions, contrast.is_emotion)


def _nested(
    model: ModelFeatures,
    contrast: Contrast,
    features: Float[np.ndarray, "prompt layer d_model"],
    by_layer: Mapping[str, Float64[np.ndarray, "layer prompt"]],
    sets: tuple[Bool[np.ndarray, " prompt"], Bool[np.ndarray, " prompt"]] | None,
    seed: int,
) -> dict[str, Correct]:
    layers: Int[np.ndarray, " fold"] = nested_layers(
        model.design, features, contrast.weights, contrast.folds, seed=seed
    )
    chosen = layers[contrast.folds]
    nested = by_layer[CROSS_VALIDATED][chosen, np.arange(len(chosen))]
    result = {
        CROSS_VALIDATED: np.where(chosen >= 0, nested, np.nan),
        TRANSFER: np.full(len(chosen), np.nan),
    }
    if sets is not None:
        layer = best_layer(model.design, features, contrast.weights, sets[0], seed=seed)
        if layer >= 0:
            result[TRANSFER] = by_layer[TRANSFER][layer]
    return result


MEASURES = (
    Measure(
        name="accuracy",
        table="probes",
        definition="Share of held-out prompts that the probe classifies correctly",
        label="held-out accuracy",
        interval=("low", "high"),
        compute=lambda grid: [each.value for each in grid.accuracies],
    ),
    *ends(
        "low",
        "high",
        table="probes",
        of="its 95 % bootstrap interval over scenarios",
        compute=lambda grid: np.array([(e.low, e.high) for e in grid.accuracies]).T,
    ),
    Measure(
        name="shuffled",
        table="probes",
        definition="Accuracy of the same probe with labels permuted within scenarios, averaged "
        "over 3 permutations; blank for explicit_to_implicit",
        source="in the spirit of Hewitt & Liang 2019",
        compute=lambda grid: grid.shuffled,
    ),
    Measure(
        name="n",
        table="probes",
        kind="int",
        definition="Held-out prompts with a decision",
        unit="prompts",
        compute=lambda grid: [each.n for each in grid.accuracies],
    ),
    Measure(
        name="accuracy",
        table="baselines",
        definition="Share of held-out prompts that the baseline classifies correctly",
        label="held-out accuracy",
        interval=("low", "high"),
        compute=lambda accuracy: accuracy.value,
    ),
    *ends(
        "low",
        "high",
        table="baselines",
        of="its 95 % bootstrap interval over scenarios",
        compute=lambda accuracy: (accuracy.low, accuracy.high),
    ),
    Measure(
        name="n",
        table="baselines",
        kind="int",
        definition="Held-out prompts with a decision",
        unit="prompts",
        compute=lambda accuracy: accuracy.n,
    ),
)
