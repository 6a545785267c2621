"""Classes whose prompts differ in length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emoact import numbers
from emoact.stats.findings.finding import ActivationFinding
from emoact.store.summaries.measures import UnitMeasures

_LONGER = 1.1
"""Less than a tenth more tokens moves a mean over positions little."""

_CHANCE = 0.001
_PERMUTATIONS = 1999
_SEED = 20260131


def unequal_lengths(units: Sequence[UnitMeasures]) -> list[ActivationFinding]:
    """Content lengths that differ by a tenth between classes, and not by chance.

    The p-value is that of Kruskal and Wallis' statistic under 1,999 seeded permutations.
    """
    held = [unit for unit in units if unit.n_samples]
    lengths = [
        np.maximum(np.asarray(unit.lengths) - unit.content_start, 0).astype(np.float64)
        for unit in held
    ]
    means = [float(own.mean()) for own in lengths]
    if len(held) < 2 or max(means) < _LONGER * min(means):
        return []
    chance = _chance(lengths)
    if chance > _CHANCE:
        return []
    long, short = int(np.argmax(means)), int(np.argmin(means))
    return [
        ActivationFinding(
            kind="unequal_lengths",
            severity="warning",
            model=held[0].folder,
            sentence=f"Prompts of {held[long].emotion} have {numbers.significant(means[long])} "
            f"content tokens on average and those of {held[short].emotion} "
            f"{numbers.significant(means[short])} "
            f"({numbers.significant(100 * (means[long] / max(means[short], 1e-9) - 1), 2)} % more; "
            f"p = {numbers.significant(chance, 2)}).",
            meaning="Length is a property of the texts that a direction may take for the emotion.",
            matters=True,
            phase3="Yes: norms and positions change with length; match the lengths, or report the "
            "correlation of length and projection.",
            figures={
                "long_emotion": held[long].emotion,
                "long_mean": means[long],
                "short_emotion": held[short].emotion,
                "short_mean": means[short],
                "p": chance,
            },
            view={"view": "distribution", "model": held[0].folder, "of": "lengths"},
        )
    ]


def _chance(groups: Sequence[np.ndarray]) -> float:
    values = np.concatenate(groups)
    owner = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    sizes = np.bincount(owner).astype(np.float64)
    ranks = _ranks(values)
    rng = np.random.default_rng(_SEED)

    def statistic(shuffled: np.ndarray) -> float:
        sums = np.bincount(owner, weights=shuffled)
        return float((sums**2 / sizes).sum())

    observed = statistic(ranks)
    larger = sum(
        statistic(rng.permutation(ranks)) >= observed * (1 - 1e-12) for _ in range(_PERMUTATIONS)
    )
    return (1 + larger) / (1 + _PERMUTATIONS)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1; ties share their mean."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    found: np.ndarray = (np.cumsum(counts) - (counts - 1) / 2)[which]
    return found
