"""Whether any one feature of a text goes with its emotion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64

_ROWS_AT_ONCE = 64
_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class Association:
    """How features go with emotion, against a permutation null.

    Attributes:
        strongest: Column of the feature that goes with the emotion most.
        eta_squared: Share of that feature's variance that lies between emotions, once the means
            of the blocks in which labels are exchanged are taken out.
        p: (1 + #{null >= observed}) / (1 + B) of the maximum, or the sum, over the features; so
            looking at many costs nothing.
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
        draws: Labels; the first row as they are, the others permuted.
        over: `max` finds one feature that gives the emotion away, `sum` many that do so a little.

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
    for start in range(0, len(draws), _ROWS_AT_ONCE):
        eta = _eta_squared(scaled, draws[start : start + _ROWS_AT_ONCE], n_labels)
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
    reached = statistics[1:] >= statistics[0] - _ROUNDING
    return float((1 + reached.sum()) / len(statistics))


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
