"""Relabelling: labels exchanged within scenarios, as the null hypothesis allows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int

from emoact.errors import RequestError
from emoact.stats.design import Design

OUTSIDE = -1
"""Group of a prompt that takes no part."""


def relabellings(
    design: Design,
    emotion: str,
    reference: Sequence[str],
    n_permutations: int = 2000,
    *,
    seed: int = 0,
) -> Bool[np.ndarray, "draw prompt"]:
    """True for the prompts that count as the emotion; row 0 is the truth, the others are shuffled.

    Raises:
        RequestError: A label is missing, or fewer than 1 permutation is asked for.
    """
    groups = np.full(design.n_prompts, OUTSIDE)
    for label in reference:
        groups[design.label_of == design.index(label)] = 0
    groups[design.label_of == design.index(emotion)] = 1
    return np.asarray(shuffled_groups(design, groups, n_permutations, seed=seed) == 1)


def shuffled_groups(
    design: Design, groups: Int[np.ndarray, " prompt"], n_permutations: int, *, seed: int = 0
) -> Int[np.ndarray, "draw prompt"]:
    """Groups of the prompts; row 0 is the truth, the others are shuffled.

    Labels move between the prompts of one scenario only; shuffling them over scenarios too would
    test another null. Scenarios that hold a single group exchange it as wholes; without scenarios
    that is a shuffle of the prompts.

    Raises:
        RequestError: Fewer than 1 permutation is asked for.
    """
    if n_permutations < 1:
        raise RequestError(f"n_permutations is {n_permutations}; at least 1 is needed")
    rng = np.random.default_rng([seed, 4])
    draws = np.tile(groups, (1 + n_permutations, 1))
    wholes: list[Int[np.ndarray, " member"]] = []
    for scenario in range(design.n_scenarios):
        members = np.flatnonzero((design.scenario_of == scenario) & (groups != OUTSIDE))
        if len(np.unique(groups[members])) > 1:
            order = rng.random((n_permutations, len(members))).argsort(axis=1)
            draws[1:, members] = groups[members][order]
        elif len(members):
            wholes.append(members)
    if wholes:
        held = np.array([groups[members[0]] for members in wholes])
        moved = held[rng.random((n_permutations, len(wholes))).argsort(axis=1)]
        for column, members in enumerate(wholes):
            draws[1:, members] = moved[:, [column]]
    return draws
