"""Standardised distances between prompts, and to the means of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from emoact.stats.design import design_of
from emoact.stats.null.splits import scenario_folds


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Held-out accuracy of the nearest class mean.

    Attributes:
        accuracy: Share of all prompts.
        by_class: Share of the prompts of each class.
        chance: Share of the largest class.
        grouped: True where whole scenarios were held out, False for single prompts.
    """

    accuracy: float
    by_class: dict[str, float]
    n: int
    chance: float
    grouped: bool


def nearest_prompts(
    pooled: Float[np.ndarray, "prompt d_model"], own: int, most: int = 8
) -> list[tuple[int, float]]:
    """Prompts in the order of their standardised distance from one of them, with the distances.

    Prompts with values that are not finite are left out; empty when the one asked about is.
    """
    finite = np.isfinite(pooled).all(axis=1)
    if not finite[own] or finite.sum() < 2:
        return []
    wide = pooled.astype(np.float64)
    scale = _scale(wide[finite].std(axis=0))
    away = (wide - wide[own]) * scale
    with np.errstate(invalid="ignore"):
        distance = np.sqrt((away**2).sum(axis=1) / max(np.count_nonzero(scale), 1))
    order = [int(i) for i in np.argsort(distance, kind="stable") if finite[i] and i != own]
    return [(index, float(distance[index])) for index in order[:most]]


def class_distances(
    pooled: Float[np.ndarray, "prompt d_model"],
    labels: Sequence[str],
    vectors: Float[np.ndarray, "vector d_model"],
) -> tuple[tuple[str, ...], Float64[np.ndarray, "vector class"]]:
    """Distances to the mean of each class, dimensions divided by their spread within classes.

    The distance is the root mean square over dimensions of (x - mean) / sd, where sd is pooled over
    classes: about 1 for a prompt of the class. A dimension without spread is left
    out. It is the rule of diagonal linear discriminant analysis with equal priors.

    Returns:
        The classes in order of first appearance, and the distances.
    """
    classes = tuple(dict.fromkeys(labels))
    wide, owner = pooled.astype(np.float64), np.array([classes.index(label) for label in labels])
    means = np.stack([wide[owner == number].mean(axis=0) for number in range(len(classes))])
    within = wide - means[owner]
    scale = _scale(np.sqrt((within**2).sum(axis=0) / max(len(wide) - len(classes), 1)))
    away = (vectors.astype(np.float64)[:, None] - means[None]) * scale
    return classes, np.sqrt((away**2).sum(axis=2) / max(np.count_nonzero(scale), 1))


def held_out(
    pooled: Float[np.ndarray, "prompt d_model"],
    labels: Sequence[str],
    scenarios: Sequence[str | None],
) -> HeldOut | None:
    """Accuracy of the nearest class mean on held-out prompts, five folds of whole scenarios.

    None where some fold would leave a class without prompts.
    """
    grouped = all(name is not None for name in scenarios)
    if not labels:
        return None
    folds = scenario_folds(design_of(labels, scenarios if grouped else None))
    named = np.array(labels, dtype=object)
    right = np.zeros(len(named), dtype=bool)
    for fold in np.unique(folds):
        test = folds == fold
        if set(named[~test]) != set(named) or (~test).sum() <= len(set(named)):
            return None
        classes, distances = class_distances(pooled[~test], list(named[~test]), pooled[test])
        right[test] = np.array(classes, dtype=object)[distances.argmin(axis=1)] == named[test]
    return HeldOut(
        accuracy=float(right.mean()),
        by_class={str(one): float(right[named == one].mean()) for one in dict.fromkeys(named)},
        n=len(named),
        chance=max(float((named == one).mean()) for one in set(named)),
        grouped=grouped,
    )


def _scale(sd: Float64[np.ndarray, " d_model"]) -> Float64[np.ndarray, " d_model"]:
    with np.errstate(divide="ignore"):
        found: np.ndarray = np.where(sd > 0, 1 / sd, 0.0)
    return found
