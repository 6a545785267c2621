"""Probes of one emotion at every layer of a site, with the same words without context and order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64

from emoact.data.controls import LEAST_SHUFFLES
from emoact.measures import Cell, Columns
from emoact.sites import SiteName
from emoact.stats.directions.contrast import Contrast
from emoact.stats.features import Controls, ModelFeatures
from emoact.stats.probes.accuracy import (
    Accuracies,
    accuracy_columns,
    balanced_columns,
    measure_accuracies,
    n_prompts,
)
from emoact.stats.probes.candidates import Candidate, candidate, question_of
from emoact.stats.probes.order import NO_ORDER, Order, order_of
from emoact.stats.probes.probes import (
    CROSS_VALIDATED,
    PROBE_KINDS,
    TRANSFER,
    ProbeKind,
    Question,
    band,
    correctness,
    labelled_decisions,
    layer_decisions,
)
from emoact.stats.settings import AnalysisSettings

LayerCorrect = Mapping[str, Float64[np.ndarray, "layer prompt"]]
"""Correctness by evaluation, at the layers of the headline."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ProbeGrid:
    """Probes of one emotion at one site.

    Attributes:
        rows: Layer, probe and evaluation of each row.
        shuffled: Accuracy on shuffled labels of each row.
        probe: The probe of the headline.
        layers: The layers of the headline.
        correct: Of the headline probe at these layers, by evaluation.
        order: Order of the tested prompts by the headline probe at these layers, of the transfer.
        extremes: Smallest and largest balanced accuracy of the headline probe over its layers.
        contextless: As `correct`, on the same words without context; None where they are missing.
        reordered: As `correct`, on the same words in random order, the mean over shuffles.
        nonfinite: Controls that hold a value that is not finite.
        scatter: Scatter of each control within classes over that of the prompts: standard
            deviation of a dimension, the median over dimensions and then over the layers.
        first_layer: The headline probe at layer 0 of the residual stream; None at other sites.
    """

    model: ModelFeatures
    contrast: Contrast
    site: SiteName
    rows: tuple[tuple[int, ProbeKind, str], ...]
    accuracies: Accuracies
    shuffled: Float64[np.ndarray, " row"]
    probe: ProbeKind
    layers: range
    correct: LayerCorrect
    order: Order
    extremes: Mapping[str, tuple[float, float]]
    contextless: LayerCorrect | None
    reordered: LayerCorrect | None
    nonfinite: tuple[str, ...]
    scatter: Mapping[str, float]
    first_layer: Candidate | None

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


def headline_probe(settings: AnalysisSettings) -> ProbeKind:
    """Logistic where it is fitted, else the first."""
    return "logistic" if "logistic" in settings.probes else settings.probes[0]


def band_decisions(
    features: Float32[np.ndarray, "prompt layer d_model"],
    layers: Sequence[int],
    question: Question,
    kind: ProbeKind,
) -> dict[str, np.ndarray]:
    """Decisions of one kind of probe at some layers, by evaluation."""
    return {
        evaluation: np.stack(
            [
                layer_decisions(features[:, layer], question.is_emotion, splits, [kind])[0]
                for layer in layers
            ]
        )
        for evaluation, splits in question.splits.items()
    }


def probe_emotion(
    model: ModelFeatures, site: SiteName, contrast: Contrast, settings: AnalysisSettings
) -> ProbeGrid:
    """Every probe at every layer of one site; of many prompts the logistic one at fewer layers."""
    features, question = model.sites[site], question_of(model, contrast)
    n_layers, headline = features.shape[1], headline_probe(settings)
    layers = band(n_layers)
    rows, every, shuffled = list[tuple[int, ProbeKind, str]](), list[np.ndarray](), list[float]()
    scores = list[np.ndarray]()
    for layer in range(n_layers):
        everywhere = not question.many or layer in (0, *layers)
        kinds = [
            kind
            for kind in PROBE_KINDS
            if kind in settings.probes and (kind != "logistic" or everywhere)
        ]
        asked = layer in layers and not question.many
        labellings = contrast.relabelled[: 1 + asked * settings.n_shuffles]
        decided = {
            evaluation: labelled_decisions(
                features[:, layer],
                labellings if evaluation == CROSS_VALIDATED else labellings[:1],
                splits,
                kinds,
                later=headline,
            )
            for evaluation, splits in question.splits.items()
        }
        found = {
            evaluation: correctness(own, labellings[: len(own), None])
            for evaluation, own in decided.items()
        }
        if TRANSFER in decided and layer in layers:
            scores.append(decided[TRANSFER][0, kinds.index(headline)])
        for number, kind in enumerate(kinds):
            for evaluation, own in found.items():
                rows.append((layer, kind, evaluation))
                every.append(own[0, number])
                others = own[1:, number, contrast.used] if kind == headline else own[1:1]
                shuffled.append(float(others.mean()) if others.size else np.nan)
    correct = np.stack(every)
    accuracies = measure_accuracies(
        correct,
        question.is_emotion,
        model.design,
        contrast.draws,
        cross_validated=[evaluation == CROSS_VALIDATED for *_, evaluation in rows],
    )

    def of(evaluation: str, among: Sequence[int]) -> list[int]:
        return [
            row
            for row, (layer, kind, name) in enumerate(rows)
            if kind == headline and name == evaluation and layer in among
        ]

    extremes = {}
    for evaluation in question.splits:
        balanced = accuracies.balanced[of(evaluation, range(n_layers))]
        extremes[evaluation] = (float(balanced.min()), float(balanced.max()))
    contextless, reordered, nonfinite, scatter = _controls(model, site, question, headline, layers)
    return ProbeGrid(
        model=model,
        contrast=contrast,
        site=site,
        rows=tuple(rows),
        accuracies=accuracies,
        shuffled=np.array(shuffled),
        probe=headline,
        layers=layers,
        correct={name: correct[of(name, layers)] for name in question.splits},
        order=order_of(np.stack(scores), question.is_emotion, model.design, settings)
        if scores
        else NO_ORDER,
        extremes=extremes,
        contextless=contextless,
        reordered=reordered,
        nonfinite=nonfinite,
        scatter=scatter,
        first_layer=candidate(
            lambda splits: layer_decisions(features[:, 0], question.is_emotion, splits, [headline])[
                0
            ],
            question,
        )
        if site == "resid_pre"
        else None,
    )


def _controls(
    model: ModelFeatures, site: SiteName, question: Question, kind: ProbeKind, layers: range
) -> tuple[
    dict[str, np.ndarray] | None,
    dict[str, np.ndarray] | None,
    tuple[str, ...],
    dict[str, float],
]:
    """Correctness without context and word order, controls that are not finite, and scatter."""
    found: dict[str, dict[str, np.ndarray] | None] = {}
    nonfinite, scatter = [], {}
    real = model.sites[site][:, layers.start : layers.stop]
    sides = (question.used & question.is_emotion, question.used & ~question.is_emotion)
    controls = model.controls or Controls()
    plain = () if controls.contextless is None else (controls.contextless,)
    for name, sets in (("contextless", plain), ("shuffled words", controls.shuffled)):
        pooled = [each[site] for each in sets]
        found[name] = None
        if not all(np.isfinite(each[question.used]).all() for each in pooled):
            nonfinite.append(name)
        elif len(pooled) >= (LEAST_SHUFFLES if name == "shuffled words" else 1):
            held = range(len(layers))
            parts = [band_decisions(each, held, question, kind) for each in pooled]
            found[name] = {
                evaluation: np.mean(
                    [correctness(part[evaluation], question.is_emotion) for part in parts], axis=0
                )
                for evaluation in question.splits
            }
            scatter[name] = scatter_ratio(real, pooled, sides)
    return found["contextless"], found["shuffled words"], tuple(nonfinite), scatter


def scatter_ratio(
    features: Float32[np.ndarray, "prompt layer d_model"],
    controls: Sequence[Float32[np.ndarray, "prompt layer d_model"]],
    sides: Sequence[Bool[np.ndarray, " prompt"]],
) -> float:
    """Scatter of a control within classes over that of the prompts.

    The standard deviation of each dimension, the median over dimensions and then over layers; of
    several extractions of a control the mean of the variances. NaN where nothing varies.
    """

    def variance(values: np.ndarray) -> np.ndarray:
        each = [values[side].var(axis=0, dtype=np.float64) for side in sides]
        return np.asarray(np.mean(each, axis=0))

    by_layer = []
    for layer in range(features.shape[1]):
        real = variance(features[:, layer])
        own = np.mean([variance(each[:, layer]) for each in controls], axis=0)
        ratio = np.sqrt(own[real > 0] / real[real > 0])
        if np.isfinite(ratio).any():
            by_layer.append(np.median(ratio[np.isfinite(ratio)]))
    return float(np.median(by_layer)) if by_layer else np.nan


_probes = Columns("probes")

MEASURES = (
    *accuracy_columns(
        _probes,
        "Share of held-out prompts that the probe classifies correctly",
        lambda grid: grid.accuracies,
    ),
    *balanced_columns(
        _probes,
        "Mean over the two classes of the share of held-out prompts that are classified correctly",
        lambda grid: grid.accuracies,
    ),
    _probes(
        "shuffled",
        "Accuracy of the same probe with labels permuted within scenarios, averaged over 3 "
        "permutations; only for the cross-validated probe of the headline at its layers, and for "
        "at most 1,000 prompts",
        source="in the spirit of Hewitt & Liang 2019",
    ),
    n_prompts(_probes, "n", lambda grid: grid.accuracies),
)
