"""Prompts that two models share: the same rows of both, and a part of them where they are many."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emoact.errors import RequestError
from emoact.stats.design import Design
from emoact.stats.features import ModelFeatures
from emoact.stats.null.splits import scenario_folds

MAX_SHARED = 400
"""Largest number of prompts for the measures of shared prompts; the cost grows as its square."""


def common_rows(first: ModelFeatures, second: ModelFeatures) -> tuple[list[int], list[int]]:
    """Rows of either model that hold the same prompts of the same class, in one order.

    Prompts with one id are the same unless both files hold their texts and these differ.

    Raises:
        RequestError: They have no prompt in common, or those of one class alone.
    """
    rows = [pair for pair in _namesakes(first, second) if _same_text(first, second, *pair)]
    keys = first.keys
    shared = {keys[row][0] for row, _ in rows}
    if len(shared) < 2:
        raise RequestError(
            f"{first.model} and {second.model} have no prompt in common"
            if not shared
            else f"{first.model} and {second.model} share prompts of {', '.join(shared)} alone",
            remedy="Extract both with the same data set and emotions.",
        )
    return [row for row, _ in rows], [row for _, row in rows]


def sampled_rows(design: Design, *, seed: int = 0, most: int = MAX_SHARED) -> list[int]:
    """Rows of at most `most` prompts: all of them, or whole scenarios at random.

    Scenarios that hold the same classes keep their share. Where each has more than `most` prompts,
    prompts are drawn one by one.
    """
    n_parts = -(-design.n_prompts // most)
    if n_parts < 2:
        return list(range(design.n_prompts))
    parts = scenario_folds(design, n_parts, seed=seed)
    fits = [part for part in np.unique(parts) if (parts == part).sum() <= most]
    if not fits:
        drawn = np.random.default_rng(seed).choice(design.n_prompts, most, replace=False)
        return sorted(drawn.tolist())
    return np.flatnonzero(parts == fits[0]).tolist()


def differing_texts(first: ModelFeatures, second: ModelFeatures) -> int:
    """Prompts that have one id in both models and different texts."""
    return sum(not _same_text(first, second, *pair) for pair in _namesakes(first, second))


def _namesakes(first: ModelFeatures, second: ModelFeatures) -> list[tuple[int, int]]:
    places = {key: row for row, key in enumerate(_keys(second))}
    return [(row, places[key]) for row, key in enumerate(_keys(first)) if key in places]


def _same_text(first: ModelFeatures, second: ModelFeatures, row: int, other: int) -> bool:
    here, there = first.prompts[row].text, second.prompts[other].text
    return not here or not there or here == there


def _keys(model: ModelFeatures) -> Sequence[tuple[str, str, int]]:
    """Prompt keys; the second prompt with one id counts as another one."""
    seen: dict[tuple[str, str], int] = {}
    keys = []
    for key in model.keys:
        seen[key] = seen.get(key, 0) + 1
        keys.append((*key, seen[key]))
    return keys
