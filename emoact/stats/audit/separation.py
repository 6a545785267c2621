"""Permutation tests of how far features separate the emotions: association and classifier."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64, Int64

from emoact.stats.null import p_values

Scheme = Literal["within scenario", "over all prompts", "over scenarios", "mixed"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Exchange:
    """Prompts whose labels are exchangeable under the null hypothesis.

    Scenarios that hold several emotions exchange labels inside. All others (and prompts without a
    scenario) form one pool in which whole scenarios exchange labels.

    Attributes:
        label: Index of the emotion of each prompt.
        unit: Index of the scenario of each prompt; prompts without one are a unit each.
        block: Index of the block of each prompt; 0 is the pool.
        scheme: Name of the kind of exchange.
    """

    label: Int64[np.ndarray, " prompt"]
    unit: Int64[np.ndarray, " prompt"]
    block: Int64[np.ndarray, " prompt"]
    scheme: Scheme

    @property
    def log10_arrangements(self) -> float:
        """Number of distinguishable relabellings, as a power of ten."""
        total = 0.0
        for block in np.unique(self.block):
            inside = self.block == block
            if block == 0:
                _, first = np.unique(self.unit[inside], return_index=True)
                labels = self.label[inside][first]
            else:
                labels = self.label[inside]
            counts = Counter(labels.tolist()).values()
            total += math.lgamma(len(labels) + 1) - sum(math.lgamma(n + 1) for n in counts)
        return total / math.log(10)

    def relabelled(
        self, rng: np.random.Generator, *, permutations: int
    ) -> Int64[np.ndarray, "draw prompt"]:
        """Observed labels in row 0, permuted labels in the other rows."""
        draws = np.tile(self.label, (permutations + 1, 1))
        inside = np.flatnonzero(self.block)
        by_block = inside[np.argsort(self.block[inside], kind="stable")]
        pool = np.flatnonzero(self.block == 0)
        units, first, member = np.unique(self.unit[pool], return_index=True, return_inverse=True)
        unit_label = self.label[pool][first]
        for draw in draws[1:]:
            shuffled = inside[np.lexsort((rng.random(len(inside)), self.block[inside]))]
            draw[by_block] = self.label[shuffled]
            draw[pool] = unit_label[rng.permutation(len(units))][member]
        return draws


def exchange(emotions: Sequence[str], scenarios: Sequence[str | None]) -> Exchange:
    """Exchangeable prompts, given the label and the scenario of each prompt."""
    order = {emotion: index for index, emotion in enumerate(dict.fromkeys(emotions))}
    label = np.array([order[emotion] for emotion in emotions], dtype=np.int64)
    # A tuple is never equal to the name of a scenario.
    keys = [(index,) if name is None else name for index, name in enumerate(scenarios)]
    names = {key: index for index, key in enumerate(dict.fromkeys(keys))}
    unit = np.array([names[key] for key in keys], dtype=np.int64)
    held: dict[int, set[int]] = {}
    for one_unit, one_label in zip(unit.tolist(), label.tolist(), strict=True):
        held.setdefault(one_unit, set()).add(one_label)
    crossed = np.array([len(held[one]) > 1 for one in unit.tolist()], dtype=bool)
    block = np.where(crossed, unit + 1, 0)
    return Exchange(label=label, unit=unit, block=block, scheme=_scheme(crossed, unit))


def _scheme(crossed: np.ndarray, unit: np.ndarray) -> Scheme:
    if crossed.all():
        return "within scenario"
    if crossed.any():
        return "mixed"
    single = len(np.unique(unit)) == len(unit)
    return "over all prompts" if single else "over scenarios"


_ASSOCIATED_AT_ONCE = 64
_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class Association:
    """Association of features with emotion, against its permutation null.

    Attributes:
        strongest: Column of the feature with the largest correlation ratio.
        eta_squared: Share of that feature's variance that lies between emotions, once the means
            of the blocks in which labels are exchanged are taken out.
        p: (1 + #{null >= observed}) / (1 + B) of the maximum, or the sum, over the features; it
            is corrected for the number of features.
    """

    strongest: int
    eta_squared: float
    p: float


def associate(
    features: Float64[np.ndarray, "prompt feature"],
    block: Int64[np.ndarray, " prompt"],
    draws: Int64[np.ndarray, "draw prompt"],
    *,
    over: Literal["max", "sum"] = "max",
) -> Association | None:
    """Correlation ratio of the features with the labels; None where no feature varies.

    Args:
        features: One column per feature.
        block: Prompts that exchange labels.
        draws: Labels; observed in the first row, permuted in the others.
        over: `max` detects one strongly associated feature, `sum` many weakly associated ones.

    Source: correlation ratio, Fisher 1925; maximum statistic, Westfall & Young 1993.
    """
    centred = _centred(features, block)
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
        combined = eta.max(axis=1) if over == "max" else eta.sum(axis=1)
        statistics[start : start + len(eta)] = combined
        if start == 0:
            observed = eta[0]
    strongest = int(observed.argmax())
    return Association(
        strongest=int(columns[strongest]),
        eta_squared=float(observed[strongest]),
        p=permutation_p(statistics),
    )


def permutation_p(statistics: Float64[np.ndarray, " draw"]) -> float:
    """(1 + #{null >= observed}) / (1 + B); the first value is the observed one."""
    return float(p_values.permutation_p(statistics[1:], float(statistics[0]) - _ROUNDING))


def _eta_squared(
    scaled: Float64[np.ndarray, "prompt feature"],
    draws: Int64[np.ndarray, "draw prompt"],
    n_labels: int,
) -> Float64[np.ndarray, "draw feature"]:
    between = np.zeros((len(draws), scaled.shape[1]))
    for label in range(n_labels):
        chosen = (draws == label).astype(np.float64)
        counts = np.maximum(chosen.sum(axis=1), 1.0)
        between += (chosen @ scaled) ** 2 / counts[:, None]
    return between


def _centred(
    features: Float64[np.ndarray, "prompt feature"], block: Int64[np.ndarray, " prompt"]
) -> Float64[np.ndarray, "prompt feature"]:
    _, member = np.unique(block, return_inverse=True)
    sums = np.zeros((int(member.max()) + 1, features.shape[1]))
    np.add.at(sums, member, features)
    return features - (sums / np.bincount(member)[:, None])[member]


_FOLDS = 5
_PARTITIONS = 4
_GUESSED_AT_ONCE = 128
_RIDGE = 0.1


@dataclass(frozen=True, kw_only=True, eq=False)
class Guessing:
    """Held-out accuracy, against its permutation null.

    Attributes:
        accuracy: Balanced accuracy (mean recall of the emotions), averaged over partitions.
        chance: Mean accuracy with permuted labels; slightly below 1/classes in small matched sets.
        p: (1 + #{null >= observed}) / (1 + B).
    """

    accuracy: float
    chance: float
    p: float


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
    draws: Int64[np.ndarray, "draw prompt"],
) -> Guessing:
    """Accuracy of the nearest class mean on held-out folds, for observed and permuted labels.

    A thousand permutations take a few matrix products, because the features do not depend on the
    labels, and the sums of the training folds are all sums minus those of the held-out fold.

    Args:
        features: From `whitened` or `unit_rows`.
        folds: From `folds_of`.
        draws: Labels; observed in the first row, permuted in the others.

    Source: nearest centroid, Tibshirani et al. 2002 (without shrinkage).
    """
    n_labels = int(draws.max()) + 1
    small = _shortened(features).astype(np.float32)
    accuracies = np.empty(len(draws))
    for start in range(0, len(draws), _GUESSED_AT_ONCE):
        rows = draws[start : start + _GUESSED_AT_ONCE]
        chosen = rows[:, None, :] == np.arange(n_labels)[None, :, None]
        flat = chosen.reshape(-1, rows.shape[1]).astype(np.float32)
        sums = flat @ small
        right = np.zeros(rows.shape)
        for partition in folds:
            right += _predicted(small, partition, flat, sums, n_labels) == rows
        accuracies[start : start + len(rows)] = _mean_recall(right / len(folds), rows, n_labels)
    return Guessing(
        accuracy=float(accuracies[0]),
        chance=float(accuracies[1:].mean()),
        p=permutation_p(accuracies),
    )


def _mean_recall(
    right: Float64[np.ndarray, "draw prompt"], rows: Int64[np.ndarray, "draw prompt"], n_labels: int
) -> Float64[np.ndarray, " draw"]:
    total = np.zeros(len(rows))
    for label in range(n_labels):
        of_label = rows == label
        total += (right * of_label).sum(axis=1) / np.maximum(of_label.sum(axis=1), 1)
    return total / n_labels


def _predicted(
    features: Float32[np.ndarray, "prompt feature"],
    fold: Int64[np.ndarray, " prompt"],
    chosen: Float32[np.ndarray, "draw_label prompt"],
    sums: Float32[np.ndarray, "draw_label feature"],
    n_labels: int,
) -> Int64[np.ndarray, "draw prompt"]:
    """Label with the nearest training mean, for each draw and prompt."""
    n_draws = len(chosen) // n_labels
    counts = chosen.sum(axis=1)
    predicted = np.empty((n_draws, len(features)), dtype=np.int64)
    for held_out in np.unique(fold):
        test = np.flatnonzero(fold == held_out)
        inside = chosen[:, test]
        kept = counts - inside.sum(axis=1)
        means = (sums - inside @ features[test]) / np.maximum(kept, 1.0)[:, None]
        # Negative half of the squared distance, without the term that all classes share.
        closeness = means @ features[test].T - 0.5 * (means**2).sum(axis=1)[:, None]
        closeness[kept == 0] = -np.inf
        predicted[:, test] = closeness.reshape(n_draws, n_labels, -1).argmax(axis=1)
    return predicted


def _shortened(
    features: Float64[np.ndarray, "prompt feature"],
) -> Float64[np.ndarray, "prompt axis"]:
    """Features rotated to at most as many axes as prompts; all distances are preserved."""
    if features.shape[1] <= features.shape[0]:
        return features
    left, scale, _ = np.linalg.svd(features, full_matrices=False)
    turned: Float64[np.ndarray, "prompt axis"] = left * scale
    return turned


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
