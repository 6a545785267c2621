"""Prompts so far away that intervals made for normal data are too narrow."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Float64, Int

from emoact.numbers import count, significant
from emoact.schema import Finding
from emoact.sites import words
from emoact.stats.across.shared import sampled_rows
from emoact.stats.features import ModelFeatures
from emoact.stats.probes.probes import band
from emoact.stats.room import set_down
from emoact.stats.vectors import inverse_sd

_EXCESS = 0.25
"""Variance of squared distances, over that of normal data, up to which intervals hold well."""

_ERRORS = 2.0
"""Standard errors of that variance which chance is allowed beside it."""

_FEWEST_PROMPTS = 20
_MOST_PROMPTS = 1000
_MOST_LAYERS = 5


def far_prompts(model: ModelFeatures) -> Iterator[Finding]:
    """A warning for each site whose prompts are farther apart than those of normal data."""
    rows = np.asarray(sampled_rows(model.design, most=_MOST_PROMPTS))
    labels = model.design.label_of[rows]
    if len(rows) < _FEWEST_PROMPTS:
        return
    for site, vectors in model.sites.items():
        layers = band(vectors.shape[1])
        layers = layers[:: -(-len(layers) // _MOST_LAYERS)]
        squares, excess = excess_of_distances(labels, vectors[rows[:, None], np.asarray(layers)])
        set_down(vectors)
        if excess <= 0:
            continue
        far = int(np.argmax(squares))
        of = "" if len(rows) == len(model.prompts) else f" of {count(len(rows))} drawn at random"
        times = np.sqrt(squares[far] / np.median(squares))
        yield Finding(
            code="far_prompts",
            severity="warning",
            where=model.model,
            message=f"{words(site)}: prompts lie farther from the mean of their class than those "
            f"of normal data would (the farthest{of}, {model.prompts[rows[far]].id}, "
            f"{significant(times, 2)} times as far as the median one; layers {layers[0]} to "
            f"{layers[-1]}); the 95 % intervals of d′ and AUROC then hold in 82 to 95 % of data "
            "sets only, because a sample seldom has all the far prompts that there are",
            remedy="Read the farthest prompts; analyse again without those that do not belong, or "
            "with more scenarios.",
        )


def excess_of_distances(
    labels: Int[np.ndarray, " prompt"], vectors: Float[np.ndarray, "prompt layer d_model"]
) -> tuple[Float64[np.ndarray, " prompt"], float]:
    """Squared distance of each prompt from its class mean, and how much more they vary than may be.

    Both are medians over the layers; what is above 0 is neither normal nor chance.
    """
    every = [_distances(labels, vectors[:, layer]) for layer in range(vectors.shape[1])]
    error = 2 * _ERRORS * np.sqrt(6 / len(labels))
    excess = [own.var(ddof=1) - (2 + error) * share - _EXCESS for own, share in every]
    return np.median([own for own, _ in every], axis=0), float(np.median(excess))


def _distances(
    labels: Int[np.ndarray, " prompt"], vectors: Float[np.ndarray, "prompt d_model"]
) -> tuple[Float64[np.ndarray, " prompt"], float]:
    """Squared distances of one layer, and the share of one independent dimension in them.

    Dimensions have unit variance, and the squares of each class the mean 1, so that neither large
    dimensions nor unequal spreads decide. Squares of normal vectors have a variance of twice that
    share: 1 over the number of dimensions that vary independently, from products of different
    prompts, which no far prompt decides.
    """
    rest = vectors.astype(np.float64)
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    for own in members:
        rest[own] -= rest[own].mean(axis=0)
    rest *= inverse_sd(rest.std(axis=0))
    squares = (rest**2).sum(axis=1)
    for own in members:
        size = squares[own].mean() or 1.0
        rest[own] /= np.sqrt(size)
        squares[own] /= size
    n, products = len(rest), rest @ rest.T
    share = ((products**2).sum() - (squares**2).sum()) / (n * (n - 1))
    return squares, float(share)
