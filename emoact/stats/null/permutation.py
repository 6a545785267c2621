"""Permutation test of the noise-normalised, cross-validated strength of a direction."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from emoact.stats.design import Design
from emoact.stats.null.relabelling import Labellings
from emoact.stats.products import compact, scenario_sums, without_scenarios
from emoact.stats.room import MEMORY, Room
from emoact.stats.vectors import Vectors, blocks

_CHUNK = 256
"""Most relabellings whose sums are held in memory at once."""

_CHUNK_NUMBERS = 1 << 20
"""Most labels of them."""

_MANY_SCENARIOS = 200
"""Scenarios above which the permutation statistic is summed in single precision: no relabelling
comes twice then, and equal ones need not be equal to the last digit."""

_LEAST_RESIDUAL = 1e-9
"""Smallest share of the variance of a dimension that counts as left by the class."""

_LEAST_NOISE = 0.05
"""Smallest noise of a relabelling, as a share of the mean over all of them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Relabellings:
    """Relabellings of the prompts of one contrast, ready for sums of any vectors.

    A scenario of one prompt of each side adds the same whichever way its labels lie, plus one
    difference of two prompts: half as many rows to sum.

    Attributes:
        used: Places of the prompts that take part.
        chosen: True for the used prompts that count as the emotion; row 0 is the truth.
        scenario_of: Scenario of each used prompt, without gaps.
        first: Used prompts whose scenario holds one prompt of each side; `second` their partners.
        alone: All other used prompts.
        mixed: True for the used prompts whose scenario holds both sides.
        blocks: Prompts of scenarios that hold more, one array for each number of prompts.
        pairs: Numbers of all pairs of prompts, and of those that share a scenario: emotion with
            itself, emotion with reference, reference with itself.
    """

    used: Int[np.ndarray, " used"]
    chosen: Labellings
    scenario_of: Int[np.ndarray, " used"]
    first: Int[np.ndarray, " pair"]
    second: Int[np.ndarray, " pair"]
    alone: Int[np.ndarray, " rest"]
    mixed: Bool[np.ndarray, " used"]
    blocks: tuple[Int[np.ndarray, "_ _"], ...]
    pairs: Float64[np.ndarray, "2 3 draw"]

    @property
    def is_matched(self) -> bool:
        """True where at least half of the scenarios hold both sides."""
        held = len(np.unique(self.scenario_of[self.mixed]))
        return bool(2 * held >= self.scenario_of.max() + 1)

    def part(self, n_draws: int) -> Relabellings:
        """The truth and the first relabellings."""
        chosen = self.chosen.first(1 + n_draws)
        return dataclasses.replace(self, chosen=chosen, pairs=self.pairs[..., : 1 + n_draws])

    def chunks(self) -> Iterator[slice]:
        """The relabellings, as many at once as fit into memory."""
        size = max(8, min(_CHUNK, _CHUNK_NUMBERS // max(len(self.used), 1)))
        for start in range(0, len(self.chosen), size):
            yield slice(start, start + size)


@dataclass(frozen=True, kw_only=True, eq=False)
class PermutedStrengths:
    """Strength under each relabelling.

    Attributes:
        squared: Cross-validated ||mean(emotion) - mean(reference)||^2; NaN without a pair.
        plain: The plain square, which noise inflates.
    """

    squared: Float64[np.ndarray, "draw layer"]
    plain: Float64[np.ndarray, "draw layer"]

    @property
    def studentised(self) -> Float64[np.ndarray, "draw layer"]:
        """Cross-validated square over the noise of the same relabelling.

        The noise is the square that the plain one has too much. Where classes differ in size and
        spread, relabelled classes do not have the noise of the true ones, and a statistic without
        this division rejects too often.

        Source: Janssen 1997; Chung & Romano 2013.
        """
        noise = self.plain - self.squared
        least = _LEAST_NOISE * np.abs(noise).mean(axis=0)
        scale = np.maximum(noise, least)
        return np.where(scale > 0, self.squared / np.where(scale > 0, scale, 1.0), 0 * self.squared)


@dataclass(frozen=True, kw_only=True, eq=False)
class PermutationTest:
    """A statistic against its permutation null, with the maximum over layers.

    Attributes:
        z: Statistic less its mean over all relabellings, over its standard deviation.
        p: (1 + #{null >= observed}) / (1 + B), one layer at a time; NaN without a statistic.
        p_max: The same against the null of the maximum over all layers: family-wise over layers.
        p_family: The smallest p_max, the p-value of the whole set of layers; NaN without any.
    """

    z: Float64[np.ndarray, " layer"]
    p: Float64[np.ndarray, " layer"]
    p_max: Float64[np.ndarray, " layer"]
    p_family: float


def prepare_relabellings(
    design: Design,
    draws: Labellings,
    pool: Bool[np.ndarray, " prompt"],
    *,
    room: Room = MEMORY,
) -> Relabellings:
    """Relabellings, from `relabellings`, of the prompts of the emotion and of its reference."""
    used = np.flatnonzero(pool)
    truth = draws[:1][0][used]
    scenario_of = np.unique(design.scenario_of[used], return_inverse=True)[1].ravel()
    size = np.bincount(scenario_of)
    order = np.argsort(scenario_of, kind="stable")
    starts = np.cumsum(size) - size
    pairs = order[starts[size == 2][:, None] + np.arange(2)]
    split = truth[pairs[:, 0]] != truth[pairs[:, 1]]
    first, second = pairs[split].T
    alone = np.ones(len(used), dtype=bool)
    alone[pairs[split]] = False
    share = np.bincount(scenario_of, truth) / size
    blocks = []
    for number in np.unique(size[size > 1]).tolist():
        members = order[starts[size == number][:, None] + np.arange(number)]
        blocks.append(pairs[~split] if number == 2 else members)
    plan = Relabellings(
        used=used,
        chosen=draws.only(used, room),
        scenario_of=scenario_of,
        first=first,
        second=second,
        alone=np.flatnonzero(alone),
        mixed=((share > 0) & (share < 1))[scenario_of],
        blocks=tuple(each for each in blocks if len(each)),
        pairs=np.zeros((2, 3, len(draws))),
    )
    return dataclasses.replace(plan, pairs=_sums(plan, np.ones((len(used), 1))))


def permuted_statistics(
    plan: Relabellings, vectors: Vectors, scale: Float64[np.ndarray, "layer d_model"]
) -> Float64[np.ndarray, "draw layer"]:
    """Noise-normalised statistic under each relabelling.

    In matched scenarios it is the mean over dimensions of the squared paired t of the scenarios'
    means of both sides. A scenario counts once however many prompts it holds: its prompts of one
    class may be alike, and classes may differ in number and spread. The noise of each dimension is
    estimated anew under each relabelling. Elsewhere it is the cross-validated square of
    standardised dimensions over the noise of the relabelling: a t for each dimension would add up
    small errors of its noise over all dimensions where classes differ in size and spread. NaN for
    a single scenario, of which nothing can be said beyond itself.

    Args:
        plan: The relabellings.
        vectors: Vectors of the layers.
        scale: 1 / standard deviation over all prompts, which no relabelling changes.

    Source: Srivastava & Du 2008 (sum of squared t); Janssen 1997, Chung & Romano 2013.
    """
    layers = range(vectors.shape[1])
    if plan.scenario_of.max() < 1:
        return np.full((len(plan.chosen), len(layers)), np.nan)
    if not plan.is_matched:
        return permuted_strengths(plan, vectors * scale).studentised
    return np.stack([_mean_t(plan, vectors, layer) for layer in layers], axis=1)


def permuted_strengths(plan: Relabellings, vectors: Vectors) -> PermutedStrengths:
    """Cross-validated and plain squared strength under each relabelling."""
    shape = (len(plan.chosen), vectors.shape[1])
    squared, plain = np.empty(shape), np.empty(shape)
    n_all, n_shared = plan.pairs
    n_apart = n_all - n_shared
    signs = np.array([[1.0], [-2.0], [1.0]])
    for layer in range(shape[1]):
        sums = (_sums(plan, own) for _, own in blocks(vectors, layer, plan.used))
        together, shared = np.sum(list(sums), axis=0)
        # Without a pair the sum is rounding error and no zero.
        parts = np.divide(
            together - shared, n_apart, out=np.full(n_all.shape, np.nan), where=n_apart > 0.5
        )
        value = (signs * parts).sum(axis=0)
        rounding = 1e-12 * np.abs(signs * parts).sum(axis=0)
        squared[:, layer] = np.where(np.abs(value) <= rounding, 0.0, value)
        plain[:, layer] = (signs * together / n_all).sum(axis=0)
    return PermutedStrengths(squared=squared, plain=plain)


def permutation_p(
    null: Float[np.ndarray, "draw *rest"], observed: Float[np.ndarray, "*rest"] | float
) -> Float64[np.ndarray, "*rest"]:
    """(1 + #{null >= observed}) / (1 + B), with B draws in the first axis.

    Source: Phipson & Smyth 2010.
    """
    return np.asarray((1 + (null >= observed).sum(axis=0)) / (1 + len(null)))


def adjust(p: Float[np.ndarray, " family"]) -> Float64[np.ndarray, " family"]:
    """Adjusted p-values that keep the chance of any false alarm over all families at alpha.

    A family that could not be tested has NaN and counts like one with the p-value 1. Families with
    equal p-values have equal adjusted ones, so that their order does not matter.

    Source: Holm 1979.
    """
    tested = np.isfinite(p)
    known = np.where(tested, p, 1.0)
    order = np.argsort(known, kind="stable")
    factors = len(p) - np.arange(len(p))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * known[order]), 1.0)
    return np.where(tested, adjusted, np.nan)


def max_statistic_test(statistics: Float[np.ndarray, "draw layer"]) -> PermutationTest:
    """The test of row 0 against the other rows, alone and with the maximum over the columns.

    Each column is standardised over all rows (the observed one too, so that the test stays exact)
    before the maximum is taken; otherwise the layers with the largest values would decide alone. A
    column that is not finite was not tested and has no p-value; one that never varies has the
    p-value 1.

    Source: Westfall & Young 1993; Phipson & Smyth 2010 for the (1 + #) / (1 + B).
    """
    usable = np.isfinite(statistics).all(axis=0)
    clean = np.where(usable, statistics, 0.0)
    mean, sd = clean.mean(axis=0), clean.std(axis=0)
    alive = usable & (sd > 1e-12 * np.abs(mean))
    z = np.where(alive, (clean - mean) / np.where(alive, sd, 1.0), -np.inf)
    # A relabelling that gives the same classes again must tie, in any order of summation.
    observed = z[0] - 1e-9 * np.where(alive, np.abs(z[0]), 0.0)
    largest = z.max(axis=1, initial=-np.inf)
    p = np.where(alive, permutation_p(z[1:], observed), 1.0)
    maxima = np.broadcast_to(largest[1:, None], z[1:].shape)
    p_max = np.where(alive, permutation_p(maxima, observed), 1.0)
    untested = np.where(usable, 0.0, np.nan)
    return PermutationTest(
        z=np.where(alive, z[0], np.nan),
        p=p + untested,
        p_max=p_max + untested,
        p_family=float(p_max[usable].min()) if usable.any() else float("nan"),
    )


def _mean_t(plan: Relabellings, vectors: Vectors, layer: int) -> Float64[np.ndarray, " draw"]:
    n = len(np.unique(plan.scenario_of[plan.mixed]))
    if n < 2:
        return np.full(len(plan.chosen), np.nan)
    every = functools.partial(blocks, vectors, layer, plan.used)
    within = np.concatenate([_within(plan, own) for _, own in every()])
    alive = within > 1e-12 * within.max(initial=0.0)
    statistics = np.zeros(len(plan.chosen))
    if not alive.any():
        return statistics
    for at, own in every():
        statistics += _sum_of_t(plan, without_scenarios(plan.scenario_of, own)[:, alive[at]], n)
    return np.asarray(statistics / alive.sum() * (n - 1))


def _within(
    plan: Relabellings, vectors: Float64[np.ndarray, "used dimension"]
) -> Float64[np.ndarray, " dimension"]:
    """Squares of each dimension about the means of scenarios that hold both sides."""
    inside = without_scenarios(plan.scenario_of, vectors)[plan.mixed]
    return np.asarray(np.einsum("pd,pd->d", inside, inside))


def _sum_of_t(
    plan: Relabellings, exact: Float64[np.ndarray, "used dimension"], n: int
) -> Float64[np.ndarray, " draw"]:
    """Sum over dimensions of the squared t of `n` scenarios over n - 1, under each relabelling."""
    statistics = np.zeros(len(plan.chosen))
    kind = np.float32 if n > _MANY_SCENARIOS else np.float64
    inside = exact.astype(kind, copy=False)
    pairs = inside[plan.first] - inside[plan.second]
    of_pairs = np.einsum("pd,pd->d", pairs, pairs)
    rest = plan.alone[plan.mixed[plan.alone]]
    larger = [rest[plan.scenario_of[rest] == each] for each in np.unique(plan.scenario_of[rest])]
    for part in plan.chunks():
        chosen = plan.chosen[part]
        total = np.where(chosen[:, plan.first], kind(1), kind(-1)) @ pairs
        squares = of_pairs
        for members in larger:
            emotion = chosen[:, members].astype(kind)
            n_emotion = emotion[0].sum()
            share = emotion / n_emotion - (1 - emotion) / (len(members) - n_emotion)
            difference = share @ inside[members]
            total += difference
            squares = squares + difference**2
        explained = np.square(total, out=total)
        explained /= n
        residual = squares - explained
        np.maximum(residual, _LEAST_RESIDUAL * squares, out=residual)
        # Where nothing is left, nothing is explained either.
        ratio = np.divide(explained, residual, out=explained, where=residual > 0)
        statistics[part] = ratio.sum(axis=1, dtype=np.float64)
    return statistics


def _sums(
    plan: Relabellings, vectors: Float64[np.ndarray, "used d_model"]
) -> Float64[np.ndarray, "2 3 draw"]:
    """Products of the sums of the two sides, and their part from prompts of one scenario."""
    n_draws = len(plan.chosen)
    total = scenario_sums(plan.scenario_of, vectors)
    own = np.einsum("pd,pd->p", vectors, vectors)
    beside = np.einsum("pd,pd->p", vectors, total[plan.scenario_of])
    rows = np.vstack(
        [
            vectors[plan.first] - vectors[plan.second],
            vectors[plan.alone],
            vectors[plan.second].sum(axis=0)[None],
            vectors.sum(axis=0)[None],
        ]
    )
    rows = compact(rows, n_draws)
    varying, constant, whole = rows[:-2], rows[-2], rows[-1]
    columns = np.concatenate([plan.first, plan.alone])
    blocks = [
        np.einsum("skd,sjd->skj", vectors[members], vectors[members])
        * (1 - np.eye(members.shape[1]))
        for members in plan.blocks
    ]
    both, either = np.empty((2, n_draws)), np.empty((2, n_draws))
    for part in plan.chunks():
        weights = plan.chosen[part].astype(np.float64)
        emotion = weights[:, columns] @ varying + constant
        both[0, part] = np.einsum("bd,bd->b", emotion, emotion)
        either[0, part] = emotion @ whole
        both[1, part] = weights @ own
        either[1, part] = weights @ beside
        for members, products in zip(plan.blocks, blocks, strict=True):
            inside = weights[:, members].swapaxes(0, 1)
            both[1, part] += (inside @ products * inside).sum(axis=(0, 2))
    every = np.array([[whole @ whole], [np.einsum("sd,sd->", total, total)]])
    return np.stack([both, either - both, every - 2 * either + both], axis=1)
