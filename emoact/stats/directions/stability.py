"""Stability of a direction under changes of the scenarios that it is computed from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from emoact.measures import Columns
from emoact.stats.design import Design
from emoact.stats.directions.directions import matched_scenarios
from emoact.stats.directions.separation import held_out_scores_of
from emoact.stats.null.permutation import Relabellings
from emoact.stats.null.uncertainty import finite_mean, percentile_interval
from emoact.stats.products import class_sums, compact, contrast_means
from emoact.stats.rank import unit_ranks
from emoact.stats.vectors import Vectors, blocks, largest_square

_MANY_PROMPTS = 400
_NULL_SPLITS = 20
_SCORES_AT_ONCE = 1 << 18
"""Scores of prompts that are ranked at once."""
_NULL_GROUPS = 16
"""Groups of scenarios that are split in the null, where there are more than twice as many."""


def split_half_cosines(
    design: Design,
    vectors: Vectors,
    contrast: Float[np.ndarray, " label"],
    halves: Bool[np.ndarray, "split scenario"],
) -> Float64[np.ndarray, "split layer"]:
    """Cosine of the directions of two disjoint halves, raw, for each split.

    Each half has its own part of neutral: with a shared one, noise would have the
    cosine 1/3.
    """
    cosines = np.empty((len(halves), vectors.shape[1]))
    for layer in range(vectors.shape[1]):
        parts = [
            [contrast_means(design, own, side, contrast[None])[0] for side in (halves, ~halves)]
            for _, own in blocks(vectors, layer)
        ]
        first, second = (np.concatenate(side, axis=1) for side in zip(*parts, strict=True))
        cosines[:, layer] = row_cosines(first, second, floor=1e-13 * largest_square(vectors, layer))
    return cosines


def split_half_null(
    design: Design,
    vectors: Vectors,
    plan: Relabellings,
    halves: Bool[np.ndarray, "split scenario"],
) -> Float64[np.ndarray, "draw layer"]:
    """Mean cosine of two disjoint halves under relabelling, for each draw.

    Of many scenarios, groups of them are split in place of single ones: sums over groups then serve
    all splits of a relabelling.
    """
    group_of, sides = np.arange(design.n_scenarios), halves[:_NULL_SPLITS]
    if design.n_scenarios > 2 * _NULL_GROUPS:
        order = np.argsort(design.pattern_of, kind="stable")
        group_of[order] = np.arange(design.n_scenarios) % _NULL_GROUPS
        even = np.tile(np.arange(_NULL_GROUPS) % 2 == 0, (_NULL_SPLITS, 1))
        sides = np.random.default_rng(0).permuted(even, axis=1)
    groups = group_of[design.scenario_of[plan.used]]
    members = [np.flatnonzero(groups == group) for group in range(sides.shape[1])]
    n_draws = len(plan.chosen) - 1
    draws = [slice(max(part.start, 1), part.stop) for part in plan.chunks()]
    n_here = np.concatenate(
        [
            np.stack([chosen[:, own].sum(axis=1) for own in members], axis=1)
            for chosen in (plan.chosen[part] for part in draws)
        ]
    )
    n_there = np.bincount(groups, minlength=len(members)) - n_here

    def means(half: Bool[np.ndarray, "split group"]) -> Float64[np.ndarray, "draw split sum"]:
        """Weights of the sums of the emotion and of the reference in a difference of means."""
        own = half.astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.concatenate(
                [own / (n_here @ own.T)[:, :, None], -own / (n_there @ own.T)[:, :, None]], axis=2
            )

    first, second = means(sides), means(~sides)
    cosines = np.empty((n_draws, vectors.shape[1]))
    for layer in range(vectors.shape[1]):
        products, largest = np.zeros(()), largest_square(vectors, layer, plan.used)
        for _, values in blocks(vectors, layer, plan.used):
            rows = compact(values, n_draws)
            # A band of many prompts needs no more digits, and costs half as much.
            rows = rows.astype(np.float32 if len(rows) > _MANY_PROMPTS else np.float64, copy=False)
            whole = np.stack([rows[own].sum(axis=0) for own in members])
            here = np.empty((n_draws, *whole.shape), dtype=rows.dtype)
            for part in draws:
                chosen = plan.chosen[part]
                for group, own in enumerate(members):
                    here[part.start - 1 : part.stop - 1, group] = (
                        chosen[:, own].astype(rows.dtype) @ rows[own]
                    )
            products = products + _products_of_sides(here, whole)
        floor = (1e-13 if rows.dtype == np.float64 else 1e-10) * largest
        # A half without a prompt of a class has no weights.
        with np.errstate(invalid="ignore"):
            of_first, of_second = first @ products, second @ products
            squares = (of_first * first).sum(axis=2), (of_second * second).sum(axis=2)
            defined = (squares[0] > floor) & (squares[1] > floor)
            lengths = np.sqrt(np.where(defined, squares[0] * squares[1], np.nan))
            cosines[:, layer] = finite_mean(((of_first * second).sum(axis=2) / lengths).T)
    return cosines


def _products_of_sides(
    here: Float[np.ndarray, "draw group dimension"], whole: Float[np.ndarray, "group dimension"]
) -> Float[np.ndarray, "draw sum sum"]:
    """Products of all sums of the emotion, and of the reference, which has the rest of a group."""
    n = len(whole)
    products = np.empty((len(here), 2 * n, 2 * n), dtype=here.dtype)
    own, with_whole = here @ here.swapaxes(1, 2), here @ whole.T
    products[:, :n, :n] = own
    products[:, :n, n:] = with_whole - own
    products[:, n:, :n] = products[:, :n, n:].swapaxes(1, 2)
    products[:, n:, n:] = whole @ whole.T - with_whole.swapaxes(1, 2) - products[:, :n, n:]
    return products


def leave_one_out_cosines(
    design: Design, vectors: Vectors, contrast: Float[np.ndarray, " label"]
) -> Float64[np.ndarray, "scenario layer"]:
    """Cosine of the whole direction with the one that leaves each scenario out.

    Always near 1, also for noise ((n - 1) / n of the data are shared): never show it alone.
    """
    cosines = np.empty((design.n_scenarios, vectors.shape[1]))
    sizes = design.counts.sum(axis=1)
    for layer in range(vectors.shape[1]):
        products = np.zeros((3, design.n_scenarios))
        for _, values in blocks(vectors, layer):
            sums, of_label = class_sums(design, values)
            left_out = np.zeros((design.n_scenarios, values.shape[1]))
            whole = np.zeros(values.shape[1])
            for label in np.flatnonzero(contrast).tolist():
                own, counts = sums[of_label[label]], design.counts[label]
                total, held = own.sum(axis=0), counts > 0
                rest = (sizes[label] - counts[held])[:, None].astype(np.float64)
                mean = total / sizes[label]
                without = np.divide(
                    total - own, rest, out=np.full(own.shape, np.nan), where=rest > 0
                )
                whole += contrast[label] * mean
                left_out[held] += contrast[label] * without
                left_out[~held] += contrast[label] * mean
            products += _products(left_out, whole[None])
        cosines[:, layer] = _cosines(*products, floor=1e-13 * largest_square(vectors, layer))
    return cosines


def pairwise_difference_cosine(
    design: Design, vectors: Vectors, contrast: Float[np.ndarray, " label"]
) -> Float64[np.ndarray, " layer"]:
    """Mean cosine over pairs of scenarios of their within-scenario differences.

    Pairs with a difference of zero length are left out; NaN where no pair remains.

    Raises:
        RequestError: No scenario holds every class of the contrast.

    Source: Braun et al. 2505.22637 (agreement of difference vectors tells when steering works).
    """
    matched = matched_scenarios(design, contrast)
    place = np.cumsum(design.counts > 0, axis=1) - 1
    mean = np.full(vectors.shape[1], np.nan)

    def differences(layer: int) -> Iterator[Float64[np.ndarray, "matched dimension"]]:
        for _, values in blocks(vectors, layer):
            sums, of_label = class_sums(design, values)
            difference = np.zeros((int(matched.sum()), values.shape[1]))
            for label in np.flatnonzero(contrast).tolist():
                own = sums[of_label[label]][place[label, matched]]
                difference += contrast[label] * own / design.counts[label, matched][:, None]
            yield difference

    for layer in range(vectors.shape[1]):
        squares = sum(np.einsum("sd,sd->s", each, each) for each in differences(layer))
        defined = squares > 1e-12 * squares.max()
        n, lengths = int(defined.sum()), np.sqrt(squares[defined])[:, None]
        if n > 1:
            units = ((each[defined] / lengths).sum(axis=0) for each in differences(layer))
            square = sum(float((unit**2).sum()) for unit in units)
            mean[layer] = (square - n) / (n * (n - 1))
    return mean


def row_cosines(
    first: Float[np.ndarray, "draw d_model"],
    second: Float[np.ndarray, "#draw d_model"],
    *,
    floor: float,
) -> Float64[np.ndarray, " draw"]:
    """Cosines of rows; NaN where a square is not above the floor.

    A direction that vanishes leaves rounding error, whose cosine means nothing.
    """
    return _cosines(*_products(first, second), floor=floor)


def _products(
    first: Float[np.ndarray, "draw d_model"], second: Float[np.ndarray, "#draw d_model"]
) -> Float[np.ndarray, "3 draw"]:
    """Product of each two rows, and their squares."""
    pairs = ((first, second), (first, first), (second, second))
    products = ((here * there).sum(axis=1) for here, there in pairs)
    return np.stack(np.broadcast_arrays(*products))


def _cosines(
    product: Float[np.ndarray, " draw"],
    *squares: Float[np.ndarray, " draw"],
    floor: float,
) -> Float64[np.ndarray, " draw"]:
    defined = (squares[0] > floor) & (squares[1] > floor)
    scale = np.sqrt(np.where(defined, squares[0], 1.0) * np.where(defined, squares[1], 1.0))
    return np.where(defined, product / scale, np.nan).astype(np.float64)


def score_reliability(
    design: Design,
    vectors: Vectors,
    contrast: Float[np.ndarray, " label"],
    folds: Int[np.ndarray, " prompt"],
    halves: Bool[np.ndarray, "split scenario"],
) -> Float64[np.ndarray, " layer"]:
    """Repeatability of held-out scores when the direction is made from other scenarios.

    For each split the training scenarios of each fold are halved, both directions score the test
    prompts, and the two sets of scores are correlated given the labels. The mean correlation r over
    splits becomes 2 r / (1 + r), the reliability of the direction of both halves. NaN where it is
    not positive, because then it bounds nothing.

    Source: Spearman 1910, Brown 1910.
    """
    used = contrast[design.label_of] != 0

    def ranks(half: Bool[np.ndarray, "split scenario"]) -> Float64[np.ndarray, "split layer used"]:
        scores = held_out_scores_of(design, vectors, contrast, folds, half)
        return unit_ranks(scores[..., used], design.label_of[used])

    at_once = max(1, _SCORES_AT_ONCE // design.n_prompts)
    parts = (halves[at : at + at_once] for at in range(0, len(halves), at_once))
    correlations = [np.einsum("slp,slp->sl", ranks(part), ranks(~part)) for part in parts]
    mean = finite_mean(np.concatenate(correlations))
    return np.where(mean > 0, 2 * mean / (1 + np.where(mean > 0, mean, 0.0)), np.nan)


_stability = Columns("stability")

MEASURES = (
    *_stability.estimate(
        "split_half",
        "Mean cosine of the directions of two disjoint halves of the scenarios, each with its own "
        "reference prompts; not corrected to the full sample",
        lambda cell: finite_mean(cell.split_half),
        ends=lambda cell: percentile_interval(cell.split_half),
        of="the central 95 % of that cosine over 100 splits",
        null=("split_half_null_low", "split_half_null_high"),
        label="split half",
        axis="cosine",
        chance=0.0,
    ),
    *_stability.ends(
        "split_half_null_low",
        "split_half_null_high",
        "the 95 % band of split_half when labels are swapped within scenarios (200 draws)",
        lambda cell: cell.split_half_band,
    ),
    _stability(
        "leave_one_out",
        "Mean cosine with the direction that leaves one scenario out; near 1 for noise too, so it "
        "is never shown alone",
        lambda cell: finite_mean(cell.leave_one_out),
        label="one scenario left out",
        axis="cosine",
    ),
    _stability(
        "leave_one_out_min",
        "Smallest of these cosines",
        lambda cell: np.fmin.reduce(cell.leave_one_out),
    ),
    _stability(
        "pairwise",
        "Mean cosine between within-scenario differences of two scenarios",
        label="within-scenario differences",
        axis="cosine",
        source="Braun et al. 2025",
        chance=0.0,
    ),
)
