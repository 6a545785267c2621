"""Random halves and folds of scenarios, the same for every class."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int

from emoact.errors import RequestError
from emoact.stats.design import Design


def scenario_halves(
    design: Design, n_splits: int = 100, *, seed: int = 0
) -> Bool[np.ndarray, "split scenario"]:
    """True for the scenarios of the first half, False for those of the second, per split.

    Scenarios that hold the same classes are dealt out evenly, so that each half holds about half of
    every class, and all prompts of a scenario fall on one side.
    """
    rng = np.random.default_rng([seed, 1])
    halves = np.empty((n_splits, design.n_scenarios), dtype=bool)
    for split in range(n_splits):
        order = _shuffled_by_pattern(design, rng)
        first = rng.integers(2)
        halves[split, order] = (np.arange(design.n_scenarios) + first) % 2 == 0
    return halves


def scenario_folds(
    design: Design, n_folds: int = 5, *, seed: int = 0
) -> Int[np.ndarray, " prompt"]:
    """The fold of each prompt; all prompts of a scenario share it.

    There are at most as many folds as scenarios. Scenarios that hold the same classes are dealt out
    in turn, so that every training set holds every class that has enough scenarios.

    Raises:
        RequestError: Fewer than two folds are asked for.
    """
    if n_folds < 2:
        raise RequestError(f"n_folds is {n_folds}; at least 2 are needed to hold anything out")
    rng = np.random.default_rng([seed, 2])
    order = _shuffled_by_pattern(design, rng)
    fold_of = np.empty(design.n_scenarios, dtype=np.int64)
    fold_of[order] = np.arange(design.n_scenarios) % min(n_folds, design.n_scenarios)
    folds: Int[np.ndarray, " prompt"] = fold_of[design.scenario_of]
    return folds


def _shuffled_by_pattern(design: Design, rng: np.random.Generator) -> Int[np.ndarray, " scenario"]:
    order: Int[np.ndarray, " scenario"] = np.lexsort(
        (rng.random(design.n_scenarios), design.pattern_of)
    )
    return order
