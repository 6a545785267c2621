"""Labels as they might have fallen had emotion nothing to do with the text."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int64

Scheme = Literal["within scenario", "over all prompts", "over scenarios", "mixed"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Exchange:
    """Which prompts could have had each other's label.

    Scenarios that hold several emotions exchange labels inside. All others (and prompts without a
    scenario) form one pool in which whole scenarios exchange labels.

    Attributes:
        label: Index of the emotion of each prompt.
        unit: Index of the scenario of each prompt; prompts without one are a unit each.
        block: Index of the block of each prompt; 0 is the pool.
        scheme: The same in words.
    """

    label: Int64[np.ndarray, " prompt"]
    unit: Int64[np.ndarray, " prompt"]
    block: Int64[np.ndarray, " prompt"]
    scheme: Scheme

    @property
    def log10_arrangements(self) -> float:
        """Number of distinguishable relabellings, as a power of ten."""
        total = 0.0
        for block in np.unique(self.block):
            inside = self.block == block
            if block == 0:
                _, first = np.unique(self.unit[inside], return_index=True)
                labels = self.label[inside][first]
            else:
                labels = self.label[inside]
            counts = Counter(labels.tolist()).values()
            total += math.lgamma(len(labels) + 1) - sum(math.lgamma(n + 1) for n in counts)
        return total / math.log(10)

    def relabelled(
        self, rng: np.random.Generator, *, permutations: int
    ) -> Int64[np.ndarray, "draw prompt"]:
        """The labels as they are, followed by so many rows of permuted ones."""
        draws = np.tile(self.label, (permutations + 1, 1))
        inside = np.flatnonzero(self.block)
        by_block = inside[np.argsort(self.block[inside], kind="stable")]
        pool = np.flatnonzero(self.block == 0)
        units, first, member = np.unique(self.unit[pool], return_index=True, return_inverse=True)
        unit_label = self.label[pool][first]
        for draw in draws[1:]:
            shuffled = inside[np.lexsort((rng.random(len(inside)), self.block[inside]))]
            draw[by_block] = self.label[shuffled]
            draw[pool] = unit_label[rng.permutation(len(units))][member]
        return draws


def exchange(emotions: Sequence[str], scenarios: Sequence[str | None]) -> Exchange:
    """How labels may be exchanged, given the label and the scenario of each prompt."""
    order = {emotion: index for index, emotion in enumerate(dict.fromkeys(emotions))}
    label = np.array([order[emotion] for emotion in emotions], dtype=np.int64)
    # A tuple cannot equal a scenario's name.
    keys = [(index,) if name is None else name for index, name in enumerate(scenarios)]
    names = {key: index for index, key in enumerate(dict.fromkeys(keys))}
    unit = np.array([names[key] for key in keys], dtype=np.int64)
    held: dict[int, set[int]] = {}
    for one_unit, one_label in zip(unit.tolist(), label.tolist(), strict=True):
        held.setdefault(one_unit, set()).add(one_label)
    crossed = np.array([len(held[one]) > 1 for one in unit.tolist()], dtype=bool)
    block = np.where(crossed, unit + 1, 0)
    return Exchange(label=label, unit=unit, block=block, scheme=_scheme(crossed, unit))


def _scheme(crossed: np.ndarray, unit: np.ndarray) -> Scheme:
    if crossed.all():
        return "within scenario"
    if crossed.any():
        return "mixed"
    single = len(np.unique(unit)) == len(unit)
    return "over all prompts" if single else "over scenarios"
