"""Agreement of two models on where an emotion lies among the classes, from disjoint scenarios."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int

from emoact.stats.design import Design
from emoact.stats.null.permutation import max_statistic_test, permutation_p
from emoact.stats.null.relabelling import shuffled_groups
from emoact.stats.null.splits import scenario_folds
from emoact.stats.null.uncertainty import finite_mean, jackknife_se
from emoact.stats.products import shortened
from emoact.stats.vectors import centre, divide_by_sd

N_BLOCKS = 6
"""Blocks of scenarios; half of them for one model, the others for the other, in every way."""

MAX_DRAWS = 500
"""Relabellings for a p-value; the corrected one is then at least .002 times the pairs."""

N_GROUPS = 25
"""Groups of scenarios that the jackknife leaves out in turn."""

WIDEST = 0.5
"""Largest half-width of a 95 % interval with which an agreement is shown."""

MAX_MATCHINGS = 120
"""Matchings of more than five classes that are tried."""

_CHUNK_BYTES = 2**26
_OUTSIDE = -1


@dataclass(frozen=True, kw_only=True, eq=False)
class Labels:
    """Labels of the prompts for each draw, and the pairs that they leave within each half.

    Attributes:
        of: Label of each prompt; -1 for a prompt that is left out. Row 0 as labelled.
        pairs: Pairs of prompts of different scenarios, for every split and half.
    """

    of: Int[np.ndarray, "draw prompt"]
    pairs: Float64[np.ndarray, "split 2 draw label label"]

    def rows(self, start: int, stop: int) -> Labels:
        """Some of the draws."""
        return Labels(of=self.of[start:stop], pairs=self.pairs[:, :, start:stop])


@dataclass(frozen=True, kw_only=True, eq=False)
class Draws:
    """Blocks of scenarios and labels of the prompts, as they are and changed.

    Attributes:
        blocks: Block of each prompt.
        relabelled: Labels exchanged within scenarios.
        left_out: Labels without a group of scenarios.
    """

    design: Design
    blocks: Int[np.ndarray, " prompt"]
    relabelled: Labels
    left_out: Labels


@dataclass(frozen=True, kw_only=True, eq=False)
class Agreement:
    """Agreement of two models about every class, at matched layers.

    Attributes:
        value: Cosine of the two models' rows of class products, corrected for noise.
        se: Jackknife standard error of it over groups of scenarios.
        draws: Product of the rows under each relabelling, row 0 as labelled: of both models alike,
            of the first alone, and of the second alone.
        scale: Geometric mean of the models' own products, which divides them.
        own_p: Permutation p-value of each model's own product; the larger of the two.
        other: Mean agreement where the classes of the second model are matched otherwise.
        rank: Share of all matchings of the classes that agree at least as well as the true one,
            all classes together.
        matched: Agreement of all classes together for every matching, the true one first.
    """

    value: Float64[np.ndarray, "layer label"]
    se: Float64[np.ndarray, "layer label"]
    draws: Float64[np.ndarray, "3 draw layer label"]
    scale: Float64[np.ndarray, "layer label"]
    own_p: Float64[np.ndarray, "layer label"]
    other: Float64[np.ndarray, "layer label"]
    rank: Float64[np.ndarray, " layer"]
    matched: Float64[np.ndarray, "layer matching"]


def draws_of(design: Design, n_permutations: int, *, seed: int = 0) -> Draws:
    """Blocks, relabellings and jackknife groups of one set of prompts."""
    n_groups = min(N_GROUPS, design.n_scenarios)
    groups = scenario_folds(design, max(n_groups, 2), seed=seed + 1)
    kept = np.tile(design.label_of, (1 + n_groups, 1))
    for group in range(n_groups):
        kept[1 + group, groups == group] = _OUTSIDE
    blocks = scenario_folds(design, N_BLOCKS, seed=seed)
    changed = shuffled_groups(design, design.label_of, min(n_permutations, MAX_DRAWS), seed=seed)
    ones = np.ones((design.n_prompts, 1))
    return Draws(
        design=design,
        blocks=blocks,
        relabelled=Labels(of=changed, pairs=_of_halves(ones, changed, design, blocks)),
        left_out=Labels(of=kept, pairs=_of_halves(ones, kept, design, blocks)),
    )


def normalised(features: Float[np.ndarray, "prompt d_model"]) -> Float64[np.ndarray, "prompt _"]:
    """Each dimension centred and over its standard deviation, in at most `prompt` coordinates."""
    return shortened(divide_by_sd(centre(features)))


def class_products(
    features: Float[np.ndarray, "prompt d_model"], draws: Draws, labels: Labels
) -> Float64[np.ndarray, "split 2 draw label label"]:
    """Centred products of class means from either half of the scenarios, for every split.

    H P H with P[a, b] = mean of x_i . x_j over i of class a and j of class b of different scenarios
    of the half, and H = I - 1/C: products of the classes' deviations from the mean of all classes.
    Unbiased, so that it is 0 on average without an emotion. NaN where a class has no pair.

    Source: Walther et al. 2016 (cross-validated, noise-normalised distances).
    """
    n_labels = len(draws.design.labels)
    totals = _of_halves(features, labels.of, draws.design, draws.blocks)
    known = labels.pairs > 0.5
    products = np.divide(totals, labels.pairs, out=np.full(totals.shape, np.nan), where=known)
    centring = np.eye(n_labels) - 1 / n_labels
    return np.asarray(centring @ products @ centring)


def compare_layer(
    first: Float[np.ndarray, "prompt _"], second: Float[np.ndarray, "prompt _"], draws: Draws
) -> Agreement:
    """Agreement of one layer of a model and one layer of another; `layer` has one entry.

    With K the centred products of class means, the agreement about class e is
    sum_b K_A[e, b] K_B[e, b] / sqrt(sum_b K_A[e, b]^2 * sum_b K_B[e, b]^2). Each product takes its
    two factors from disjoint halves of the scenarios, averaged over all splits of six blocks: noise
    of a prompt or a scenario enters one of them only, so that shared prompts cannot correlate. The
    two factors of a square are of one model, so that a model agrees with its copy exactly (1).

    Source: Diedrichsen et al. 2021 (cosine of whitened, unbiased distances); Walther et al. 2016.
    """
    own, own_second, *crosses = _rows(first, second, draws, draws.relabelled)
    kept = _rows(first, second, draws, draws.left_out)
    replicates = _ratio(kept[2], kept[0] * kept[1])
    scale = _root(own[0] * own_second[0])
    matched = _matchings(first, second, draws)
    return Agreement(
        value=(crosses[0][0] / scale)[None],
        se=jackknife_se(replicates[1:])[None],
        draws=np.stack(crosses)[:, :, None],
        scale=scale[None],
        own_p=np.maximum(_p(own), _p(own_second))[None],
        other=matched[0][None],
        rank=np.array([_rank(matched[1])]),
        matched=(matched[1] / _root(own[:1].sum(axis=1) * own_second[:1].sum(axis=1)))[None],
    )


def join_layers(layers: list[Agreement]) -> Agreement:
    """The layers one after the other."""
    names = ("value", "se", "scale", "own_p", "other", "rank", "matched")
    parts = {name: np.concatenate([getattr(each, name) for each in layers]) for name in names}
    return Agreement(draws=np.concatenate([each.draws for each in layers], axis=2), **parts)


def _halves(n_blocks: int) -> Float64[np.ndarray, "split 2 block"]:
    chosen = [
        block
        for block in itertools.combinations(range(n_blocks), n_blocks // 2)
        if n_blocks % 2 or 0 in block
    ]
    first = np.array([[float(b in own) for b in range(n_blocks)] for own in chosen])
    return np.stack([first, 1 - first], axis=1)


def _of_halves(
    features: Float64[np.ndarray, "prompt _"],
    labels: Int[np.ndarray, "draw prompt"],
    design: Design,
    blocks: Int[np.ndarray, " prompt"],
) -> Float64[np.ndarray, "split 2 draw label label"]:
    """Sums of products of pairs of different scenarios, within each half."""
    from scipy.sparse import block_diag

    n_labels, n_blocks = len(design.labels), int(blocks.max()) + 1
    member = (labels[:, None, :] == np.arange(n_labels)[:, None]).astype(np.float64)
    n_draws, _, n_prompts = member.shape
    sums = np.stack(
        [member[:, :, blocks == block] @ features[blocks == block] for block in range(n_blocks)],
        axis=1,
    ).reshape(n_draws, n_blocks * n_labels, -1)
    products = (sums @ sums.swapaxes(1, 2)).reshape(n_draws, n_blocks, n_labels, n_blocks, n_labels)
    order = np.argsort(design.scenario_of, kind="stable")
    sizes = np.bincount(design.scenario_of)
    scenarios = np.split(order, np.cumsum(sizes)[:-1])
    same = block_diag([features[own] @ features[own].T for own in scenarios], format="csr")
    ordered = member[:, :, order].reshape(-1, n_prompts)
    within = np.asarray((same @ ordered.T).T).reshape(member.shape)
    for block in range(n_blocks):
        own = blocks[order] == block
        parts = within[:, :, own] @ member[:, :, order[own]].swapaxes(1, 2)
        products[:, block, :, block] -= parts
    halves = _halves(n_blocks)
    pairs = halves[..., :, None] * halves[..., None, :]
    return np.asarray(np.einsum("shbc,dbxcy->shdxy", pairs, products, optimize=True))


def agreement_test(
    draws: Float[np.ndarray, "3 draw place"],
) -> tuple[Float64[np.ndarray, " place"], Float64[np.ndarray, " place"]]:
    """p-value of each place alone, and against the maximum over all places.

    Of the three relabellings the largest p-value counts: labels of both models alike, which keeps
    what shared prompts have in common, and of either model alone, for two models of which one has
    no emotion: against the true labels of the other, noise varies more than against noise.
    """
    tests = [max_statistic_test(each) for each in draws]
    return (
        np.maximum.reduce([test.p for test in tests]),
        np.maximum.reduce([test.p_max for test in tests]),
    )


def _rows(
    first: Float64[np.ndarray, "prompt _"],
    second: Float64[np.ndarray, "prompt _"],
    draws: Draws,
    labels: Labels,
) -> tuple[Float64[np.ndarray, "draw label"], ...]:
    """Products of rows over disjoint halves, for every draw.

    Of the first model with itself, of the second with itself, of both with the same draw, and of
    either as labelled with the draws of the other: the first's draws before the second's.
    """
    width = max(first.shape[1], second.shape[1], len(draws.blocks))
    size = max(1, _CHUNK_BYTES // (8 * width * N_BLOCKS * len(draws.design.labels)))
    labelled, other = (class_products(x, draws, labels.rows(0, 1)) for x in (first, second))
    parts = []
    for start in range(0, len(labels.of), size):
        chunk = labels.rows(start, start + size)
        here, there = (class_products(each, draws, chunk) for each in (first, second))
        parts.append(
            (
                _over_halves(here, here),
                _over_halves(there, there),
                _both(here, there),
                _both(here, other),
                _both(labelled, there),
            )
        )
    return tuple(np.concatenate(each) for each in zip(*parts, strict=True))


def _over_halves(
    first: Float64[np.ndarray, "split 2 #draw label label"],
    second: Float64[np.ndarray, "split 2 #draw label label"],
) -> Float64[np.ndarray, "_ label"]:
    here, there = np.broadcast_arrays(first[:, 0], second[:, 1])
    return np.asarray(np.einsum("sdeb,sdeb->de", here, there) / len(first))


def _both(
    first: Float64[np.ndarray, "split 2 #draw label label"],
    second: Float64[np.ndarray, "split 2 #draw label label"],
) -> Float64[np.ndarray, "_ label"]:
    return np.asarray((_over_halves(first, second) + _over_halves(second, first)) / 2)


def _matchings(
    first: Float64[np.ndarray, "prompt _"], second: Float64[np.ndarray, "prompt _"], draws: Draws
) -> tuple[Float64[np.ndarray, " label"], Float64[np.ndarray, " matching"]]:
    """Mean agreement over the wrong matchings of classes, and the product of all for each."""
    here, there = (
        class_products(each, draws, draws.relabelled.rows(0, 1)) for each in (first, second)
    )
    own, own_second = _over_halves(here, here)[0], _over_halves(there, there)[0]
    agreements, products = [], []
    for order in _orders(len(own)):
        product = _both(here, there[..., order[:, None], order[None, :]])[0]
        agreements.append(_ratio(product, own * own_second[order]))
        products.append(product.sum())
    return finite_mean(np.stack(agreements[1:])), np.array(products)


def matching_p(agreements: Sequence[Agreement]) -> float:
    """Rank of the true matching of the classes among all, by the median over all layers.

    One test of all layers and sites: the geometry of a model is much the same at all of them, so
    that one accident would count at each. Exact for two models whose classes lie anyhow.
    """
    layers = np.concatenate([each.matched for each in agreements])
    known = layers[np.isfinite(layers).all(axis=1)]
    return _rank(np.median(known, axis=0)) if len(known) else math.nan


def _rank(values: Float64[np.ndarray, " matching"]) -> float:
    """Share of the matchings that are at least as good as the first."""
    return float(np.mean(values >= values[0] - 1e-9 * abs(values[0])))


def _orders(n_labels: int) -> Iterator[Int[np.ndarray, " label"]]:
    """The true matching of the classes first, then the others, or a sample of them."""
    if n_labels <= 5:
        yield from map(np.array, itertools.permutations(range(n_labels)))
        return
    yield np.arange(n_labels)
    rng = np.random.default_rng(0)
    for _ in range(MAX_MATCHINGS - 1):
        yield rng.permutation(n_labels)


def _p(draws: Float64[np.ndarray, "draw label"]) -> Float64[np.ndarray, " label"]:
    usable = np.isfinite(draws).all(axis=0)
    # A relabelling that gives the same classes again must tie, in any order of summation.
    observed = draws[0] - 1e-9 * np.abs(draws[0])
    return np.where(usable, permutation_p(draws[1:], observed), np.nan)


def _root(squares: Float64[np.ndarray, "*rest"]) -> Float64[np.ndarray, "*rest"]:
    return np.asarray(np.sqrt(np.where(squares > 0, squares, np.nan)))


def _ratio(
    product: Float64[np.ndarray, "*rest"], squares: Float64[np.ndarray, "*rest"]
) -> Float64[np.ndarray, "*rest"]:
    return np.asarray(product / _root(squares))
