"""Planted accuracies, orders and far prompts of `calibrate_analysis.py`, with what is said."""

from __future__ import annotations

import functools

import numpy as np
from scipy.stats import norm

from emoact.stats.design import Design, design_of
from emoact.stats.findings.remarks import excess_of_distances
from emoact.stats.null.splits import scenario_folds
from emoact.stats.null.uncertainty import bootstrap_counts
from emoact.stats.probes.accuracy import measure_accuracies, median_over
from emoact.stats.probes.order import order_of
from emoact.stats.probes.probes import correctness, fold_splits, layer_decisions
from scripts.calibration_designs import (
    LAYOUTS,
    SETTINGS,
    WIDTH,
    Estimate,
    Seed,
    design_with,
    spread_of,
)

Case = tuple[str, int, float]
"""Layout, scenarios if matched, and distance of the classes.

Distances are in standard deviations of a prompt in its scenario.
"""

ACCURACIES: tuple[Case, ...] = (
    *((LAYOUTS[0], 10, effect) for effect in (0.0, 2.5)),
    *((LAYOUTS[0], size, effect) for size in (25, 50) for effect in (0.0, 2.0, 4.0)),
    *((layout, 0, effect) for layout in LAYOUTS[1:] for effect in (0.0, 2.0, 4.0)),
)
ORDERS: tuple[Case, ...] = (
    *((LAYOUTS[0], size, effect) for size in (12, 25, 50) for effect in (0.0, 1.0, 3.0, 4.5)),
    *((layout, 0, effect) for layout in LAYOUTS[1:] for effect in (0.0, 1.0, 3.0, 4.5)),
)

TAILS = (
    *("normal", "one class three times as wide", "5 % eight times as far", "t of 3 degrees"),
    "log-normal",
)
TAIL_SIZES = (12, 25, 50)

_LAYERS = 4


@functools.cache
def pairs_of(n_scenarios: int) -> Design:
    """One prompt of either class in each scenario."""
    names = [str(scenario) for scenario in range(n_scenarios)]
    return design_of(["a"] * n_scenarios + ["n"] * n_scenarios, names * 2)


def accuracy_of(case: Case, seed: Seed) -> Estimate:
    """Cross-validated balanced accuracy of the median layer; the truth is its mean over data sets.

    Layers share nine tenths of their noise, and scenarios vary as much as prompts.
    """
    layout, size, effect = case
    rng, design = np.random.default_rng(seed), design_with(layout, size, ("a",))
    labels = design.label_of == 0
    scenarios = rng.normal(size=(design.n_scenarios, 30))[design.scenario_of]
    shared = scenarios + rng.normal(size=(design.n_prompts, 30))
    shared[labels, 0] += effect
    splits = fold_splits(np.ones(design.n_prompts, dtype=bool), scenario_folds(design))
    layers = (shared + 0.33 * rng.normal(size=shared.shape) for _ in range(_LAYERS))
    decided = [layer_decisions(each, labels, splits, ["logistic"])[0] for each in layers]
    draws = bootstrap_counts(design, 1000, seed=int(rng.integers(2**31)))
    correct = correctness(np.stack(decided), labels)
    found = median_over(measure_accuracies(correct, labels, design, draws, cross_validated=True))
    low, high = found.balanced_interval
    return Estimate(truth=float(found.balanced), low=float(low), high=float(high))


def order_said(case: Case, seed: Seed) -> tuple[bool, bool]:
    """True for a p_order of at most .05, and for an interval that holds the true AUROC.

    Scores of prompts of other scenarios than those of the probe: the threshold is nowhere.
    """
    layout, size, effect = case
    rng, design = np.random.default_rng(seed), design_with(layout, size, ("a",))
    labels = design.label_of == 0
    scenarios = rng.normal(size=design.n_scenarios)[design.scenario_of]
    shared = scenarios + rng.normal(size=design.n_prompts) + effect * labels - 30
    scores = shared + 0.33 * rng.normal(size=(_LAYERS, design.n_prompts))
    settings = type(SETTINGS)(**{**vars(SETTINGS), "seed": int(rng.integers(2**31))})
    found = order_of(scores, labels, design, settings)
    return bool(found.p <= SETTINGS.alpha), bool(
        found.interval[0] <= true_auroc(effect) <= found.interval[1]
    )


def true_auroc(effect: float) -> float:
    """AUROC of the scores of `order_said`."""
    return float(norm.cdf(effect / np.sqrt(2 * (2 + 0.33**2))))


def named_far(tail: str, spectrum: str, n_scenarios: int, seed: Seed) -> bool:
    """True where prompts are said to lie far away."""
    rng, design = np.random.default_rng(seed), pairs_of(n_scenarios)
    size = (design.n_prompts, 1, 1)
    vectors = rng.normal(size=(design.n_prompts, 1, WIDTH))
    if tail == TAILS[1]:
        vectors[design.label_of == 0] *= 3
    elif tail == TAILS[2]:
        vectors *= np.where(rng.random(size) < 0.05, 8, 1)
    elif tail == TAILS[3]:
        vectors *= np.sqrt(3 / rng.chisquare(3, size=size))
    elif tail == TAILS[4]:
        vectors = np.exp(vectors) / np.sqrt(np.e * (np.e - 1))
    vectors += rng.normal(size=(n_scenarios, 1, WIDTH))[design.scenario_of]
    vectors[design.label_of == 0] += 3 * rng.normal(size=WIDTH)
    return excess_of_distances(design.label_of, vectors @ spread_of(spectrum, rng))[1] > 0
