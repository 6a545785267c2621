"""Permutation tests of how far features separate the emotions: association and classifier."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64, Int, Int64

from emoact.schema import Prompt
from emoact.stats.audit.outcome import Test
from emoact.stats.design import Design, design_of
from emoact.stats.null import permutation
from emoact.stats.null.relabelling import shuffled_groups
from emoact.stats.products import shortened, without_scenarios

Scheme = Literal["within scenario", "over all prompts", "over scenarios", "mixed"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Relabelled:
    """Labels of prompts under the null hypothesis.

    Attributes:
        draws: Index of the emotion of each prompt; observed in row 0, permuted in the others.
        unit: Index of the scenario of each prompt; prompts without one are a unit each.
        block: Index of the prompts that exchange labels: a scenario of several emotions, or 0 for
            the pool of all others, in which whole scenarios exchange labels.
        log10_arrangements: Number of distinguishable relabellings, as a power of ten.
    """

    draws: Int[np.ndarray, "draw prompt"]
    unit: Int64[np.ndarray, " prompt"]
    block: Int64[np.ndarray, " prompt"]
    scheme: Scheme
    log10_arrangements: float


def relabelled(prompts: Sequence[Prompt], permutations: int, *, seed: int = 0) -> Relabelled:
    """Labels exchanged as the analysis exchanges them."""
    scenarios = [prompt.scenario_id for prompt in prompts]
    design = design_of([prompt.emotion for prompt in prompts], scenarios)
    crossed = ((design.counts > 0).sum(axis=0) > 1)[design.scenario_of]
    return Relabelled(
        draws=shuffled_groups(design, design.label_of, permutations, seed=seed),
        unit=design.scenario_of,
        block=np.where(crossed, design.scenario_of + 1, 0),
        scheme=_scheme(design, crossed),
        log10_arrangements=_log10_arrangements(design),
    )


def _scheme(design: Design, crossed: Bool[np.ndarray, " prompt"]) -> Scheme:
    if crossed.any():
        return "within scenario" if crossed.all() else "mixed"
    return "over scenarios" if design.n_scenarios < design.n_prompts else "over all prompts"


def _log10_arrangements(design: Design) -> float:
    held = design.counts > 0
    crossed = held.sum(axis=0) > 1
    tables = [*design.counts[:, crossed].T, held[:, ~crossed].sum(axis=1)]
    total = sum(
        math.lgamma(table.sum() + 1) - sum(math.lgamma(n + 1) for n in table) for table in tables
    )
    return total / math.log(10)


_ASSOCIATED_AT_ONCE = 64
_ROUNDING = 1e-9
ALPHA = 0.05


@dataclass(frozen=True, kw_only=True, eq=False)
class Association:
    """Association of features with emotion, against its permutation null.

    Attributes:
        strongest: Column of the feature with the largest correlation ratio.
        eta_squared: Share of that feature's variance that lies between emotions, once the means
            of the blocks in which labels are exchanged are taken out.
        p: (1 + #{null >= observed}) / (1 + B) of the maximum over the features; it is
            corrected for their number.
        n_features: Number of features that vary.
        separating: Columns whose own ratio reaches the 95 % quantile of the null maximum, the
            largest ratio first.
    """

    strongest: int
    eta_squared: float
    p: float
    n_features: int
    separating: tuple[int, ...]


def associate(
    features: Float64[np.ndarray, "prompt feature"],
    block: Int64[np.ndarray, " prompt"],
    draws: Int[np.ndarray, "draw prompt"],
) -> Association | None:
    """Correlation ratio of the features with the labels; None where no feature varies.

    Args:
        features: One column per feature.
        block: Prompts that exchange labels.
        draws: Labels; observed in the first row, permuted in the others.

    Source: correlation ratio, Fisher 1925; maximum statistic, Westfall & Young 1993.
    """
    centred = without_scenarios(np.unique(block, return_inverse=True)[1], features)
    total = (centred**2).sum(axis=0)
    varying = total > _ROUNDING * np.maximum(1.0, (features**2).sum(axis=0))
    if not varying.any():
        return None
    columns = np.flatnonzero(varying)
    scaled = centred[:, columns] / np.sqrt(total[columns])
    n_labels = int(draws.max()) + 1
    statistics = np.empty(len(draws))
    observed = np.empty(0)
    for start in range(0, len(draws), _ASSOCIATED_AT_ONCE):
        eta = _eta_squared(scaled, draws[start : start + _ASSOCIATED_AT_ONCE], n_labels)
        statistics[start : start + len(eta)] = eta.max(axis=1)
        if start == 0:
            observed = eta[0]
    order = np.argsort(-observed, kind="stable")
    null = np.broadcast_to(statistics[1:, None], (len(draws) - 1, len(order)))
    each = permutation.permutation_p(null, observed[order] - _ROUNDING)
    return Association(
        strongest=int(columns[order[0]]),
        eta_squared=float(observed[order[0]]),
        p=permutation_p(statistics),
        n_features=len(columns),
        separating=tuple(columns[order[each <= ALPHA]].tolist()),
    )


def permutation_p(statistics: Float64[np.ndarray, " draw"]) -> float:
    """(1 + #{null >= observed}) / (1 + B); the first value is the observed one."""
    return float(permutation.permutation_p(statistics[1:], float(statistics[0]) - _ROUNDING))


def _eta_squared(
    scaled: Float64[np.ndarray, "prompt feature"],
    draws: Int[np.ndarray, "draw prompt"],
    n_labels: int,
) -> Float64[np.ndarray, "draw feature"]:
    between = np.zeros((len(draws), scaled.shape[1]))
    for label in range(n_labels):
        chosen = (draws == label).astype(np.float64)
        counts = np.maximum(chosen.sum(axis=1), 1.0)
        between += (chosen @ scaled) ** 2 / counts[:, None]
    return between


_FOLDS = 5
LEAST_UNITS = 5
"""Fewer scenarios cannot be split into folds."""
_PARTITIONS = 4
_GUESSED_AT_ONCE = 128
_RIDGE = 0.1


def folds_of(
    unit: Int64[np.ndarray, " prompt"], rng: np.random.Generator
) -> Int64[np.ndarray, "partition prompt"]:
    """Fold of each prompt in several random partitions that keep scenarios whole."""
    n_units = int(unit.max()) + 1
    n_folds = min(_FOLDS, n_units)
    rows = [rng.permutation(np.arange(n_units) % n_folds)[unit] for _ in range(_PARTITIONS)]
    return np.stack(rows).astype(np.int64)


def guess(
    features: Float64[np.ndarray, "prompt feature"],
    folds: Int64[np.ndarray, "partition prompt"],
    draws: Int[np.ndarray, "draw prompt"],
) -> Test:
    """Balanced accuracy of the nearest class mean on held-out folds, against permuted labels.

    The value is the mean recall of the emotions, averaged over partitions, and chance its mean with
    permuted labels, which is slightly below 1/classes in small matched sets.

    A thousand permutations take a few matrix products, because the features do not depend on the
    labels, and the sums of the training folds are all sums minus those of the held-out fold. Of k
    emotions that are equally near each counts as the 1/k part of an answer.

    Args:
        features: From `whitened` or `unit_rows`.
        folds: From `folds_of`.
        draws: Labels; observed in the first row, permuted in the others.

    Source: nearest centroid, Tibshirani et al. 2002 (without shrinkage).
    """
    n_labels = int(draws.max()) + 1
    small = shortened(features)
    accuracies = np.empty(len(draws))
    for start in range(0, len(draws), _GUESSED_AT_ONCE):
        rows = draws[start : start + _GUESSED_AT_ONCE]
        chosen = rows[:, None, :] == np.arange(n_labels)[None, :, None]
        flat = chosen.reshape(-1, rows.shape[1]).astype(np.float64)
        sums = flat @ small
        right = np.zeros(rows.shape)
        for partition in folds:
            right += _right(small, partition, flat, sums, rows, n_labels)
        accuracies[start : start + len(rows)] = _mean_recall(right / len(folds), rows, n_labels)
    return Test(
        kind="classifier",
        value=float(accuracies[0]),
        chance=float(accuracies[1:].mean()),
        p=permutation_p(accuracies),
    )


def _mean_recall(
    right: Float64[np.ndarray, "draw prompt"], rows: Int[np.ndarray, "draw prompt"], n_labels: int
) -> Float64[np.ndarray, " draw"]:
    total = np.zeros(len(rows))
    for label in range(n_labels):
        of_label = rows == label
        total += (right * of_label).sum(axis=1) / np.maximum(of_label.sum(axis=1), 1)
    return total / n_labels


def _right(
    features: Float64[np.ndarray, "prompt feature"],
    fold: Int64[np.ndarray, " prompt"],
    chosen: Float64[np.ndarray, "draw_label prompt"],
    sums: Float64[np.ndarray, "draw_label feature"],
    rows: Int[np.ndarray, "draw prompt"],
    n_labels: int,
) -> Float64[np.ndarray, "draw prompt"]:
    """1 where the label has the nearest training mean, 1/k where k means are equally near."""
    counts = chosen.sum(axis=1)
    right = np.empty(rows.shape)
    for held_out in np.unique(fold):
        test = np.flatnonzero(fold == held_out)
        inside = chosen[:, test]
        kept = counts - inside.sum(axis=1)
        means = (sums - inside @ features[test]) / np.maximum(kept, 1.0)[:, None]
        # Negative half of the squared distance, without the term that all classes share.
        closeness = means @ features[test].T - 0.5 * (means**2).sum(axis=1)[:, None]
        closeness[kept == 0] = -np.inf
        closeness = closeness.reshape(len(rows), n_labels, -1)
        nearest = closeness >= closeness.max(axis=1, keepdims=True) - _ROUNDING
        own = np.take_along_axis(nearest, rows[:, None, test], axis=1)[:, 0]
        right[:, test] = own / nearest.sum(axis=1)
    return right


def whitened(
    features: Float64[np.ndarray, "prompt feature"],
) -> Float64[np.ndarray, "prompt axis"]:
    """Numeric features, standardised and decorrelated, so that their units have no influence."""
    centred = features - features.mean(axis=0)
    scale = centred.std(axis=0)
    kept = scale > 1e-9 * np.maximum(1.0, np.abs(features).max(axis=0, initial=0.0))
    if not kept.any():
        return np.zeros((len(features), 1))
    standard = centred[:, kept] / scale[kept]
    covariance = standard.T @ standard / len(standard)
    values, vectors = np.linalg.eigh(covariance)
    result: Float64[np.ndarray, "prompt axis"] = standard @ (vectors / np.sqrt(values + _RIDGE))
    return result


def unit_rows(
    features: Float64[np.ndarray, "prompt feature"],
) -> Float64[np.ndarray, "prompt feature"]:
    """Word features scaled to length 1 for each prompt; a prompt without words stays zero."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.where(lengths > 0, lengths, 1.0)
