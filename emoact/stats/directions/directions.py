"""Emotion directions: differences of class means, in four variants."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Float64

from emoact.errors import RequestError
from emoact.stats.design import (
    Design,
    class_weights,
    contrast_against,
    contrast_prompt_weights,
)
from emoact.stats.vectors import Centred, about_mean, blocks, centre

DirectionKind = Literal["plain", "grand_mean", "within_scenario", "neutral_projected"]

DIRECTION_KINDS: tuple[DirectionKind, ...] = get_args(DirectionKind)


def contrast_direction(
    features: Float[np.ndarray, "prompt *rest"] | Float64[Centred, "prompt *rest"],
    design: Design,
    contrast: Float[np.ndarray, " label"],
) -> Float64[np.ndarray, "*rest"]:
    """Sum over classes of contrast[class] * mean(class)."""
    weights = contrast_prompt_weights(class_weights(design), contrast)
    return _weighted_sum(weights, features)


def within_scenario_direction(
    features: Float[np.ndarray, "prompt *rest"], design: Design, emotion: str, neutral: str
) -> Float64[np.ndarray, "*rest"]:
    """Mean over scenarios of the difference between emotion and neutral inside the scenario.

    Only scenarios that hold both classes count. Equal to the plain direction on fully matched data;
    elsewhere it keeps what differs between scenarios out of the direction.

    Raises:
        RequestError: No scenario holds both classes.
    """
    contrast = contrast_against(design, emotion, neutral)
    matched = matched_scenarios(design, contrast)
    inside = matched[design.scenario_of]
    size = design.counts[design.label_of, design.scenario_of]
    weights = np.where(inside, contrast[design.label_of] / size / matched.sum(), 0.0)
    return _weighted_sum(weights, features)


def matched_scenarios(
    design: Design, contrast: Float[np.ndarray, " label"]
) -> Bool[np.ndarray, " scenario"]:
    """True for the scenarios that hold every class of the contrast.

    Raises:
        RequestError: No scenario holds them all.
    """
    used = contrast != 0
    matched: Bool[np.ndarray, " scenario"] = (design.counts[used] > 0).all(axis=0)
    if not matched.any():
        names = ", ".join(design.labels[i] for i in np.flatnonzero(used))
        raise RequestError(
            f"no scenario holds all of {names}, so there is no difference within a scenario",
            remedy="Give matching prompts the same scenario_id, or use the plain direction.",
        )
    return matched


def neutral_components(
    neutral: Float[np.ndarray, "prompt d_model"], variance: float = 0.5
) -> Float64[np.ndarray, "component d_model"]:
    """The leading principal components of neutral text that hold this share of its variance.

    Orthonormal rows; none where neutral text does not vary.
    """
    axes, squared = principal_axes_of(neutral)
    if variance == 0 or squared.sum() == 0:
        return np.empty((0, neutral.shape[1]))
    shares = np.cumsum(squared) / squared.sum()
    n_components = min(int(np.searchsorted(shares, variance - 1e-12)) + 1, len(shares))
    return np.asarray(axes[:n_components], dtype=np.float64)


def principal_axes_of(
    features: Float[np.ndarray, "prompt d_model"], n_axes: int | None = None
) -> tuple[Float64[np.ndarray, "axis d_model"], Float64[np.ndarray, " axis"]]:
    """Orthonormal principal axes of the vectors about their mean, the largest first.

    With the sums of squares along them. All axes by default, or at least the first `n_axes`. The
    cost grows linearly with prompts.
    """
    from scipy.linalg import eigh

    d_model = features.shape[1]
    if len(features) <= d_model:
        _, singular, axes = np.linalg.svd(centre(features), full_matrices=False)
        return axes, singular**2
    squared = sum(rows.T @ rows for _, rows in about_mean(features))
    least = 0 if n_axes is None else d_model - n_axes
    squares, vectors = eigh(squared, subset_by_index=(least, d_model - 1))
    return vectors[:, ::-1].T, np.maximum(squares[::-1], 0.0)


def project_out(
    direction: Float[np.ndarray, " d_model"], components: Float[np.ndarray, "component d_model"]
) -> Float64[np.ndarray, " d_model"]:
    """The part of the direction that is orthogonal to the components (orthonormal rows)."""
    return np.asarray(direction - components.T @ (components @ direction))


def _weighted_sum(
    weights: Float[np.ndarray, " prompt"],
    features: Float[np.ndarray, "prompt *rest"] | Float64[Centred, "prompt *rest"],
) -> Float64[np.ndarray, "*rest"]:
    used = np.flatnonzero(weights)
    if isinstance(features, np.ndarray) and features.ndim != 3:
        flat = features.reshape(len(features), 1, -1)
        return _weighted_sum(weights, flat).reshape(features.shape[1:])
    total, magnitude = np.empty((2, *features.shape[1:]))
    for layer in range(features.shape[1]):
        for at, own in blocks(features, layer, used):
            total[layer, at] = weights[used] @ own
            magnitude[layer, at] = np.abs(weights[used]) @ np.abs(own)
    # What is rounding error only is 0, so that a direction that vanishes is exactly zero.
    return np.where(np.abs(total) <= 1e-14 * magnitude, 0.0, total)
