"""Held-out separation of two classes by their direction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from emoact.measures import Columns
from emoact.stats.design import Design
from emoact.stats.null.uncertainty import freedom_of, sides_of
from emoact.stats.products import contrast_means
from emoact.stats.vectors import Vectors, blocks, largest_square

_ABOVE = 1e-3
"""Where an interval begins that does not hold its least value, but all that lie clearly above."""

_CHANCE = 1.1
"""Scatter of placements over that of normal scores up to which it counts as chance."""

_WIDER = 0.1
"""Leading coefficient below which the ends of d' are not solved for: ten times as far apart."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Separation:
    """Held-out separation of two classes at every layer.

    Attributes:
        d_prime: (mean(emotion) - mean(reference)) / sqrt((var(emotion) + var(reference)) / 2).
        auroc: Probability that a prompt of the emotion scores above one of the reference.
        d_prime_interval: 95 % interval for other scenarios, lower and upper.
        auroc_interval: The same for the AUROC.
    """

    d_prime: Float64[np.ndarray, " layer"]
    auroc: Float64[np.ndarray, " layer"]
    d_prime_interval: Float64[np.ndarray, "2 layer"]
    auroc_interval: Float64[np.ndarray, "2 layer"]


def held_out_scores(
    design: Design,
    vectors: Vectors,
    contrast: Float[np.ndarray, " label"],
    folds: Int[np.ndarray, " prompt"],
) -> Float64[np.ndarray, "layer prompt"]:
    """Projection of each prompt on the unit direction of the other folds, from their midpoint.

    Positive is towards the emotion. NaN for classes that the contrast leaves out, and in folds
    whose training prompts lack a class or whose direction is zero.
    """
    every = np.ones((1, design.n_scenarios), dtype=bool)
    return np.asarray(held_out_scores_of(design, vectors, contrast, folds, every)[0])


def held_out_scores_of(
    design: Design,
    vectors: Vectors,
    contrast: Float[np.ndarray, " label"],
    folds: Int[np.ndarray, " prompt"],
    keep: Bool[np.ndarray, "draw scenario"],
) -> Float64[np.ndarray, "draw layer prompt"]:
    """The same with directions from some of the scenarios of the other folds, for each draw."""
    positive, negative = np.maximum(contrast, 0.0), np.maximum(-contrast, 0.0)
    middle = (positive / positive.sum() + negative / negative.sum()) / 2
    scores = np.full((len(keep), vectors.shape[1], design.n_prompts), np.nan)
    in_contrast = contrast[design.label_of] != 0
    names = np.unique(folds).tolist()
    for layer in range(vectors.shape[1]):
        floor = 1e-13 * largest_square(vectors, layer)
        made = np.empty((len(names), 2, len(keep), vectors.shape[2]))
        for at, own in blocks(vectors, layer):
            for number, fold in enumerate(names):
                train = keep.copy()
                train[:, design.scenario_of[folds == fold]] = False
                made[number, ..., at] = contrast_means(
                    design, own, train, np.stack([contrast, middle])
                )
        squares = (made[:, 0] ** 2).sum(axis=2, keepdims=True)
        units = made[:, 0] / np.sqrt(np.where(squares > floor, squares, np.nan))
        offsets = (units * made[:, 1]).sum(axis=2, keepdims=True)
        tests = [np.flatnonzero((folds == fold) & in_contrast) for fold in names]
        for at, own in blocks(vectors, layer):
            for unit, offset, test in zip(units, offsets, tests, strict=True):
                added = unit[:, at] @ own[test].T
                scores[:, layer, test] = (
                    scores[:, layer, test] + added if at.start else added - offset
                )
    return scores


def measure_separation(
    scores: Float[np.ndarray, "layer prompt"],
    vectors: Vectors,
    design: Design,
    contrast: Float[np.ndarray, " label"],
    folds: Int[np.ndarray, " prompt"],
    dimensions: Float[np.ndarray, " layer"],
) -> Separation:
    """The d' and AUROC of held-out scores, with intervals for other scenarios of the same kind.

    Other scenarios would change the tested prompts and the directions that they are projected on.
    Each scenario has an influence on d' through either; the sum of the squares of both together is
    the jackknife's variance. Noise of a scenario in testing meets noise of another in training. The
    jackknife counts such products twice, which is all of it where classes do not differ, so that
    they are taken off (Efron & Stein 1981), down to the variance of the tested prompts alone. The
    variance is that at the ends of the interval: it grows with d', and an interval with the
    variance at the estimate misses on one side. Degrees of freedom are those of Welch and
    Satterthwaite. Directions do not point away from their emotion in other scenarios: 0 is the
    least of what d' can be, and is tested on one side (Feldman & Cousins 1998), by the quantile of
    a chi-square, because without a difference d' is a sum of products of noise. The interval of the
    AUROC is that of d' on the normal curve, moved to the AUROC, and as much wider as its placements
    (DeLong et al. 1988) scatter more than those of normal scores with this AUROC.

    Args:
        scores: Of `held_out_scores`.
        vectors: From which the scores are.
        design: Classes and scenarios.
        contrast: Weight of each class.
        folds: Fold of each prompt.
        dimensions: In how many the noise of the direction has its variance, as in `Strength`.
    """
    n_layers = len(scores)
    d_prime, auroc = np.full(n_layers, np.nan), np.full(n_layers, np.nan)
    intervals = np.full((2, 2, n_layers), np.nan)
    side = np.sign(contrast[design.label_of])
    used = np.flatnonzero(side)
    for layer, own in enumerate(scores[:, used]):
        if np.isfinite(own).all() and len(own):
            d_prime[layer], auroc[layer], intervals[:, :, layer] = _measure_layer(
                own, side[used], vectors, layer, used, design, contrast, folds, dimensions[layer]
            )
    return Separation(
        d_prime=d_prime,
        auroc=auroc,
        d_prime_interval=intervals[0],
        auroc_interval=intervals[1],
    )


def _measure_layer(
    scores: Float64[np.ndarray, " used"],
    side: Float64[np.ndarray, " used"],
    vectors: Vectors,
    layer: int,
    used: Int[np.ndarray, " used"],
    design: Design,
    contrast: Float[np.ndarray, " label"],
    folds: Int[np.ndarray, " prompt"],
    dimensions: float,
) -> tuple[float, float, Float64[np.ndarray, "2 2"]]:
    from scipy.special import chdtri, ndtri, owens_t, stdtrit
    from scipy.stats import norm, rankdata

    positive = side > 0
    here, there = scores[positive], scores[~positive]
    auroc = float(
        (rankdata(scores)[positive].sum() - len(here) * (len(here) + 1) / 2)
        / (len(here) * len(there))
    )
    interval = np.full((2, 2), np.nan)
    if min(len(here), len(there)) < 2:
        return np.nan, auroc, interval
    pooled = (here.var(ddof=1) + there.var(ddof=1)) / 2
    if pooled <= 0:
        return np.nan, auroc, interval
    sd = np.sqrt(pooled)
    d_prime = float((here.mean() - there.mean()) / sd)
    size = np.where(positive, len(here), len(there)) - 1
    centred = scores - np.where(positive, here.mean(), there.mean())
    spread = centred**2 - np.where(positive, here.var(), there.var())
    tested = (side * centred / sd - d_prime * spread / (4 * pooled)) / size
    slope = (side / sd - d_prime * centred / (2 * pooled)) / size
    met = _fold_influence(scores, slope, vectors, layer, used, design, contrast, folds)
    scenarios = design.scenario_of[used]
    n = len(np.unique(scenarios))
    if n < 2 or not np.isfinite(met).all():
        return d_prime, auroc, interval

    def covariance(
        first: Float64[np.ndarray, " used"], second: Float64[np.ndarray, " used"]
    ) -> float:
        both = np.bincount(scenarios, first) * np.bincount(scenarios, second)
        return float(both.sum() * n / (n - 1))

    trained = met[1].sum(axis=1)
    on_tested = covariance(tested, tested)
    jackknife = covariance(tested + trained, tested + trained)
    products = _variance_of_products(met.sum(axis=0), scenarios, folds[used])
    variance = max(jackknife - products, on_tested)
    influence = np.bincount(scenarios, tested + trained, design.n_scenarios)
    sides = sides_of(design, contrast)
    freedom = float(freedom_of(influence, sides))
    ends = np.array([-1.0, 1.0]) * stdtrit(freedom, 0.975)
    fixed, rising = side * centred / sd / size, spread / (4 * pooled) / size
    own, shared = covariance(fixed, fixed) - on_tested, covariance(fixed, rising)
    k = np.fmax(dimensions, 1.0)
    least = (chdtri(k, 0.05) - k) / np.sqrt(2 * k) * stdtrit(freedom, 0.95) / ndtri(0.95)
    is_above = bool(d_prime > least * np.sqrt(max(own + variance, 0.0)))
    found = _ends_of_d_prime(d_prime, ends, own + variance, shared, covariance(rising, rising))
    interval[0] = _from_least(found, d_prime, 0.0, is_above)
    if min(auroc, 1 - auroc) * sides.sum(axis=1).min() < 1:
        # The order of almost no scenario has no variance to measure.
        interval[1] = norm.cdf(interval[0] / np.sqrt(2))
        interval[1] = min(interval[1, 0], auroc), max(interval[1, 1], auroc)
    else:
        # Placements of few prompts scatter by chance as well, so that only what is clearly more
        # than that of normal scores widens the interval.
        placement = _placement_influence(scores, positive, auroc)
        at = norm.ppf(auroc)
        normal = (auroc - 2 * owens_t(at, 1 / np.sqrt(3)) - auroc**2) / (1 + at**2 / 4)
        share = np.sqrt(covariance(placement, placement) / on_tested / normal)
        reach = max(1.0, share / _CHANCE) * (interval[0] - d_prime) / np.sqrt(2)
        interval[1] = norm.cdf(at + reach)
    if interval[1, 0] <= norm.cdf(d_prime / np.sqrt(2)) <= interval[1, 1]:
        # Scores follow the normal curve, on which both tell the same.
        interval[1] = _from_least(interval[1], auroc, 0.5, is_above and auroc > 0.5)
    return d_prime, auroc, interval


def _ends_of_d_prime(
    d_prime: float,
    quantiles: Float64[np.ndarray, " end"],
    constant: float,
    linear: float,
    square: float,
) -> Float64[np.ndarray, " end"]:
    """Both x with (d' - x)^2 = q^2 v(x), where v(x) = constant - 2 linear x + square x^2.

    With so few scenarios that no such x exist, those with the variance at the estimate.
    """
    q = float(quantiles[1])
    a, b = 1 - q**2 * square, d_prime - q**2 * linear
    if a < _WIDER:
        variance = constant - 2 * linear * d_prime + square * d_prime**2
        return np.asarray(d_prime + quantiles * np.sqrt(variance))
    root = np.sqrt(max(b**2 - a * (d_prime**2 - q**2 * constant), 0.0))
    return np.array([(b - root) / a, (b + root) / a])


def _from_least(
    ends: Float64[np.ndarray, " end"], estimate: float, least: float, is_above: bool
) -> Float64[np.ndarray, " end"]:
    """Ends of an interval that holds the least of what can be unless that is excluded."""
    first = min(least + _ABOVE, estimate)
    low = np.maximum(ends[0], first) if is_above else np.minimum(ends[0], least)
    return np.array([low, np.maximum(ends[1], least)])


def _fold_influence(
    scores: Float64[np.ndarray, " used"],
    slope: Float64[np.ndarray, " used"],
    vectors: Vectors,
    layer: int,
    used: Int[np.ndarray, " used"],
    design: Design,
    contrast: Float[np.ndarray, " label"],
    folds: Int[np.ndarray, " prompt"],
) -> Float64[np.ndarray, "2 used fold"]:
    """Change of d' through the directions of the other folds, per unit of a prompt's weight.

    First, of a tested prompt, how much the noise of each other fold in its direction changes d'.
    Second, of a training prompt, how much it changes d' through the tested prompts of each fold.
    """
    from scipy.sparse import csr_matrix

    labels, fold_of = design.label_of[used], np.unique(folds[used], return_inverse=True)[1]
    n_folds, n_labels = int(fold_of.max()) + 1, len(contrast)
    group = fold_of * n_labels + labels
    counts = np.bincount(group, minlength=n_folds * n_labels).reshape(n_folds, n_labels)
    member = csr_matrix(
        (np.ones(len(used)), (group, np.arange(len(used)))), (counts.size, len(used))
    )

    def exact() -> Iterator[tuple[slice, Float64[np.ndarray, "used dimension"]]]:
        for at, own in blocks(vectors, layer, used):
            yield at, own - own.mean(axis=0)

    sums = np.concatenate([member @ own for _, own in exact()], axis=1)
    sums = sums.reshape(n_folds, n_labels, -1)
    positive, negative = np.maximum(contrast, 0.0), np.maximum(-contrast, 0.0)
    middle = (positive / positive.sum() + negative / negative.sum()) / 2
    size = np.maximum(counts.sum(axis=0) - counts, 1)
    means = (sums.sum(axis=0) - sums) / size[:, :, None]
    direction = contrast @ means
    length = np.linalg.norm(direction, axis=1)
    unit = direction / length[:, None]
    # By tested fold, of every other fold.
    off = (sums - counts[:, :, None] * means[:, None]) / np.maximum(size - 1, 1)[:, None, :, None]
    off[np.arange(n_folds), np.arange(n_folds)] = 0
    influence = np.zeros((2, len(used), n_folds))
    for at, own in exact():
        for fold in range(n_folds):
            test = np.flatnonzero(fold_of == fold)
            along = unit[fold, at]
            pull = own[test] - middle @ means[fold, :, at] - np.outer(scores[test], along)
            pull *= slope[test, None] / length[fold]
            away = off[fold, ..., at]
            influence[0, test] += pull @ (contrast @ away).T
            influence[0, test] -= np.outer(slope[test], middle @ away @ along)
            change = np.outer(contrast, pull.sum(axis=0))
            change -= np.outer(middle, slope[test].sum() * along)
            moved = own @ change.T - np.einsum("ld,ld->l", means[fold, :, at], change)
            influence[1, :, fold] += moved[np.arange(len(used)), labels]
    influence[1] /= np.maximum(size - 1, 1)[:, labels].T
    influence[1, np.arange(len(used)), fold_of] = 0
    return influence


def _variance_of_products(
    met: Float64[np.ndarray, "used fold"],
    scenarios: Int[np.ndarray, " used"],
    folds: Int[np.ndarray, " used"],
) -> float:
    """Variance of d' through noise of two scenarios at once, from how unlike the folds are.

    What a scenario alone adds is the same with every other fold; what varies among them is the
    product of its noise with theirs. The divisor is the number of other folds, one too large,
    because their directions differ as well. Zero where there are fewer than three folds.
    """
    n_others = met.shape[1] - 1
    if n_others < 2:
        return 0.0
    fold_of = np.unique(folds, return_inverse=True)[1]
    own = np.zeros(met.shape, dtype=bool)
    own[np.arange(len(own)), fold_of] = True
    off = np.where(own, 0.0, met - np.where(own, 0.0, met).sum(axis=1, keepdims=True) / n_others)
    summed = [np.bincount(scenarios, column) for column in off.T]
    return float(np.square(summed).sum() / 2)


def _placement_influence(
    scores: Float64[np.ndarray, " used"], positive: Bool[np.ndarray, " used"], auroc: float
) -> Float64[np.ndarray, " used"]:
    """Share of the other class below (or above) each prompt, minus the AUROC, over the class size.

    Source: DeLong et al. 1988.
    """
    influence = np.empty(len(scores))
    for own, sign in ((positive, 1.0), (~positive, -1.0)):
        others = np.sort(scores[~own])
        below = np.searchsorted(others, scores[own], side="left")
        up_to = np.searchsorted(others, scores[own], side="right")
        share = (below + up_to) / 2 / len(others)
        placed = share if sign > 0 else 1 - share
        influence[own] = (placed - auroc) / (own.sum() - 1)
    return influence


_strength = Columns("strength", path="separation")

MEASURES = (
    *_strength.estimate(
        "d_prime",
        "Held-out separation of emotion and reference along the direction",
        of="the 95 % interval of d_prime for other scenarios",
        label="held-out d′",
        axis="d′",
        unit="standard deviations",
        formula="(mean − mean) / √((var + var)/2) of held-out projections, variances over n − 1",
        chance=0.0,
        no_effect="no separation",
    ),
    *_strength.estimate(
        "auroc",
        "Probability that a held-out prompt of the emotion projects higher than one of the "
        "reference; ties count one half",
        of="the 95 % interval of auroc for other scenarios",
        label="held-out AUROC",
        axis="AUROC",
        chance=0.5,
        no_effect="no separation",
    ),
)
