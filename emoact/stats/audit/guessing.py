"""How often a classifier that sees one aspect of a text guesses its emotion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from emoact.stats.audit.association import permutation_p

_FOLDS = 5
_PARTITIONS = 4
_ROWS_AT_ONCE = 128
_RIDGE = 0.1


@dataclass(frozen=True, kw_only=True, eq=False)
class Guessing:
    """Accuracy on scenarios left out, against its permutation null.

    Attributes:
        accuracy: Mean over emotions of the share guessed right, averaged over partitions.
        chance: Mean accuracy with permuted labels; in small matched sets a little below 1/classes.
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
    """Nearest class mean, trained on the other folds, for labels as they are and permuted.

    A thousand permutations cost a few matrix products: the features do not depend on labels, and
    class means of the other folds are sums less those of the fold.

    Args:
        features: From `whitened` or `unit_rows`.
        folds: From `folds_of`.
        draws: Labels; the first row as they are, the others permuted.

    Source: nearest centroid, Tibshirani et al. 2002 (without shrinkage).
    """
    n_labels = int(draws.max()) + 1
    small = _shortened(features).astype(np.float32)
    accuracies = np.empty(len(draws))
    for start in range(0, len(draws), _ROWS_AT_ONCE):
        rows = draws[start : start + _ROWS_AT_ONCE]
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
    """Label whose mean over the other folds is nearest, for each draw and prompt."""
    n_draws = len(chosen) // n_labels
    counts = chosen.sum(axis=1)
    predicted = np.empty((n_draws, len(features)), dtype=np.int64)
    for held_out in np.unique(fold):
        test = np.flatnonzero(fold == held_out)
        inside = chosen[:, test]
        kept = counts - inside.sum(axis=1)
        means = (sums - inside @ features[test]) / np.maximum(kept, 1.0)[:, None]
        # The squared distance to a class mean, less what is the same for all classes.
        closeness = means @ features[test].T - 0.5 * (means**2).sum(axis=1)[:, None]
        closeness[kept == 0] = -np.inf
        predicted[:, test] = closeness.reshape(n_draws, n_labels, -1).argmax(axis=1)
    return predicted


def _shortened(
    features: Float64[np.ndarray, "prompt feature"],
) -> Float64[np.ndarray, "prompt axis"]:
    """Features turned into at most as many axes as prompts; distances stay as they are."""
    if features.shape[1] <= features.shape[0]:
        return features
    left, scale, _ = np.linalg.svd(features, full_matrices=False)
    turned: Float64[np.ndarray, "prompt axis"] = left * scale
    return turned


def whitened(
    features: Float64[np.ndarray, "prompt feature"],
) -> Float64[np.ndarray, "prompt axis"]:
    """Numeric features on one scale and uncorrelated, so that no unit of measure decides."""
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
    """Word features of length 1 per prompt; a prompt without any stays at zero."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.where(lengths > 0, lengths, 1.0)
